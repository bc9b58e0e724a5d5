"""Licences as real records write them, and the families they belong to."""

import pytest

from headgate.conda.licences import FAMILIES, expression_of, families_of, is_satisfied


@pytest.mark.parametrize(
    ("name", "families"),
    [
        ("AGPL-3.0-only", {"agpl"}),
        ("GNU Affero General Public License", {"agpl"}),
        ("LGPL-2.1-or-later", {"lgpl"}),
        ("GNU Lesser General Public License v3", {"lgpl"}),
        ("GPL-3.0-only", {"gpl3"}),
        ("GPLv3", {"gpl3"}),
        ("GPL-2.0-or-later WITH Bison-exception-2.2", {"gpl2"}),
        ("GPL", {"gpl2", "gpl3"}),
        ("BSD 3-Clause", {"bsd"}),
        ("0BSD", {"bsd"}),
        ("MIT/X11", {"mit"}),
        ("Apache 2.0", {"apache"}),
        ("PSF-2.0", {"psf"}),
        ("Python-2.0", {"psf"}),
        ("Public-Domain", {"public-domain"}),
        ("Unlicense", {"public-domain"}),
        ("LicenseRef-NVIDIA-End-User-License-Agreement", {"proprietary"}),
        ("Zlib", {"other"}),
        ("", {"none"}),
    ],
)
def test_families(name: str, families: set[str]) -> None:
    assert families_of(name) == families
    assert families <= FAMILIES


@pytest.mark.parametrize(
    ("expression", "good", "expected"),
    [
        ("MIT", {"mit"}, True),
        ("MIT OR GPL-3.0-only", {"mit"}, True),
        ("MIT AND GPL-3.0-only", {"mit"}, False),
        ("(MIT OR GPL-3.0-only) AND Apache-2.0", {"mit", "apache"}, True),
        ("MIT OR GPL-3.0-only AND Apache-2.0", {"apache"}, False),
        ("GPL-2 | GPL-3", {"gpl3"}, True),
        ("GPL (>= 3)", {"gpl3"}, True),
        ("GPL 2 or later", {"gpl2"}, True),
        ("((", {"mit"}, False),
        ("", {"none"}, True),
    ],
)
def test_expressions(expression: str, good: set[str], expected: bool) -> None:
    assert is_satisfied(expression, lambda one: not families_of(one).isdisjoint(good)) is expected


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"license": "MIT", "license_family": "GPL3"}, "MIT"),
        ({"license": "See file", "license_family": "BSD"}, "BSD"),
        ({"license": None, "license_family": "MIT"}, "MIT"),
        ({"license": 3}, ""),
        ({}, ""),
    ],
)
def test_family_stands_in_for_a_licence_that_says_nothing(record: dict[str, object], expected: str) -> None:
    assert expression_of(record) == expected

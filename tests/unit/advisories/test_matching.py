"""Ranges and lists of versions, as the OSV schema evaluates them."""

import json
from typing import Any

import pytest

from headgate.advisories.matching import Matcher
from headgate.advisories.osv import parse_osv
from headgate.advisories.statements import Affected, Builds
from tests.unit.advisories.making import SHA, osv, ranged, record

ZERO = ("introduced", "0")


def is_affected(document: Any, version: str) -> bool:
    statement = parse_osv(json.dumps(document).encode())
    return any(Matcher(one).why(version, record(version)) for one in statement.affected)


@pytest.mark.parametrize(
    ("events", "version", "expected"),
    [
        ([ZERO, ("fixed", "2.0")], "1.9", True),
        ([ZERO, ("fixed", "2.0")], "2.0", False),
        ([ZERO, ("fixed", "2.0")], "2.0rc1", True),
        ([ZERO, ("fixed", "2.0")], "0.dev0", True),
        ([ZERO], "99", True),
        ([("introduced", "1.0"), ("fixed", "2.0")], "0.9", False),
        ([("introduced", "1.0"), ("fixed", "2.0")], "1.0.0", True),
        ([("introduced", "1.0"), ("last_affected", "1.5")], "1.5", True),
        ([("introduced", "1.0"), ("last_affected", "1.5")], "1.5.post1", False),
        ([ZERO, ("fixed", "1.0"), ("introduced", "2.0"), ("fixed", "2.5")], "1.5", False),
        ([("introduced", "2.0"), ("fixed", "2.5"), ZERO, ("fixed", "1.0")], "2.1", True),
        ([("introduced", "2.0"), ("fixed", "2.5"), ZERO, ("fixed", "1.0")], "0.5", True),
        ([("introduced", "1.0"), ("fixed", "1.0")], "1.0", False),
        ([ZERO, ("limit", "1.0")], "0.9", True),
        ([ZERO, ("limit", "1.0")], "1.0", False),
        ([ZERO, ("limit", "*")], "9", True),
        ([ZERO, ("limit", "1.0"), ("limit", "3.0")], "2.0", True),
        ([ZERO, ("fixed", "not a version")], "1.0", False),
        ([ZERO, ("fixed", "2.0")], "not a version", False),
        ([ZERO, ("fixed", "1!1.0")], "2026.1", True),
    ],
)
def test_range_of_events(events: list[tuple[str, str]], version: str, expected: bool) -> None:
    assert is_affected(ranged("X-1", *events), version) is expected


def test_listed_version_is_affected_in_any_spelling() -> None:
    document = osv("X-1")
    document["affected"][0] |= {"ranges": [], "versions": ["1.0", "1.1rc1", "odd version"]}
    assert [version for version in ("1.0", "1.0.0", "1.1.rc1", "1.1") if is_affected(document, version)] == [
        "1.0", "1.0.0", "1.1.rc1",
    ]  # fmt: skip


def test_list_counts_where_the_range_cannot_be_read() -> None:
    document = ranged("X-1", ZERO, ("fixed", "??"))
    document["affected"][0]["versions"] = ["1.0"]
    assert is_affected(document, "1.0")
    assert not is_affected(document, "1.1")


@pytest.mark.parametrize(
    ("ecosystem", "kind", "fixed", "version", "expected"),
    [
        ("npm", "SEMVER", "1.0.0", "1.0.0-rc.1", True),
        ("npm", "SEMVER", "1.0.0-rc.2", "1.0.0-rc.10", False),
        ("npm", "SEMVER", "1.0.0-alpha.1", "1.0.0-alpha", True),
        ("npm", "SEMVER", "1.0.0", "1.0.0+build.5", False),
        ("Go", "SEMVER", "1.21.5", "v1.21.4", True),
        ("crates.io", "SEMVER", "0.10.55", "0.9.80", True),
        ("CRAN", "ECOSYSTEM", "1.0-5", "1.0_4", True),
        ("CRAN", "ECOSYSTEM", "1.0-5", "1.0_5", False),
        ("conda", "ECOSYSTEM", "1.1.1w", "1.1.1u", True),
        ("conda", "ECOSYSTEM", "1.1.1w", "1.1.1w", False),
        ("Unheard", "ECOSYSTEM", "2.0", "1.0", False),
    ],
)
def test_each_ecosystem_has_its_own_order(ecosystem: str, kind: str, fixed: str, version: str, expected: bool) -> None:
    document = ranged("X-1", ZERO, ("fixed", fixed), ecosystem=ecosystem)
    document["affected"][0]["ranges"][0]["type"] = kind
    assert is_affected(document, version) is expected


def test_ecosystem_without_an_order_still_has_lists() -> None:
    document = osv("X-1", ecosystem="Unheard")
    document["affected"][0] |= {"ranges": [], "versions": ["r7"]}
    assert is_affected(document, "r7")
    assert not is_affected(document, "r8")


def test_tags_of_a_repository_count_as_versions() -> None:
    affected = {
        "ranges": [{"type": "GIT", "repo": "https://github.com/Madler/zlib.git", "events": [{"introduced": "0"}]}],
        "versions": ["v1.2.11", "zlib-1.2.12"],
    }
    document = {"id": "OSV-1", "modified": "2026-01-01T00:00:00Z", "affected": [affected]}
    (found,) = parse_osv(json.dumps(document).encode()).affected
    assert (found.ecosystem, found.name) == ("GIT", "github.com/madler/zlib")
    assert [one for one in ("1.2.11", "1.2.12", "1.2.13") if is_affected(document, one)] == ["1.2.11", "1.2.12"]


@pytest.mark.parametrize(
    ("builds", "expected"),
    [
        (Builds(version="1.0", build="h1_0"), True),
        (Builds(version="1.0", build="h1_1"), False),
        (Builds(version="1.1", build="h1_0"), False),
        (Builds(build_number=0), True),
        (Builds(build_number=1), False),
        (Builds(subdir="linux-64"), False),
        (Builds(sha256=SHA.hex()), True),
        (Builds(sha256="00" * 32), False),
    ],
)
def test_conda_purl_means_one_build(builds: Builds, expected: bool) -> None:
    matcher = Matcher(Affected("conda", "demo", builds=builds))
    assert (matcher.why("1.0", record("1.0", "h1_0")) is not None) is expected

from itertools import pairwise

import pytest

from headgate.conda.records import Record
from headgate.conda.specs import age_key, compare_versions, matches, parse_spec, version_key
from headgate.kernel.errors import Invalid
from tests.unit.conda.making import wire_record


@pytest.mark.parametrize("text", ["", " ", "demo ==", "demo*", "demo[md5=xx]", "a/b/c d e\0"])
def test_other_specs_are_refused(text: str) -> None:
    with pytest.raises(Invalid) as error:
        parse_spec(text)
    assert error.value.code == "match-spec-invalid"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("demo", True),
        ("demo >=1,<2", True),
        ("demo >=2", False),
        ("demo 1.0 py311*", False),
        ("demo 1.0 0", True),
        ("other", False),
        ("demo[license=MIT]", True),
        ("demo[build_number='>0']", False),
        ("demo[subdir=win-64]", False),
        ("demo[subdir=linux-64]", True),
        ("x/win-64::demo", False),
        (f"demo[sha256={wire_record()['sha256'].hex()}]", True),
        (f"demo[sha256={'0' * 64}]", False),
    ],
)
def test_specs_match_as_clients_match(spec: str, expected: bool) -> None:
    record = wire_record(license="MIT")
    plain = record | {"sha256": record["sha256"].hex(), "md5": record["md5"].hex()}
    assert matches(parse_spec(spec), record) is expected
    assert matches(parse_spec(spec), plain) is expected


@pytest.mark.parametrize(
    "oddity",
    [
        {"version": "1 0"},
        {"version": 5},
        {"name": None},
        {"name": "a b"},
        {"build": "a b"},
        {"build_number": "1"},
        {"build_number": -1},
        {"license": 5},
        {"md5": "zz"},
    ],
)
def test_records_that_make_no_sense_match_nothing(oddity: Record) -> None:
    assert matches(parse_spec("demo"), wire_record(**oddity)) is False


def test_versions_compare_as_conda_compares() -> None:
    assert compare_versions("1.0", "1.0.0") == 0
    assert compare_versions("1.0rc1", "1.0") == -1
    assert compare_versions("1!0.1", "2025.1") == 1
    with pytest.raises(Invalid) as error:
        version_key("1..2")
    assert error.value.code == "version-invalid"


def test_age_counts_version_then_build_number_then_time() -> None:
    records = [
        wire_record(version="not a version"),
        wire_record(version="1.9", build="9"),
        wire_record(version="1.10", build="0", timestamp=1_600_000_001),
        wire_record(version="1.10", build="1", timestamp=1_600_000_000),
        wire_record(version="1.10", build="1", timestamp=1_600_000_002),
    ]
    assert all(age_key(older) < age_key(newer) for older, newer in pairwise(records))

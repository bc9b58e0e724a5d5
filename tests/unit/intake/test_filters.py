"""Every filter by itself, and what they come to together."""

from datetime import date
from typing import Any

import msgspec
import pytest

from headgate.channels.filters import NO_FILTERS, FilterSettings
from headgate.conda.records import Record
from headgate.conda.shards import Shard
from headgate.intake.filters import Cause, Known, Sieve
from headgate.kernel.errors import Invalid

OLD, NEW = 1_600_000_000_000, 1_700_000_000_000  # 2020-09-13 and 2023-11-14


def record(filename: str, **more: Any) -> Record:
    name, version, build = filename.removesuffix(".conda").removesuffix(".tar.bz2").rsplit("-", 2)
    return {"name": name, "version": version, "build": build, "build_number": 0, "subdir": "noarch", **more}


def held_back(given: dict[str, Any], files: dict[str, dict[str, Any]], known: Known = Known()) -> dict[str, Cause]:  # noqa: B008 - frozen
    """File name -> filter, of what these filters hold back of the package `demo`."""
    filters = msgspec.convert(given, FilterSettings)
    filters.check()
    shard = Shard()
    for filename, more in files.items():
        (shard.conda if filename.endswith(".conda") else shard.packages)[filename] = record(filename, **more)
    sifted = Sieve(filters).sift("demo", shard, known)
    assert {name for name, _ in sifted.passed.records()} == files.keys() - sifted.held_back.keys()
    assert all(reason.sentence.endswith(".") for reason in sifted.held_back.values())
    return {filename: reason.cause for filename, reason in sifted.held_back.items()}


ONE, TWO = "demo-1.0-0.conda", "demo-2.0-0.conda"
BOTH: dict[str, dict[str, Any]] = {ONE: {}, TWO: {}}


@pytest.mark.parametrize(
    ("given", "files", "expected"),
    [
        pytest.param({}, BOTH, {}, id="no filter"),
        pytest.param({"only_specs": ["demo >=2"]}, BOTH, {ONE: "only_specs"}, id="only_specs"),
        pytest.param({"only_specs": ["other"]}, BOTH, {ONE: "only_specs", TWO: "only_specs"}, id="another name"),
        pytest.param({"only_specs": ["demo 1.*", "demo 2.*"]}, BOTH, {}, id="any of only_specs"),
        pytest.param({"exclude_specs": ["demo <2"]}, BOTH, {ONE: "exclude_specs"}, id="exclude_specs"),
        pytest.param({"exclude_specs": ["demo"], "include_specs": ["demo 2.*"]}, BOTH, {ONE: "exclude_specs"},
                     id="include_specs"),
        pytest.param({"include_specs": ["demo 2.*"]}, BOTH, {}, id="include_specs alone holds nothing back"),
        pytest.param({"exclude_specs": ["demo[build=0]"]}, {ONE: {}}, {ONE: "exclude_specs"}, id="a spec with keys"),
        pytest.param({"include_licenses": ["mit"]}, {ONE: {"license": "MIT"}, TWO: {"license": "GPL-3.0"}},
                     {TWO: "license"}, id="include_licenses"),
        pytest.param({"exclude_licenses": ["gpl3"]}, {ONE: {"license": "MIT"}, TWO: {"license": "GPL-3.0-or-later"}},
                     {TWO: "license"}, id="exclude_licenses"),
        pytest.param({"exclude_licenses": ["gpl3"]}, {ONE: {"license": "MIT OR GPL-3.0-only"}}, {},
                     id="a choice that can be made well"),
        pytest.param({"exclude_licenses": ["gpl3"]}, {ONE: {"license": "MIT AND GPL-3.0-only"}}, {ONE: "license"},
                     id="all of an AND"),
        pytest.param({"exclude_licenses": ["GPL-3.0-only"]},
                     {ONE: {"license": "GPL-3.0-only"}, TWO: {"license": "GPL-3.0-or-later"}}, {ONE: "license"},
                     id="a licence by name"),
        pytest.param({"exclude_licenses": ["none"]}, {ONE: {}, TWO: {"license": "MIT"}}, {ONE: "license"},
                     id="no licence at all"),
        pytest.param({"exclude_licenses": ["public_domain"]}, {ONE: {"license": "CC0-1.0"}}, {ONE: "license"},
                     id="public_domain"),
        pytest.param({"date_from": "2022-01-01"}, {ONE: {"timestamp": OLD}, TWO: {"timestamp": NEW}}, {ONE: "date"},
                     id="date_from"),
        pytest.param({"date_to": "2022-01-01"}, {ONE: {"timestamp": OLD}, TWO: {"timestamp": NEW}}, {TWO: "date"},
                     id="date_to"),
        pytest.param({"date_from": "2023-11-14", "date_to": "2023-11-14"}, {ONE: {"timestamp": NEW}}, {},
                     id="both days belong to it"),
        pytest.param({"date_to": "2022-01-01"}, {ONE: {"timestamp": OLD // 1000}}, {}, id="old builds wrote seconds"),
        pytest.param({"date_to": "2022-01-01"}, {ONE: {}}, {ONE: "date"}, id="no time of its build"),
        pytest.param({"dedupe_conda_legacy": True}, {ONE: {}, "demo-1.0-0.tar.bz2": {}, "demo-2.0-0.tar.bz2": {}},
                     {"demo-1.0-0.tar.bz2": "duplicated_legacy_conda"}, id="dedupe_conda_legacy"),
        pytest.param({"dedupe_conda_legacy": True, "date_from": "2022-01-01"},
                     {ONE: {"timestamp": OLD}, "demo-1.0-0.tar.bz2": {"timestamp": NEW}}, {ONE: "date"},
                     id="what does not pass hides nothing"),
        pytest.param({"only_signed": True}, {ONE: {}, TWO: {"attestations_sha256": "ab" * 32}}, {ONE: "signed"},
                     id="only_signed"),
    ],
)  # fmt: skip
def test_each_filter(given: dict[str, Any], files: dict[str, dict[str, Any]], expected: dict[str, str]) -> None:
    assert held_back(given, files) == expected


def test_dependencies_pass_only_specs_and_nothing_else() -> None:
    known = Known(dependencies={ONE, TWO})
    assert held_back({"only_specs": ["other"]}, BOTH, known) == {}
    files = {ONE: {"license": "MIT"}, TWO: {"license": "AGPL-3.0"}}
    assert held_back({"only_specs": ["other"], "exclude_licenses": ["agpl"]}, files, known) == {TWO: Cause.LICENSE}


def test_signatures_of_the_index_count() -> None:
    assert held_back({"only_signed": True}, BOTH, Known(signed={TWO})) == {ONE: Cause.SIGNED}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"only_specs": ["a"], "exclude_specs": ["b"]}, "filter-invalid"),
        ({"only_specs": ["a"], "include_specs": ["b"]}, "filter-invalid"),
        ({"include_dependencies": True}, "filter-invalid"),
        ({"include_licenses": ["mit"], "exclude_licenses": ["gpl3"]}, "filter-invalid"),
        ({"date_from": "2023-01-02", "date_to": "2023-01-01"}, "filter-invalid"),
        ({"only_specs": ["a >=>"]}, "match-spec-invalid"),
        ({"cve_score_threshold": 7.0}, "filter-unsupported"),
        ({"cve_score_exceptions": ["CVE-2020-1234"]}, "filter-unsupported"),
        ({"exclude_non_curated_cve": True}, "filter-unsupported"),
        ({"exclude_cve_statuses": ["active"]}, "filter-unsupported"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], code: str) -> None:
    with pytest.raises(Invalid) as refused:
        msgspec.convert(given, FilterSettings).check()
    assert refused.value.code == code


def test_key_tells_filters_apart_and_none_from_some() -> None:
    assert NO_FILTERS.key is None
    assert FilterSettings(date_from=date(2022, 1, 1)).key != FilterSettings(date_to=date(2022, 1, 1)).key
    assert FilterSettings(only_specs=("a",)).key == FilterSettings(only_specs=("a",)).key

"""The affected records of real channels equal those that a slow matcher, written from the OSV schema alone, finds."""

import json
import re
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import zstandard
from packaging.version import InvalidVersion, Version

from headgate.advisories.findings import Coverage
from headgate.conda.records import to_wire
from tests.unit.advisories.conftest import Room


def read_advisories(data: Path) -> list[dict[str, Any]]:
    with zipfile.ZipFile(data / "advisories" / "pypi-osv.zip") as archive:
        return [json.loads(archive.read(name)) for name in archive.namelist()]


def read_records(data: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for folder in sorted((data / "conda-forge-subset").iterdir()):
        packed = (folder / "repodata.json.zst").read_bytes()
        document = json.loads(zstandard.ZstdDecompressor().decompressobj().decompress(packed))
        for group in ("packages", "packages.conda"):
            for filename, record in document[group].items():
                yield folder.name, filename, record


@cache
def read_version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def is_listed(version: Version, versions: list[str]) -> bool:
    """IncludedInVersions."""
    return any(read_version(one) == version for one in versions)


def is_in_ranges(version: Version, ranges: list[dict[str, Any]]) -> bool:
    """IncludedInRanges; a GIT range knows commits, not versions."""
    for one in ranges:
        if one["type"] == "GIT":
            continue
        events = [(kind, text) for event in one["events"] for kind, text in event.items()]
        if any(text != "0" and read_version(text) is None for _, text in events):
            continue
        lowest = Version("0.dev0")
        keyed = sorted(
            ((lowest if text == "0" else Version(text), kind) for kind, text in events), key=lambda pair: pair[0]
        )
        vulnerable = False
        for at, kind in keyed:
            if kind == "introduced" and version >= at:
                vulnerable = True
            if kind == "fixed" and version >= at:
                vulnerable = False
            if kind == "last_affected" and version > at:
                vulnerable = False
        if vulnerable:
            return True
    return False


def groups(advisories: list[dict[str, Any]]) -> dict[str, str]:
    """id or alias -> one name for the vulnerability; by repeated passes until nothing moves."""
    leader: dict[str, str] = {}
    sets = [{one["id"], *one.get("aliases", ())} for one in advisories if "withdrawn" not in one]
    has_moved = True
    while has_moved:
        has_moved = False
        for names in sets:
            least = min(leader.get(name, name) for name in names)
            for name in names:
                if leader.get(name) != least:
                    leader[name], has_moved = least, True
    return leader


def slow_matches(data: Path) -> set[tuple[str, str, str]]:
    """(subdir, file, vulnerability), record by record."""
    names: dict[str, list[str] | None] = json.loads((data / "names" / "conda-forge-to-pypi.json").read_text())
    advisories = read_advisories(data)
    leader = groups(advisories)
    by_package = defaultdict(list)
    for advisory in advisories:
        for affected in advisory["affected"] if "withdrawn" not in advisory else ():
            package = re.sub(r"[-_.]+", "-", affected["package"]["name"]).lower()
            by_package[package].append((leader[advisory["id"]], affected))
    found = set()
    for subdir, filename, record in read_records(data):
        version = read_version(record["version"])
        for package in names.get(record["name"]) or () if version else ():
            for vulnerability, affected in by_package[re.sub(r"[-_.]+", "-", package).lower()]:
                assert version is not None
                if is_listed(version, affected.get("versions", [])) or is_in_ranges(
                    version, affected.get("ranges", [])
                ):
                    found.add((subdir, filename, vulnerability))
    return found


@pytest.mark.slow
async def test_affected_set_equals_that_of_a_slow_matcher(room: Room, data: Path) -> None:
    outcome = await room.take(data / "names" / "conda-forge-to-pypi.json", feed="names", is_whole=True)
    assert outcome.names > 33_000
    outcome = await room.take(data / "advisories" / "pypi-osv.zip", feed="pypi", is_whole=True)
    assert (outcome.statements, outcome.problems) == (2661, [])
    leader = groups(read_advisories(data))
    by_name: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    for subdir, filename, record in read_records(data):
        by_name[subdir, record["name"]][filename] = to_wire(record)
    found, coverage = set(), Counter[Coverage]()
    for (subdir, name), records in by_name.items():
        for filename, assessment in room.book.assess(name, records).items():
            coverage[assessment.coverage] += 1
            found |= {(subdir, filename, leader[one.advisory]) for one in assessment.findings}
    assert found == slow_matches(data)
    assert len(found) > 100
    assert coverage[Coverage.CHECKED] > 10_000
    assert coverage[Coverage.NOT_CHECKED] > 10_000

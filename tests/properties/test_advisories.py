"""Laws of advisories: merging heeds no order, matching agrees with the schema's own words, what is written is read."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from headgate.advisories.matching import Matcher
from headgate.advisories.merging import group, merge
from headgate.advisories.osv import parse_osv
from headgate.advisories.statements import (
    Affected,
    Event,
    Range,
    RangeKind,
    Statement,
    pack,
    unpack_affected,
    unpack_statement,
)
from headgate.kernel.errors import Invalid

IDS = st.sampled_from(["CVE-1", "CVE-2", "GHSA-a", "GHSA-b", "PYSEC-1", "PYSEC-2", "MAL-1"])
VERSIONS = st.sampled_from(["0", "0.1", "1.0a1", "1.0", "1.0.post1", "1.1", "2.0rc1", "2.0", "10.0", "1!0.1"])
RELEASES = VERSIONS.filter(lambda version: version != "0")
EVENTS = st.lists(st.builds(Event, st.sampled_from(["introduced", "fixed", "last_affected"]), VERSIONS), max_size=5)
RANGES = st.builds(Range, st.just(RangeKind.ECOSYSTEM), EVENTS.map(tuple))
AFFECTED = st.builds(
    Affected,
    st.just("PyPI"),
    st.sampled_from(["demo", "other"]),
    st.lists(RANGES, max_size=2).map(tuple),
    st.lists(RELEASES, max_size=3).map(tuple),
)
STATEMENTS = st.builds(
    Statement,
    id=IDS,
    aliases=st.lists(IDS, max_size=3).map(tuple),
    withdrawn=st.sampled_from([None, None, "2026-01-01T00:00:00Z"]),
    affected=st.lists(AFFECTED, max_size=2).map(tuple),
)
PAIRS = st.lists(
    st.tuples(st.sampled_from(["pypi", "ghsa"]), STATEMENTS), max_size=8, unique_by=lambda one: (one[0], one[1].id)
)


@given(PAIRS, st.randoms())
def test_merging_heeds_no_order(pairs: list[tuple[str, Statement]], random: Random) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)
    assert [merge(one) for one in group(pairs)] == [merge(one) for one in group(shuffled)]


@given(PAIRS)
def test_every_statement_is_in_one_group_and_live_ids_are_in_one_advisory(pairs: list[tuple[str, Statement]]) -> None:
    groups = group(pairs)
    assert sorted((feed, one.id) for found in groups for feed, one in found) == sorted(
        (feed, one.id) for feed, one in pairs
    )
    names = [name for one in map(merge, groups) for name in (one.id, *one.aliases)]
    assert len(names) == len(set(names))


@given(PAIRS)
def test_a_withdrawn_statement_affects_nothing(pairs: list[tuple[str, Statement]]) -> None:
    live = {found for _, one in pairs if not one.withdrawn for found in one.affected}
    assert {found for one in map(merge, group(pairs)) for found in one.affected} == live


def is_vulnerable(affected: Affected, version: str) -> bool:
    """The pseudo-code of the schema, line by line."""
    at = Version(version)
    if any(Version(one) == at for one in affected.versions):
        return True
    for one in affected.ranges:
        vulnerable = False
        for event in sorted(one.events, key=lambda event: (event.version != "0", Version(event.version))):
            is_first = event.version == "0"
            if event.kind == "introduced" and (is_first or at >= Version(event.version)):
                vulnerable = True
            if event.kind == "fixed" and (is_first or at >= Version(event.version)):
                vulnerable = False
            if event.kind == "last_affected" and (is_first or at > Version(event.version)):
                vulnerable = False
        if vulnerable:
            return True
    return False


@given(AFFECTED, RELEASES)
def test_matching_agrees_with_the_words_of_the_schema(affected: Affected, version: str) -> None:
    assert (Matcher(affected).why(version, {}) is not None) == is_vulnerable(affected, version)


@given(STATEMENTS)
def test_what_is_packed_is_unpacked(statement: Statement) -> None:
    assert unpack_statement(pack(statement)) == statement
    assert unpack_affected(pack(statement.affected)) == statement.affected


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_bytes_that_are_no_advisory_are_refused_in_a_sentence(data: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        parse_osv(data)
    assert caught.value.code == "advisory-invalid"

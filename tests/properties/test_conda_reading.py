"""Laws of outlines: by whichever outline a document is read, the same is read, and it is what the document says."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.conda import reading as way
from headgate.conda.outlines import Outline
from headgate.conda.reading import Reading, read_document
from headgate.conda.repodata import split_repodata

NAMES = st.sampled_from(["demo", "demo-x", "_lib", "zz.top", "Not", "a b"])
STEMS = st.builds("{}-{}-{}".format, NAMES, st.sampled_from(["1", "1!2.0_3", "2"]), st.sampled_from(["0", "h1_2"]))
# Some are no file names; some look like what a shortened document has in it.
KEYS = STEMS | st.sampled_from(["x", "/0/0", "/0/1", "/1/2", "Ünï-1-0"])
NESTED = st.just({"demo-1-0.conda": {"x": 1}, "/0/0": 0})
RECORDS = st.fixed_dictionaries({"x": st.integers(0, 3) | st.sampled_from(["}", '"},', "é"]) | NESTED}) | st.just(0)
DUMPS: dict[str, dict[str, Any]] = {
    "compact": {"separators": (",", ":")},
    "default": {},
    "lines": {"indent": 2},
    "tabs": {"indent": "\t"},
    "text": {"separators": (",", ":"), "ensure_ascii": False},
}


def maps(extension: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(KEYS.map(lambda key: key + extension), RECORDS, max_size=8)


DOCUMENTS = st.fixed_dictionaries(
    {"info": st.dictionaries(st.sampled_from(["subdir", "packages", "demo-1-0.conda"]), st.integers(0, 2), max_size=2)},
    optional={
        "packages": maps(".tar.bz2") | maps(""),
        "packages.conda": maps(".conda") | maps(""),
        "v3": st.fixed_dictionaries({"whl": st.dictionaries(STEMS, st.just({"name": "demo"}), max_size=2)}),
        "removed": st.lists(KEYS, max_size=2),
        "more": st.integers(0, 1),
    },
)
MAPS = ("packages", "packages.conda")


@pytest.fixture(scope="module", autouse=True)
def however_little_is_found() -> Iterator[None]:
    """Documents as small as these would mostly be read as a whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(way, "_LEAST_FOUND", 0)
        yield


@st.composite
def next_ones(draw: st.DrawFn, before: Mapping[str, Any]) -> dict[str, Any]:
    """Most of a document, some of it changed, moved, or turned around."""
    other = draw(DOCUMENTS)
    after = {**before, **{key: other[key] for key in draw(st.sets(st.sampled_from(sorted(other))))}}
    for key in MAPS:
        kept = {k: v for k, v in before.get(key, {}).items() if draw(st.integers(0, 3))}
        after[key] = kept | draw(maps("")) if draw(st.booleans()) else {**draw(maps(".conda")), **kept}
    if draw(st.booleans()):
        after["packages"], after["packages.conda"] = after["packages.conda"], after["packages"]
    keys = sorted(after) if draw(st.booleans()) else list(after)
    return {
        key: dict(sorted(after[key].items())) if key in MAPS and draw(st.booleans()) else after[key] for key in keys
    }


@st.composite
def two_days(draw: st.DrawFn) -> tuple[bytes, bytes]:
    before = draw(DOCUMENTS)
    after = draw(next_ones(before))
    how = draw(st.sampled_from(sorted(DUMPS)))
    later = draw(st.sampled_from(sorted({how, "compact"})))
    return json.dumps(before, **DUMPS[how]).encode(), json.dumps(after, **DUMPS[later]).encode()


def what_it_says(reading: Reading) -> dict[str, Any]:
    names = {name: reading.fragments(name) for name in reading.fingerprints}
    return {
        "info": reading.info,
        "skipped": reading.skipped,
        "extras": {key: bytes(raw) for key, raw in reading.extras.items()},
        "names": {
            name: [
                {key: bytes(raw) for key, raw in records.items()}
                for records in (one.packages, one.conda, *(one.v3[group] for group in sorted(one.v3)))
            ]
            + [sorted(one.removed)]
            for name, one in names.items()
        },
    }


def runs_of(reading: Reading) -> object:
    """Without the style, of which a document with few members does not tell."""
    outline = reading.outline
    return None if outline is None else (outline.firsts, outline.lengths, outline.digests)


@given(two_days())
def test_the_same_is_read_by_any_outline_and_by_none(days: tuple[bytes, bytes]) -> None:
    before, after = map(read_document, days)
    if before.outline is not None:
        kept = Outline.unpack(before.outline.pack())
        again = read_document(days[1], kept)
        assert what_it_says(again) == what_it_says(after)
        assert again.fingerprints == after.fingerprints
        assert runs_of(again) == runs_of(after)


@given(two_days())
def test_what_is_read_is_what_the_document_says(days: tuple[bytes, bytes]) -> None:
    for day in days:
        reading, split = read_document(day), split_repodata(day)
        assert (reading.info, reading.skipped) == (split.info, split.skipped)
        assert {name: reading.fragments(name) for name in reading.fingerprints} == split.names


@given(two_days())
def test_a_fingerprint_changes_when_a_record_does(days: tuple[bytes, bytes]) -> None:
    before, after = map(read_document, days)
    said = what_it_says(before)["names"], what_it_says(after)["names"]
    for name in before.fingerprints.keys() & after.fingerprints.keys():
        if said[0][name] != said[1][name]:
            assert before.fingerprints[name] != after.fingerprints[name]

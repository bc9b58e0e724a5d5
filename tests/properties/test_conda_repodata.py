"""Laws of repodata and shards.

Repodata taken apart, put into shards and rendered again is the same, field for field. The bytes of a shard do not
depend on the order in which it was filled. Merging is associative and the earlier shard wins.
"""

import json
import random
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from headgate.conda.names import package_of
from headgate.conda.records import from_wire, to_wire
from headgate.conda.repodata import render_repodata, split_repodata
from headgate.conda.shards import Shard, decode_shard, encode_shard, merge_shards

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
INTEGERS = st.integers(-(2**63), 2**64 - 1)
SCALARS = st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))
HEX = st.binary(min_size=16, max_size=16).map(bytes.hex)
KNOWN = {
    "md5": HEX,
    "sha256": st.binary(min_size=32, max_size=32).map(bytes.hex),
    "legacy_bz2_md5": HEX,
    "depends": st.lists(TEXT, max_size=3),
    "size": INTEGERS,
    "indexed_timestamp": st.integers(0, 2**53),  # CEP 47
    "extra_depends": st.dictionaries(TEXT, st.lists(TEXT, max_size=2), max_size=2),  # CEP 44
    "flags": st.lists(st.sampled_from(["cuda", "blas:mkl"]), max_size=2),  # CEP 45
    "noarch": st.sampled_from(["python", "generic", None]),
}
OWN = {*KNOWN, "name", "run_exports"}
NAMES = st.sampled_from(["demo", "demo-x", "_lib", "zz.top"])
STEMS = st.builds("{}-{}-{}".format, NAMES, st.sampled_from(["1", "1!2.0_3"]), st.sampled_from(["0", "h1_2"]))


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    known = draw(st.fixed_dictionaries({}, optional=KNOWN))
    return known | draw(st.dictionaries(TEXT.filter(lambda key: key not in OWN), VALUES, max_size=3))


def maps(extension: str) -> st.SearchStrategy[dict[str, dict[str, Any]]]:
    return st.dictionaries(STEMS.map(lambda stem: stem + extension), records(), max_size=5)


@st.composite
def groups(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """CEP 48: keyed by stem; the name is in the record."""
    chosen = draw(st.dictionaries(st.sampled_from(["conda", "tar.bz2", "whl"]), maps(""), max_size=3))
    return {
        group: {stem: record | {"name": package_of(stem)} for stem, record in members.items()}
        for group, members in chosen.items()
        if members
    }


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    document = {
        "info": draw(st.dictionaries(TEXT, VALUES, max_size=3)),  # CEP 42: channel_relations and what is to come
        "packages": draw(maps(".tar.bz2")),
        "packages.conda": draw(maps(".conda")),
        "removed": sorted(draw(st.sets(STEMS.map(lambda stem: stem + ".conda"), max_size=3))),
        "repodata_version": 1,
    }
    document |= {"v3": v3} if (v3 := draw(groups())) else {}
    known = {*document, "v3"}
    return document | draw(st.dictionaries(TEXT.filter(lambda key: key not in known), VALUES, max_size=2))


def wire(plain: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {key: to_wire(record) for key, record in plain.items()}


@st.composite
def shards(draw: st.DrawFn) -> Shard:
    return Shard(
        packages=wire(draw(maps(".tar.bz2"))),
        conda=wire(draw(maps(".conda"))),
        v3={group: wire(members) for group, members in draw(groups()).items()},
        removed=sorted(draw(st.sets(STEMS.map(lambda stem: stem + ".conda"), max_size=3))),
    )


SAYINGS = st.dictionaries(st.sampled_from("abcd"), st.fixed_dictionaries({"says": st.integers(0, 9)}), max_size=4)


@st.composite
def sources(draw: st.DrawFn) -> Shard:
    """Shards that often speak of the same files and then differ."""
    return Shard(
        packages={f"{key}.tar.bz2": record for key, record in draw(SAYINGS).items()},
        conda={f"{key}.conda": record for key, record in draw(SAYINGS).items()},
        v3=draw(st.dictionaries(st.sampled_from(["conda", "tar.bz2"]), SAYINGS, max_size=2)),
        removed=sorted(draw(st.sets(st.sampled_from(["a.conda", "b.conda", "c.tar.bz2"])))),
    )


def strict(value: object) -> str:
    """Tells 1 from 1.0 and True, which `==` does not."""
    return json.dumps(value, sort_keys=True)


@given(documents(), st.booleans())
def test_repodata_survives_shards_field_for_field(document: dict[str, Any], ascii_only: bool) -> None:
    repodata = split_repodata(json.dumps(document, ensure_ascii=ascii_only).encode())
    assert repodata.skipped == []
    packed = [encode_shard(repodata.names[name].decode())[1] for name in sorted(repodata.names)]
    pieces = render_repodata(repodata.info, map(decode_shard, packed), extras=repodata.extras)
    assert strict(json.loads(b"".join(pieces))) == strict(document)


@given(records())
def test_records_survive_their_wire_form(record: dict[str, Any]) -> None:
    assert strict(from_wire(to_wire(record))) == strict(record)


def shuffled(value: Any, rng: random.Random) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: shuffled(value[key], rng) for key in rng.sample(list(value), len(value))}


@given(shards(), st.randoms(use_true_random=False))
def test_bytes_of_a_shard_do_not_depend_on_order(shard: Shard, rng: random.Random) -> None:
    turned = Shard(
        packages=shuffled(shard.packages, rng),
        conda=shuffled(shard.conda, rng),
        v3=shuffled(shard.v3, rng),
        removed=rng.sample(shard.removed, len(shard.removed)),
    )
    assert encode_shard(turned) == encode_shard(shard)
    assert encode_shard(decode_shard(encode_shard(shard)[1])) == encode_shard(shard)


@given(sources(), sources(), sources())
def test_merging_is_associative(first: Shard, second: Shard, third: Shard) -> None:
    left = merge_shards([merge_shards([first, second]), third])
    right = merge_shards([first, merge_shards([second, third])])
    assert encode_shard(left) == encode_shard(right) == encode_shard(merge_shards([first, second, third]))


@given(st.lists(sources(), max_size=3))
def test_the_first_shard_that_knows_a_file_decides_on_it(layers: list[Shard]) -> None:
    merged = merge_shards(layers)
    for filename in {name for layer in layers for name in (*dict(layer.records()), *layer.removed)}:
        first = next(layer for layer in layers if layer.find(filename) is not None or filename in layer.removed)
        assert merged.find(filename) == first.find(filename)
        assert (filename in merged.removed) == (filename in first.removed)
    assert dict(merged.records()).keys() <= {name for layer in layers for name in dict(layer.records())}


@given(documents(), st.randoms(use_true_random=False))
def test_fingerprints_do_not_depend_on_order_of_files(document: dict[str, Any], rng: random.Random) -> None:
    maps_turned = {
        key: {name: value[name] for name in rng.sample(list(value), len(value))}
        for key, value in document.items()
        if key in {"packages", "packages.conda"}
    }
    first = split_repodata(json.dumps(document).encode()).names
    second = split_repodata(json.dumps(document | maps_turned).encode()).names
    assert {name: first[name].fingerprint() for name in first} == {name: second[name].fingerprint() for name in second}

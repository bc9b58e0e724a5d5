"""The eager document: always what rendering everything would give, and made of what was there."""

import io
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import zstandard

from headgate.channels.eager import Before, EagerDocument, Layout
from headgate.conda.repodata import render_repodata
from headgate.conda.shards import Shard, decode_stored, encode_shard
from tests.unit.conda.making import wire_record

INFO = {"subdir": "noarch"}


class Store:
    """Shards by digest, and which of them were asked for."""

    def __init__(self) -> None:
        self.bodies: dict[bytes, bytes] = {}
        self.asked: list[bytes] = []

    def keep(self, shard: Shard) -> bytes:
        digest, body = encode_shard(shard)
        self.bodies[digest] = body
        return digest

    def read(self, digests: Sequence[bytes]) -> Mapping[bytes, bytes]:
        self.asked += digests
        return {digest: self.bodies[digest] for digest in digests}


def shard_of(name: str, version: str, chance: random.Random) -> Shard:
    """A shard with something in some of its maps."""
    kinds = chance.sample(["tar", "conda", "whl", "removed"], chance.randint(1, 4))
    record = wire_record(name, version)
    return Shard(
        packages={f"{name}-{version}-0.tar.bz2": record} if "tar" in kinds else {},
        conda={f"{name}-{version}-0.conda": record} if "conda" in kinds else {},
        v3={"whl": {f"{name}-{version}-py3": record}} if "whl" in kinds else {},
        removed=[f"{name}-0-0.conda"] if "removed" in kinds else [],
    )


def made(store: Store, names: dict[str, bytes], before: tuple[bytes, Layout] | None) -> tuple[bytes, Layout]:
    document = EagerDocument(INFO, names, store.read)
    old = None if before is None else Before(io.BytesIO(before[0]), Layout.unpack(before[1].pack()))
    packed = b"".join(document.pieces(old))
    return packed, document.layout


def plain(packed: bytes) -> bytes:
    reader = zstandard.ZstdDecompressor().decompressobj()
    found: bytes = reader.decompress(packed)
    assert reader.eof
    assert reader.unused_data == b""
    return found


def expected(store: Store, names: dict[str, bytes]) -> bytes:
    return b"".join(render_repodata(INFO, [decode_stored(store.bodies[names[name]]) for name in sorted(names)]))


@pytest.mark.parametrize("count", [0, 1, 40, 700])
def test_each_day_gives_what_rendering_everything_would(count: int) -> None:
    chance, store = random.Random(count), Store()
    names = {f"name{number}": store.keep(shard_of(f"name{number}", "1", chance)) for number in range(count)}
    before = made(store, names, None)
    assert plain(before[0]) == expected(store, names)
    for day in range(4):
        for number in chance.sample(range(count + 5), min(5, count + 5)):
            name = f"name{number}"
            if chance.random() < 0.3:
                names.pop(name, None)
            else:
                names[name] = store.keep(shard_of(name, str(day + 2), chance))
        before = made(store, names, before)
        assert plain(before[0]) == expected(store, names)


def test_one_changed_name_costs_its_group_and_no_other() -> None:
    chance, store = random.Random(1), Store()
    names = {f"name{number}": store.keep(shard_of(f"name{number}", "1", chance)) for number in range(2_000)}
    before = made(store, names, None)
    store.asked.clear()
    assert made(store, names, before)[0] == before[0]
    assert store.asked == [], "nothing changed, nothing is read"
    names["name1000"] = store.keep(shard_of("name1000", "2", chance))
    made(store, names, before)
    assert names["name1000"] in store.asked
    assert len(store.asked) < 400


def test_layout_of_another_time_is_none() -> None:
    assert Layout.unpack(b"garbage") == Layout()
    assert Layout.unpack(Layout(rendering=0, groups={b"x": (b"", [])}).pack()) == Layout()  # type: ignore[dict-item]


def test_names_are_escaped_as_json() -> None:
    store = Store()
    info: dict[str, Any] = {"subdir": "noarch", "note": 'a "quoted" word'}
    document = EagerDocument(info, {}, store.read)
    assert plain(b"".join(document.pieces(None))) == b"".join(render_repodata(info, []))

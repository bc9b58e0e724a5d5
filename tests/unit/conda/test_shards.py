import hashlib
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
import zstandard

from headgate.conda.shards import Shard, decode_index, decode_shard, encode_index, encode_shard, merge_shards
from headgate.kernel.errors import Invalid
from tests.unit.conda.making import wire_record


def packed(value: object) -> bytes:
    return zstandard.compress(msgspec.msgpack.encode(value))


def some_shard() -> Shard:
    return Shard(
        packages={"demo-1.0-0.tar.bz2": wire_record()},
        conda={"demo-1.0-0.conda": wire_record()},
        v3={"whl": {"demo-1.0-py3-none-any": wire_record(build="py3_none_any")}},
        removed=["demo-0.9-0.conda"],
    )


def test_digest_is_that_of_the_compressed_bytes() -> None:
    digest, data = encode_shard(some_shard())
    assert digest == hashlib.sha256(data).digest()
    assert decode_shard(data) == some_shard()


def test_maps_that_clients_index_directly_are_always_there() -> None:
    content = msgspec.msgpack.decode(zstandard.decompress(encode_shard(Shard(v3={"conda": {}}))[1]))
    assert content == {"packages": {}, "packages.conda": {}, "removed": []}


def test_records_come_with_their_file_names_and_are_found_by_them() -> None:
    shard = some_shard()
    records = dict(shard.records())
    assert list(records) == ["demo-1.0-0.tar.bz2", "demo-1.0-0.conda", "demo-1.0-py3-none-any.whl"]
    assert [shard.find(filename) for filename in records] == list(records.values())
    assert shard.find("demo-1.1-0.conda") is None


def test_a_shard_is_empty_only_when_it_says_nothing() -> None:
    assert Shard().is_empty
    assert Shard(v3={"conda": {}}).is_empty
    assert not Shard(removed=["demo-1.0-0.conda"]).is_empty


def test_records_of_another_package_are_pointed_out() -> None:
    shard = some_shard()
    assert shard.find_foreign("demo") == []
    shard.conda["demo-2.0-0.conda"] = wire_record("internal")
    shard.conda["demo-extra-2.0-0.conda"] = wire_record()
    shard.conda["other-2.0-0.conda"] = wire_record()
    shard.removed.append("other-1.0-0.conda")
    assert shard.find_foreign("demo") == [
        "demo-2.0-0.conda",
        "demo-extra-2.0-0.conda",
        "other-2.0-0.conda",
        "other-1.0-0.conda",
    ]


def test_absent_maps_are_empty_and_unknown_keys_are_passed_over() -> None:
    assert decode_shard(packed({"packages": {}, "new": 1})) == Shard()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"\x28\xb5\x2f\xfd",
        zstandard.compress(b""),
        zstandard.compress(b"\xc1"),
        packed([]),
        packed({"packages": []}),
        packed({"packages": {"demo-1.0-0.tar.bz2": 5}}),
        packed({"packages": {5: {}}}),
        packed({"packages": {"a-1-0.conda": {"x": msgspec.msgpack.Ext(5, b"")}}}),
        packed({"packages": {"../a-1-0.conda": {}}}),
        packed({"packages.conda": {"a/b-1-0.conda": {}}}),
        packed({"v3": {"conda": {"..-1-0": {}}}}),
        packed({"removed": ["a-1-0.conda\n"]}),
        zstandard.compress(b"\x91" * 100_000),
        encode_shard(some_shard())[1][:-5],
    ],
)
def test_garbage_is_no_shard(data: bytes) -> None:
    with pytest.raises(Invalid) as error:
        decode_shard(data)
    assert error.value.code == "shard-invalid"


@pytest.mark.parametrize("says_size", [True, False])
def test_bombs_are_not_unpacked(says_size: bool) -> None:
    bomb = zstandard.ZstdCompressor(write_content_size=says_size).compress(bytes(70 << 20))
    with pytest.raises(Invalid) as error:
        decode_shard(bomb)
    assert error.value.code == "shard-invalid"


@pytest.mark.parametrize("value", [2**64, {1: "a", "b": 2}, "\ud800", object()])
def test_values_msgpack_cannot_hold_are_refused(value: object) -> None:
    with pytest.raises(Invalid) as error:
        encode_shard(Shard(conda={"demo-1.0-0.conda": {"odd": value}}))
    assert error.value.code == "shard-invalid"


def test_earlier_shards_win_file_by_file() -> None:
    first = Shard(conda={"demo-1-0.conda": {"from": 1}}, removed=["demo-3-0.conda"])
    second = Shard(
        conda={"demo-1-0.conda": {"from": 2}, "demo-2-0.conda": {"from": 2}, "demo-3-0.conda": {"from": 2}},
        v3={"conda": {"demo-1-0": {"from": 2}, "demo-4-0": {"from": 2}}},
        removed=["demo-1-0.conda", "demo-9-0.conda"],
    )
    merged = merge_shards([first, second])
    assert merged.conda == {"demo-1-0.conda": {"from": 1}, "demo-2-0.conda": {"from": 2}}
    assert merged.v3 == {"conda": {"demo-4-0": {"from": 2}}}
    assert merged.removed == ["demo-3-0.conda", "demo-9-0.conda"]
    assert first.conda == {"demo-1-0.conda": {"from": 1}}


def test_index_says_what_every_client_needs() -> None:
    at = datetime(2026, 11, 20, 14, tzinfo=timezone(timedelta(hours=2)))
    info = {"channel_relations": {"base": "../x"}, "base_url": "https://elsewhere/"}
    data = encode_index("linux-64", {"b": b"\1" * 32, "a": b"\2" * 32}, info=info, created_at=at)
    index = decode_index(data)
    assert index.shards == {"a": b"\2" * 32, "b": b"\1" * 32}
    assert index.info == {
        "subdir": "linux-64",
        "base_url": "",
        "shards_base_url": "./shards/",
        "created_at": "2026-11-20T12:00:00Z",
        "channel_relations": {"base": "../x"},
    }
    assert data == encode_index(
        "linux-64", {"a": b"\2" * 32, "b": b"\1" * 32}, info=info, created_at=at.astimezone(UTC)
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        packed({}),
        packed({"version": 2, "shards": {}}),
        packed({"shards": {"a": b"short"}}),
        packed({"shards": {"../a": b"\0" * 32}}),
        packed({"shards": {"a": "text"}}),
        packed({"shards": [], "info": {}}),
    ],
)
def test_garbage_is_no_index(data: bytes) -> None:
    with pytest.raises(Invalid) as error:
        decode_index(data)
    assert error.value.code == "shard-index-invalid"


def test_an_index_without_version_or_info_is_read() -> None:
    assert decode_index(packed({"shards": {"a": b"\0" * 32}})).info == {}


def test_bombs_are_no_index() -> None:
    with pytest.raises(Invalid):
        decode_index(packed({"info": {"x": bytes(1000)}, "shards": {}}), max_bytes=500)

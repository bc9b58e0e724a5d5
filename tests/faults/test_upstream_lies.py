"""An upstream that lies on the wire: what Outgoing makes of it. What its index files lie is below."""

import bz2
import gzip
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
import zstandard

from headgate.conda.names import Subdir
from headgate.conda.shards import Shard, encode_index, encode_shard
from headgate.http.client import Outgoing
from headgate.http.network import Network
from headgate.intake.upstream import ShardedListing, UpstreamReader
from headgate.kernel.errors import HeadgateError, Invalid, Unavailable
from tests.unit.http.servers import Handler, Talk, content, drips, says, serve, talk

pytestmark = pytest.mark.fault

OK = b"HTTP/1.1 200 OK\r\n"
ZSTD = zstandard.ZstdCompressor()
RECORD = {"name": "a", "version": "1", "build": "0", "build_number": 0, "depends": [], "sha256": "ab" * 32}
DOCUMENT = json.dumps({"info": {"subdir": "noarch"}, "packages": {"a-1-0.tar.bz2": RECORD}}).encode()


@pytest.fixture
async def outgoing() -> AsyncIterator[Outgoing]:
    client = Outgoing(Network(connect_timeout_s=5, stall_timeout_s=2))
    yield client
    await client.close()


# On the wire.


async def body_error(outgoing: Outgoing, conversation: Talk) -> Unavailable:
    async with talk(conversation) as base:
        with pytest.raises(Unavailable) as raised:
            async with outgoing.open(f"{base}/t/tok-1/x") as answer:
                await answer.read(1 << 20)
    assert "tok-1" not in raised.value.message
    return raised.value


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 10\r\n\r\n01234",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\nzz\r\nxx",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\n012",
    ],
    ids=["short", "no last chunk", "garbage chunk", "cut chunk"],
)
async def test_a_body_that_ends_early_is_cut(outgoing: Outgoing, body: bytes) -> None:
    head, blank, rest = body.partition(b"\r\n\r\n")
    assert (await body_error(outgoing, says(OK + head + blank, rest))).code == "upstream-cut"


async def test_bytes_beyond_the_announced_length_are_refused_or_not_read(outgoing: Outgoing) -> None:
    head = OK + b"Content-Length: 3\r\n\r\n"
    assert (await body_error(outgoing, says(head + b"0123456789"))).code == "upstream-unreachable"
    async with talk(says(head, b"012", b"3456789")) as base, outgoing.open(f"{base}/x") as answer:
        assert await answer.read(100) == b"012"


async def test_silence_in_the_body_is_a_stall(outgoing: Outgoing) -> None:
    error = await body_error(outgoing, drips(OK + b"Content-Length: 10\r\n\r\n0", b"1", 5))
    assert (error.code, "too long" in error.message) == ("upstream-cut", True)


async def test_a_body_that_drips_is_a_stall(outgoing: Outgoing) -> None:
    error = await body_error(outgoing, drips(OK + b"Content-Length: 1000\r\n\r\n", b"x" * 1000, 0.02))
    assert (error.code, "too long" in error.message) == ("upstream-cut", True)


@pytest.mark.parametrize(
    "conversation",
    [
        says(b""),
        says(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        says(b"\x16\x03\x01\x02\x00" * 50),
        says(OK + b"Content-Length: -1\r\n\r\n"),
        says(OK + b"X: " + b"y" * 100_000 + b"\r\n\r\n"),
        drips(b"", OK * 100, 0.02),
        drips(b"", b"H", 5),
    ],
    ids=["hang up", "ssh", "binary", "negative length", "endless header", "dripping head", "silence"],
)
async def test_no_answer_is_unreachable(outgoing: Outgoing, conversation: Talk) -> None:
    assert (await body_error(outgoing, conversation)).code == "upstream-unreachable"


async def test_an_endless_body_is_refused(outgoing: Outgoing) -> None:
    error = await body_error(outgoing, says(OK + b"\r\n" + b"x" * (2 << 20)))
    assert error.code == "upstream-too-large"


# In the index files.


def reader(outgoing: Outgoing, base: str, scratch: Path, **kwargs: Any) -> UpstreamReader:
    return UpstreamReader(
        outgoing, f"{base.replace('://', '://me:s3cret@')}/c", Subdir.parse("noarch"), scratch, **kwargs
    )


async def fetch_error(outgoing: Outgoing, scratch: Path, files: dict[str, Handler], **kwargs: Any) -> HeadgateError:
    async with serve({f"/c/noarch/{name}": handler for name, handler in files.items()}) as base:
        with pytest.raises((Unavailable, Invalid)) as raised:
            await reader(outgoing, base, scratch, **kwargs).fetch(None)
    assert "/c/noarch/" in raised.value.message
    assert "s3cret" not in raised.value.message
    assert not scratch.exists() or not list(scratch.iterdir())
    return raised.value


HTML = b"<!DOCTYPE html><html><body>Sign in to the wireless network</body></html>"
NAMES = ["repodata.json.zst", "repodata.json", "repodata.json.bz2"]


NOT_AN_INDEX = {
    "a page": HTML,
    "binary": b"\x00\xff" * 500,
    "packed page": ZSTD.compress(HTML),
    "packed binary": ZSTD.compress(b"\x00\xff" * 500),
    "only zstd magic": b"\x28\xb5\x2f\xfd" + b"x" * 100,
    "only bz2 magic": b"BZh9" + b"x" * 100,
    "only gzip magic": b"\x1f\x8b" + b"x" * 100,
    "nested deeply": b"[" * 100_000,
    "a list": b"[1,2]",
    "a text": b'"text"',
    "cut": DOCUMENT[:-20],
    "cut zstd": ZSTD.compress(DOCUMENT)[:-20],
    "hardly begun zstd": ZSTD.compress(DOCUMENT)[:8],
    "cut bz2": bz2.compress(DOCUMENT)[:-20],
    "cut gzip": gzip.compress(DOCUMENT)[:-20],
    "packages are a list": b'{"packages": []}',
    "record nested deeply": b'{"packages": {"a-1-0.tar.bz2": ' + b"[" * 100_000,
    "info is a number": b'{"info": 1}',
    "packed nothing": ZSTD.compress(b""),
}


@pytest.mark.parametrize("name", [*NAMES, "repodata_shards.msgpack.zst"])
@pytest.mark.parametrize("body", NOT_AN_INDEX.values(), ids=NOT_AN_INDEX.keys())
async def test_what_is_not_an_index_is_an_error_and_not_passed_over(
    outgoing: Outgoing, tmp_path: Path, name: str, body: bytes
) -> None:
    later = {other: content(DOCUMENT) for other in NAMES[NAMES.index(name) + 1 if name in NAMES else 0 :]}
    assert isinstance(await fetch_error(outgoing, tmp_path / "s", {name: content(body)} | later), Invalid)


@pytest.mark.parametrize("name", ["repodata_shards.msgpack.zst", *NAMES])
@pytest.mark.parametrize("status", [400, 401, 429, 500, 502, 503, 204, 206, 300, 304])
async def test_a_status_that_says_neither_yes_nor_no_is_an_error(
    outgoing: Outgoing, tmp_path: Path, name: str, status: int
) -> None:
    error = await fetch_error(outgoing, tmp_path / "s", {name: content(b"", status)})
    assert error.code == "upstream-status"


def bomb() -> bytes:
    """300 MiB of one JSON string."""
    return b'{"info": {"x": "' + b" " * (300 << 20) + b'"}}'


@pytest.mark.parametrize("pack", [ZSTD.compress, bz2.compress, gzip.compress], ids=["zstd", "bz2", "gzip"])
async def test_a_bomb_is_found_by_its_ratio(outgoing: Outgoing, tmp_path: Path, pack: Any) -> None:
    error = await fetch_error(outgoing, tmp_path / "s", {"repodata.json": content(pack(bomb()))})
    assert error.code == "upstream-bomb"


async def test_a_bomb_within_a_bomb_is_found(outgoing: Outgoing, tmp_path: Path) -> None:
    nested = gzip.compress(ZSTD.compress(bomb()))
    error = await fetch_error(outgoing, tmp_path / "s", {"repodata.json.zst": content(nested)})
    assert error.code == "upstream-bomb"


@pytest.mark.parametrize("name", NAMES)
async def test_a_document_beyond_the_limit_is_refused(outgoing: Outgoing, tmp_path: Path, name: str) -> None:
    large = msgspec.json.encode({"info": {"x": hashlib.sha512(b"").hexdigest() * 100}})
    for body in (large, ZSTD.compress(large)):
        error = await fetch_error(outgoing, tmp_path / "s", {name: content(body)}, max_document_bytes=1000)
        assert error.code in {"upstream-too-large", "upstream-bomb"}


async def test_a_cut_download_leaves_nothing(outgoing: Outgoing, tmp_path: Path) -> None:
    async with talk(says(OK + b"Content-Length: 1000\r\n\r\n" + DOCUMENT)) as base:
        with pytest.raises(HeadgateError) as raised:
            await reader(outgoing, base, tmp_path / "s").fetch(None)
    assert raised.value.code == "upstream-cut"


async def test_a_scratch_folder_that_cannot_be_made_is_unavailable(outgoing: Outgoing, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with serve({"/c/noarch/repodata.json": content(DOCUMENT)}) as base:
        with pytest.raises(Unavailable) as raised:
            await reader(outgoing, base, tmp_path / "file").fetch(None)
    assert raised.value.code == "scratch-failed"


@pytest.mark.parametrize("base_url", [1, ["x"], "ftp://host/", "file:///etc/", "http://[", "http://h:port/"])
async def test_a_base_url_that_may_not_be_followed_is_an_error(
    outgoing: Outgoing, tmp_path: Path, base_url: object
) -> None:
    document = json.dumps({"info": {"base_url": base_url}, "packages": {}}).encode()
    await fetch_error(outgoing, tmp_path / "s", {"repodata.json": content(document)})


# In the shards.


def shard(name: str = "a", **records: Any) -> Shard:
    own = {f"{name}-1-0.conda": {"name": name, "version": "1", "build": "0", "sha256": b"\x01" * 32}}
    return Shard(packages={}, conda=own | records, v3={}, removed=[])


async def shard_error(outgoing: Outgoing, tmp_path: Path, digest: bytes, handler: Handler) -> HeadgateError:
    index = encode_index("noarch", {"a": digest}, created_at=None)
    files = {"repodata_shards.msgpack.zst": content(index), f"shards/{digest.hex()}.msgpack.zst": handler}
    async with serve({f"/c/noarch/{name}": handler for name, handler in files.items()}) as base:
        listing = await reader(outgoing, base, tmp_path).fetch(None)
        assert isinstance(listing, ShardedListing)
        with pytest.raises((Unavailable, Invalid)) as raised:
            async for _ in listing.iter_shards(["a"]):
                pass
    assert "/c/noarch/" in raised.value.message
    assert "s3cret" not in raised.value.message
    return raised.value


async def test_a_shard_that_is_not_the_one_named_is_refused(outgoing: Outgoing, tmp_path: Path) -> None:
    _, data = encode_shard(shard())
    error = await shard_error(outgoing, tmp_path, bytes(32), content(data))
    assert error.code == "upstream-shard-mismatch"


async def test_a_shard_that_is_absent_is_an_error(outgoing: Outgoing, tmp_path: Path) -> None:
    error = await shard_error(outgoing, tmp_path, bytes(32), content(b"", 404))
    assert error.code == "upstream-status"


@pytest.mark.parametrize(
    "data",
    [HTML, ZSTD.compress(b"x"), ZSTD.compress(bytes(65 << 20)), b""],
    ids=["a page", "a number", "bomb", "nothing"],
)
async def test_garbage_with_the_right_digest_costs_its_own_package_and_no_other(
    outgoing: Outgoing, tmp_path: Path, data: bytes
) -> None:
    digest, good = encode_shard(shard("b"))
    garbage = hashlib.sha256(data).digest()
    index = encode_index("noarch", {"a": garbage, "b": digest}, created_at=None)
    files = {
        "repodata_shards.msgpack.zst": index,
        f"shards/{garbage.hex()}.msgpack.zst": data,
        f"shards/{digest.hex()}.msgpack.zst": good,
    }
    async with serve({f"/c/noarch/{name}": content(body) for name, body in files.items()}) as base:
        listing = await reader(outgoing, base, tmp_path).fetch(None)
        assert isinstance(listing, ShardedListing)
        assert [name async for name, _ in listing.iter_shards(["a", "b"])] == ["b"]


async def test_records_that_hide_under_another_name_are_dropped(outgoing: Outgoing, tmp_path: Path) -> None:
    hidden: dict[str, Any] = {"b-1-0.conda": {"name": "b"}, "a-2-0.conda": {"name": "b"}, "b-3-0.conda": {"name": "a"}}
    digest, data = encode_shard(shard(**hidden))
    document = {"packages.conda": {"a-1-0.conda": {"name": "a"}, "a-2-0.conda": {"name": "b"}}}
    index = encode_index("noarch", {"a": digest}, created_at=None)
    sharded = {"repodata_shards.msgpack.zst": content(index), f"shards/{digest.hex()}.msgpack.zst": content(data)}
    for files in (sharded, {"repodata.json": content(json.dumps(document).encode())}):
        async with serve({f"/c/noarch/{name}": handler for name, handler in files.items()}) as base:
            listing: Any = await reader(outgoing, base, tmp_path).fetch(None)
            with structlog.testing.capture_logs() as logs:
                shards = {name: found async for name, found in listing.iter_shards(["a"])}
        assert list(shards["a"].conda) == ["a-1-0.conda"]
        assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == ["foreign-records-dropped"]
        assert "s3cret" not in str(logs)

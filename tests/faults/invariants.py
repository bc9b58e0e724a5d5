"""What must be true of a server and its data folder, whatever was killed or filled before."""

import hashlib
import sqlite3
from collections.abc import Iterable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from headgate.conda.records import Record, from_wire
from headgate.conda.shards import decode_index, decode_shard
from tests.faults.caller import Caller
from tests.waiting import eventually

SHARD_INDEX, EAGER = "repodata_shards.msgpack.zst", "repodata.json.zst"


def check_index(caller: Caller, channel: str) -> dict[str, Record]:
    """A channel's noarch is whole: every shard is there under its digest, and both documents are their union.

    Returns that union, by file name.
    """
    union = _union(caller, channel)
    packed = caller.get(f"{channel}/noarch/{EAGER}")
    assert packed.status == 200, packed
    body = zstandard.ZstdDecompressor().decompressobj().decompress(packed.body)
    document = msgspec.json.decode(body)
    assert document["packages"] | document["packages.conda"] == union, (channel, len(union))
    # Rendered when it is asked for: the first to ask may get the one before.
    assert eventually(lambda: caller.get(f"{channel}/noarch/repodata.json").body == body), channel
    return union


def check_held(data: Path) -> set[str]:
    """Every file that the database lists as held, and every rendered document, is on disk, whole.

    Returns the digests.
    """
    listed = _rows(data / "headgate.db", "SELECT sha256, size_bytes FROM artifact WHERE status != 'deleted'")
    rendered = _rows(data / "headgate.db", "SELECT sha256, size_bytes FROM document")
    for sha256, size_bytes in {*listed, *rendered}:
        body = (data / "blobs" / sha256[:2] / sha256).read_bytes()
        assert (len(body), hashlib.sha256(body).hexdigest()) == (size_bytes, sha256)
    return {sha256 for sha256, _ in listed}


def check_settled(caller: Caller, channels: Iterable[str], timeout_s: float = 60) -> None:
    """Every job ends, every document catches up with its revision, and nothing half-written stays, within the time."""
    wanted = set(channels)
    assert eventually(lambda: not _running(caller), timeout_s), _running(caller)
    assert eventually(lambda: not wanted & _behind(caller.server.data), timeout_s), _behind(caller.server.data)
    assert eventually(lambda: not _half_written(caller.server.data), timeout_s), _half_written(caller.server.data)


def _union(caller: Caller, channel: str) -> dict[str, Record]:
    index = caller.get(f"{channel}/noarch/{SHARD_INDEX}")
    assert index.status == 200, index
    union: dict[str, Record] = {}
    connection = HTTPConnection("127.0.0.1", caller.server.port, timeout=60)
    for name, digest in decode_index(index.body).shards.items():
        connection.request("GET", f"/conda/{channel}/noarch/shards/{digest.hex()}.msgpack.zst")
        answer = connection.getresponse()
        body = answer.read()
        assert (answer.status, hashlib.sha256(body).digest()) == (200, digest), (channel, name, answer.status)
        union |= {filename: _shown(record) for filename, record in decode_shard(body).records()}
    connection.close()
    return union


def _shown(wire: Record) -> Record:
    """The record as repodata.json says it: run_exports stand elsewhere (CEP 21)."""
    shown: Record = msgspec.to_builtins(from_wire(dict(wire)))
    shown.pop("run_exports", None)
    return shown


def _running(caller: Caller) -> list[Any]:
    jobs: list[Any] = caller.api("GET", "jobs?limit=1000").json()["items"]
    return [job for job in jobs if job["state"] in {"queued", "running"}]


def _behind(data: Path) -> set[str]:
    """The channels whose eager document is older than their newest noarch."""
    return {
        name
        for name, revision, rendered in _rows(
            data / "headgate.db",
            "SELECT channel.name, subdir.revision, coalesce(max(document.revision), 0) FROM channel "
            "JOIN subdir ON subdir.channel_id = channel.id AND subdir.name = 'noarch' "
            "LEFT JOIN document ON document.channel_id = channel.id AND document.subdir = 'noarch' "
            f"AND document.name = '{EAGER}' GROUP BY channel.id",
        )
        if rendered < revision
    }


def _half_written(data: Path) -> list[Path]:
    return [path for folder in ("incoming", "scratch") for path in (data / folder).iterdir()]


def _rows(database: Path, statement: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(database)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()

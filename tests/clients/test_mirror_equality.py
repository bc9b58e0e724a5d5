"""A mirror says what its upstream says: every record, field for field, in every form, and shards that are what they are named."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import msgspec
import pytest
import zstandard

from tests.live import LiveServer
from tests.upstreams import NginxServer

CHANNELS = ("conda-forge-subset", "channels/conda", "channels/pixi", "channels/rattler", "channels/jancaha-channel")


@pytest.fixture(scope="module")
def mirrors(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A mirror of each real channel, served by nginx."""
    root = tmp_path_factory.mktemp("mirrors")
    nginx = NginxServer(shared / "data", root / "nginx")
    with nginx, LiveServer(root / "data", upstream=f"{nginx.url}/conda-forge-subset") as server:
        for channel in CHANNELS:
            named = [word for subdir in subdirs_of(shared / "data" / channel) for word in ("--subdir", subdir)]
            name = name_of(channel)
            server.json("mirror", "add", name, f"{nginx.url}/{channel}", *named)
            server.json("mirror", "sync", name, "--wait")
        yield server


def name_of(channel: str) -> str:
    return f"mirror-of-{channel.rpartition('/')[2]}"


def subdirs_of(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob("*/repodata.json*"))


def ask(server: LiveServer, path: str) -> bytes:
    request = Request(f"{server.url}/conda/{path}", headers={"Authorization": f"Bearer {server.token}"})
    body: bytes = urlopen(request, timeout=60).read()
    return body


def unpacked(body: bytes) -> bytes:
    return zstandard.ZstdDecompressor().stream_reader(body).read()


def upstream_records(folder: Path) -> dict[str, dict[str, Any]]:
    plain = folder / "repodata.json"
    body = plain.read_bytes() if plain.exists() else unpacked((folder / "repodata.json.zst").read_bytes())
    return records_of(json.loads(body))


def records_of(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {**document.get("packages", {}), **document.get("packages.conda", {})}


def without_stamp(record: dict[str, Any]) -> dict[str, Any]:
    assert record["indexed_timestamp"] > 0
    return {key: value for key, value in record.items() if key != "indexed_timestamp"}


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_mirror_equals_its_upstream(mirrors: LiveServer, shared: Path, channel: str) -> None:
    folder = shared / "data" / channel
    count = 0
    for subdir in subdirs_of(folder):
        said = upstream_records(folder / subdir)
        place = f"{name_of(channel)}/{subdir}"
        served = records_of(json.loads(unpacked(ask(mirrors, f"{place}/repodata.json.zst"))))
        assert {name: without_stamp(record) for name, record in served.items()} == said
        index = msgspec.msgpack.decode(unpacked(ask(mirrors, f"{place}/repodata_shards.msgpack.zst")))
        sharded: dict[str, dict[str, Any]] = {}
        for digest in index["shards"].values():
            packed = ask(mirrors, f"{place}/shards/{digest.hex()}.msgpack.zst")
            assert sha256(packed).digest() == digest
            sharded |= records_of(msgspec.msgpack.decode(unpacked(packed)))
        hexed = {
            name: {k: v.hex() if k in {"md5", "sha256"} else v for k, v in r.items()} for name, r in sharded.items()
        }
        assert hexed == served
        count += len(said)
    assert count > 0

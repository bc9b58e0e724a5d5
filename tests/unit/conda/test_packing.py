"""Which names are packed straight from their document, and which take the long way."""

import json
from typing import Any

import pytest

from headgate.conda.packing import Packer
from headgate.conda.repodata import split_repodata
from headgate.conda.shards import decode_shard

RECORD = {
    "build": "0",
    "build_number": 0,
    "depends": ["python >=3.11"],
    "license": "MIT",
    "md5": "aa" * 16,
    "name": "demo",
    "sha256": "bb" * 32,
    "size": 7,
    "subdir": "linux-64",
    "timestamp": 1_700_000_000_000,
    "version": "1",
}


def pack(record: dict[str, Any], filename: str = "demo-1-0.conda", **more: Any) -> tuple[bytes, bytes] | None:
    document = {"packages": {}, "packages.conda": {filename: record}, **more}
    fragments = split_repodata(json.dumps(document).encode()).names["demo"]
    return Packer(first_sync=True, now_ms=1_790_000_000_000).pack("demo", fragments)


def test_a_usual_record_is_packed_and_told_when_it_was_first_seen() -> None:
    packed = pack(RECORD, removed=["demo-0-0.conda"])
    assert packed is not None
    shard = decode_shard(packed[1])
    assert shard.removed == ["demo-0-0.conda"]
    wanted = RECORD | {"md5": b"\xaa" * 16, "sha256": b"\xbb" * 32, "indexed_timestamp": RECORD["timestamp"]}
    assert shard.conda == {"demo-1-0.conda": wanted}


@pytest.mark.parametrize(
    "unusual",
    [
        {"name": "other"},
        {"md5": "aa"},
        {"sha256": "not hexadecimal"},
        {"sha256": 5},
        {"size": 2**70},
        {"purls": ["pkg:pypi/demo@1"]},
        {"attestations_sha256": "cc" * 32},
    ],
    ids=lambda unusual: next(iter(unusual)),
)
def test_the_unusual_takes_the_long_way(unusual: dict[str, Any]) -> None:
    assert pack(RECORD | unusual) is None


def test_files_that_are_not_of_the_name_take_the_long_way() -> None:
    assert pack(RECORD, removed=["demo-extra-0-0.conda", "demo-..-0.conda"]) is None

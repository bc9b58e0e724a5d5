"""Shards as members of a document: the short way and the long way agree."""

from typing import Any

import msgspec
import pytest

from headgate.conda.members import members_of, render_members
from headgate.conda.repodata import render_repodata
from headgate.conda.shards import Shard, decode_stored, encode_shard
from tests.unit.conda.making import wire_record

PLAIN = {"b-1-0.conda": wire_record("b", "1"), "a-1-0.conda": wire_record("a", "1")}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"run_exports": {"weak": ["b"]}},
        {"md5": None, "timestamp": 1.5, "track_features": ["x"], "noarch": "python"},
        {"legacy_bz2_md5": b"\x01" * 16, "attestations_sha256": b"\x02" * 32},
        {"a_key_of_tomorrow": {"z": 1, "b": [b"\x00".hex()]}},
        {"depends": [], "license": 'é„\\ " \n', "size": 2**63 - 1},
    ],
)
def test_what_is_rendered_is_the_same_either_way(more: dict[str, Any]) -> None:
    shard = Shard(
        packages={"a-1-0.tar.bz2": wire_record("a", "1") | more},
        conda={name: record | more for name, record in PLAIN.items()},
        v3={"whl": {"a-1-py3": wire_record("a", "1") | more}},
        removed=["a-0-0.conda"],
    )
    _, body = encode_shard(shard)
    rendered = render_members(body)
    assert rendered == members_of(decode_stored(body))
    document = (
        b'{"info":{},"packages":{' + rendered.packages + b'},"packages.conda":{' + rendered.conda
        + b'},"removed":["a-0-0.conda"],"repodata_version":1,"v3":{"whl":{' + rendered.v3["whl"] + b"}}}"
    )  # fmt: skip
    assert document == b"".join(render_repodata({}, [decode_stored(body)]))
    assert "run_exports" not in msgspec.json.decode(document)["packages"]["a-1-0.tar.bz2"]


def test_an_empty_shard_adds_nothing() -> None:
    rendered = render_members(encode_shard(Shard())[1])
    assert (rendered.packages, rendered.conda, rendered.v3, rendered.removed) == (b"", b"", {}, [])

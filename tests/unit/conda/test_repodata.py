import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard

from headgate.conda.repodata import render_repodata, split_repodata
from headgate.conda.shards import Shard
from headgate.kernel.errors import Invalid
from tests.unit.conda.making import wire_record

DOCUMENT: dict[str, Any] = {
    "info": {"subdir": "linux-64"},
    "packages": {"b-1-0.tar.bz2": {"name": "b", "md5": "0a" * 16}, "a-b-1-0.tar.bz2": {"name": "a-b"}},
    "packages.conda": {"b-1-0.conda": {"name": "b", "sha256": "0b" * 32}},
    "v3": {"whl": {"c-1-py3-none-any": {"name": "c"}}, "conda": {"b-2-0": {"name": "b"}}},
    "removed": ["d-1-0.conda"],
    "repodata_version": 1,
    "signatures": {"b-1-0.conda": {"key": {"signature": "x"}}},
}


def split(document: object):
    return split_repodata(json.dumps(document).encode())


def rendered(info: dict[str, Any], shards: list[Shard], **more: Any) -> Any:
    return json.loads(b"".join(render_repodata(info, shards, **more)))


def test_document_is_split_by_package_name() -> None:
    repodata = split(DOCUMENT)
    assert repodata.info == {"subdir": "linux-64"}
    assert sorted(repodata.names) == ["a-b", "b", "c", "d"]
    assert list(repodata.extras) == ["signatures"]
    assert repodata.names["b"].decode() == Shard(
        packages={"b-1-0.tar.bz2": {"name": "b", "md5": b"\x0a" * 16}},
        conda={"b-1-0.conda": {"name": "b", "sha256": b"\x0b" * 32}},
        v3={"conda": {"b-2-0": {"name": "b"}}},
    )
    assert repodata.names["d"].decode() == Shard(removed=["d-1-0.conda"])


def test_a_key_that_hardly_any_document_has_changes_nothing_else() -> None:
    usual, odd = split(DOCUMENT), split({"odd": [1], **DOCUMENT})
    assert {key: bytes(raw) for key, raw in odd.extras.items()} == {
        "odd": b"[1]", "signatures": bytes(usual.extras["signatures"]),
    }  # fmt: skip
    assert (odd.info, odd.skipped) == (usual.info, usual.skipped)
    prints = [{name: one.fingerprint() for name, one in found.names.items()} for found in (usual, odd)]
    assert prints[0] == prints[1]


def test_split_and_render_give_the_document_back() -> None:
    repodata = split(DOCUMENT)
    shards = [repodata.names[name].decode() for name in sorted(repodata.names)]
    assert rendered(repodata.info, shards, extras=repodata.extras) == DOCUMENT


@pytest.mark.parametrize("document", [b"{}", b'{"info": {}, "packages": {}, "packages.conda": {}}'])
def test_an_empty_document_is_one(document: bytes) -> None:
    assert split_repodata(memoryview(document)).names == {}


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b" \n",
        b"<!DOCTYPE html><html></html>",
        b"[]",
        b"null",
        json.dumps(DOCUMENT).encode()[:-1],
        json.dumps(DOCUMENT).encode() + b"}",
        b'{"packages": []}',
        b'{"packages": null}',
        b'{"info": 5}',
        b'{"removed": [5]}',
        b'{"v3": {"conda": []}}',
        b"\x28\xb5\x2f\xfd....",
        b'{"packages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_not_repodata_is_refused(document: bytes) -> None:
    with pytest.raises(Invalid) as error:
        split_repodata(document)
    assert error.value.code == "repodata-invalid"
    assert len(error.value.message) < 400


def test_keys_that_name_no_package_are_left_out_and_told() -> None:
    odd = ["x.conda", "../a-1-0.conda", "A-1-0.conda", "b-1.conda", "-1-0.conda"]
    repodata = split(
        {
            "packages.conda": {key: {} for key in [*odd, "b-1-0.conda"]},
            "v3": {"whl": {"c-1": {"name": "../c"}, "d-1": {}, "e-1": 5}},
            "removed": ["gone"],
        }
    )
    assert list(repodata.names) == ["b"]
    assert repodata.skipped == [*odd, "c-1.whl", "d-1.whl", "e-1.whl", "gone"]


@pytest.mark.parametrize(
    ("records", "code"),
    [
        ({"b-1-0.conda": 5}, "repodata-invalid"),
        ({"b-1-0.conda": {"md5": "x"}}, "record-digest-invalid"),
        ({"b-../../1-0.conda": {}}, "shard-invalid"),
    ],
)
def test_bad_records_cost_their_package_alone(records: dict[str, object], code: str) -> None:
    repodata = split({"packages.conda": records | {"c-1-0.conda": {}}})
    assert repodata.names["c"].decode().conda == {"c-1-0.conda": {}}
    with pytest.raises(Invalid) as error:
        [repodata.names[name].decode() for name in repodata.names]
    assert error.value.code == code


def test_fingerprint_sees_every_change_but_order() -> None:
    first, turned = (
        '{"packages": {"a-1-0.tar.bz2": {"x":1}, "a-2-0.tar.bz2": {}}',
        '{"packages": {"a-2-0.tar.bz2": {}, ',
    )
    base = split_repodata((first + "}").encode()).names["a"].fingerprint()
    assert split_repodata((turned + '"a-1-0.tar.bz2": {"x":1}}}').encode()).names["a"].fingerprint() == base
    others = [
        first.replace('"x":1', '"x":2') + "}",
        first.replace("a-1-0", "a-3-0") + "}",
        first + ', "removed": ["a-5-0.conda"]}',
        first.replace('"packages"', '"packages.conda"') + "}",
        first + ', "v3": {"conda": {"a-4-0": {"name": "a"}}}}',
        first + ', "v3": {"tar.bz2": {"a-4-0": {"name": "a"}}}}',
    ]
    prints = {split_repodata(other.encode()).names["a"].fingerprint() for other in others}
    assert len(prints | {base}) == len(others) + 1
    assert {len(one) for one in prints} == {32}


def test_run_exports_stay_in_shards() -> None:
    shard = Shard(conda={"demo-1.0-0.conda": wire_record(run_exports={"weak": ["demo"]})})
    assert "run_exports" not in rendered({}, [shard])["packages.conda"]["demo-1.0-0.conda"]
    assert "run_exports" in shard.conda["demo-1.0-0.conda"]


def test_removed_files_of_shards_and_caller_are_sorted_together() -> None:
    document = rendered({}, [Shard(removed=["b-1-0.conda"])], removed=["c-1-0.conda", "a-1-0.conda", "b-1-0.conda"])
    assert document["removed"] == ["a-1-0.conda", "b-1-0.conda", "c-1-0.conda"]


def test_large_documents_come_in_pieces_and_are_whole() -> None:
    shards = [
        Shard(
            packages={f"p{n}-1-0.tar.bz2": wire_record(f"p{n}", summary="x" * 4000)},
            conda={f"p{n}-1-0.conda": wire_record(f"p{n}", summary="y" * 4000)},
        )
        for n in range(3000)
    ]
    pieces = list(render_repodata({}, shards))
    assert {64 << 10 <= len(piece) <= 1 << 20 for piece in pieces[:-1]} == {True}
    document = json.loads(b"".join(pieces))
    assert (len(document["packages"]), len(document["packages.conda"])) == (3000, 3000)


def test_real_documents_come_back_field_for_field(shared: Path) -> None:
    for path in sorted(shared.glob("conda-forge-subset/*/repodata.json.zst")):
        with path.open("rb") as file:
            document = zstandard.ZstdDecompressor().stream_reader(file).read()
        repodata = split_repodata(document)
        shards = (repodata.names[name].decode() for name in sorted(repodata.names))
        again = b"".join(render_repodata(repodata.info, shards, extras=repodata.extras))
        assert msgspec.json.decode(again) == msgspec.json.decode(document)
        assert repodata.skipped == []

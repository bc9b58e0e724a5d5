"""The container: a tar that anything can open, cut anywhere, and never half there under its own name."""

import io
import tarfile
from pathlib import Path

import pytest

from headgate.airgap.container import PartsReader, PartsWriter, find_parts, is_bundle
from headgate.kernel.errors import Conflict, HeadgateError
from tests.bundles import Side, team


async def test_any_tar_can_open_a_bundle(near: Side, tmp_path: Path) -> None:
    await near.create("team", team())
    manifest = await near.export("team", tmp_path / "full")
    assert is_bundle(tmp_path / "full")
    with tarfile.open(tmp_path / "full", "r:") as archive:
        names = archive.getnames()
        first = archive.extractfile("manifest.json")
        assert first is not None
        assert first.read() == manifest
    assert names[:2] == ["manifest.json", "manifest.sig"]
    assert [name.split("/")[0] for name in names[2:]] == ["shards"] * 4 + ["files"] * 5


@pytest.mark.parametrize("part_bytes", [1, 7, 100, 1000])
def test_parts_are_read_as_one(tmp_path: Path, part_bytes: int) -> None:
    body = bytes(range(256)) * 3
    with PartsWriter(tmp_path / "b", part_bytes) as writer:
        for start in range(0, len(body), 50):
            writer.write(body[start : start + 50])
        parts = writer.commit()
    assert len(parts) == -(-len(body) // part_bytes)
    assert find_parts(tmp_path / "b") == find_parts(parts[0]) == parts
    with io.BufferedReader(PartsReader(parts)) as reader:
        assert reader.read() == body
        reader.seek(300)
        assert reader.read(20) == body[300:320]
        reader.seek(-3, io.SEEK_END)
        assert reader.read() == body[-3:]


@pytest.mark.parametrize("part_bytes", [None, 10])
def test_a_bundle_that_is_not_finished_leaves_nothing(tmp_path: Path, part_bytes: int | None) -> None:
    def fail() -> None:
        with PartsWriter(tmp_path / "b", part_bytes) as writer:
            writer.write(b"x" * 25)
            assert not (tmp_path / "b").exists()
            raise ValueError

    with pytest.raises(ValueError):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("taken", "part_bytes"), [("b", None), ("b", 10), ("b.001", 10)])
def test_no_bundle_is_written_over(tmp_path: Path, taken: str, part_bytes: int | None) -> None:
    (tmp_path / taken).write_text("mine")
    with pytest.raises(Conflict) as raised, PartsWriter(tmp_path / "b", part_bytes):
        pass
    assert raised.value.code == "bundle-exists"
    assert (tmp_path / taken).read_text() == "mine"


def test_a_number_at_the_end_of_a_name_is_not_always_a_part(tmp_path: Path) -> None:
    (tmp_path / "team.202611").write_text("whole")
    assert find_parts(tmp_path / "team.202611") == [tmp_path / "team.202611"]


def test_a_bundle_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(HeadgateError) as raised:
        find_parts(tmp_path / "b")
    assert raised.value.code == "bundle-unknown"

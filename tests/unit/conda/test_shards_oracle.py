"""Our shards against those that rattler's own indexer writes for the same packages."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headgate.conda.archives import read_archive, to_record
from headgate.conda.names import EXTENSIONS, ArtifactName
from headgate.conda.records import Record, to_wire
from headgate.conda.shards import Shard, decode_index, decode_shard, encode_shard
from tests.unit.conda.making import conda, info, tar_bz2

# Its process can abort at exit after the work is done, hence os._exit.
INDEXER = """
import asyncio, os, sys
from pathlib import Path
from rattler.index import index_fs

asyncio.run(index_fs(Path(sys.argv[1]), write_zst=False, write_shards=True, force=True))
os._exit(0)
"""
SUBDIRS_IT_KNOWS = ("noarch", "linux-64", "osx-64", "osx-arm64", "win-32", "win-64")


def index(root: Path) -> None:
    (root / "noarch").mkdir(exist_ok=True)
    subprocess.run([sys.executable, "-c", INDEXER, str(root)], check=True, timeout=120)


def their_shards(subdir: Path) -> Iterator[tuple[str, Shard]]:
    for name, digest in decode_index((subdir / "repodata_shards.msgpack.zst").read_bytes()).shards.items():
        data = (subdir / "shards" / f"{digest.hex()}.msgpack.zst").read_bytes()
        assert hashlib.sha256(data).digest() == digest
        yield name, decode_shard(data)


def our_shard(subdir: Path, name: str) -> Shard:
    """Through encoding and back, so that it is what clients would read."""
    shard = Shard(packages={}, conda={})
    for path in subdir.iterdir():
        if path.name.endswith(EXTENSIONS) and ArtifactName.parse(path.name).name == name:
            records = shard.conda if path.suffix == ".conda" else shard.packages
            records[path.name] = our_record(path)
    return decode_shard(encode_shard(shard)[1])


def our_record(path: Path) -> Record:
    data = path.read_bytes()
    digests = {"md5": hashlib.md5(data).hexdigest(), "sha256": hashlib.sha256(data).hexdigest()}
    with path.open("rb") as file:
        return to_wire(to_record(read_archive(file, ArtifactName.parse(path.name)), size=len(data), **digests))


def as_they_write(filename: str, record: Record) -> Record:
    """We keep index.json as it came. Their indexer drops nulls, adds an empty `depends`, puts a space before the
    version of a constraint, and reads run_exports from `.conda` alone."""
    written: dict[str, Any] = {key: value for key, value in record.items() if value is not None}
    written.setdefault("depends", [])
    if "constrains" in written:
        written["constrains"] = [text.replace("dependency>=2.0", "dependency >=2.0") for text in written["constrains"]]
    if filename.endswith(".tar.bz2"):
        written.pop("run_exports", None)
    return written


def check(root: Path) -> int:
    compared = 0
    for subdir in (root / name for name in SUBDIRS_IT_KNOWS if (root / name).is_dir()):
        for name, theirs in their_shards(subdir):
            ours = our_shard(subdir, name)
            assert theirs.find_foreign(name) == []
            assert {filename for filename, _ in theirs.records()} == {filename for filename, _ in ours.records()}
            for filename, record in theirs.records():
                indexed_at = record.pop("indexed_timestamp")  # when it ran; ours is set when a record is taken in
                assert isinstance(indexed_at, int)
                assert record == as_they_write(filename, ours.find(filename) or {})
                compared += 1
    return compared


def test_made_packages_give_the_shards_the_indexer_gives(tmp_path: Path) -> None:
    subdir = tmp_path / "linux-64"
    subdir.mkdir()
    index_json: dict[str, Any] = {
        "name": "demo",
        "version": "1!1.0",
        "build": "py_7",
        "build_number": 7,
        "depends": ["python >=3.11,<3.12.0a0"],
        "constrains": ["other <2"],
        "license": "MIT",
        "timestamp": 1_700_000_000_123,
        "subdir": "linux-64",
    }
    about = info(index_json, run_exports={"weak": ["demo >=1"]}, paths={"paths": [], "paths_version": 1})
    (subdir / "demo-1!1.0-py_7.conda").write_bytes(conda(about=about, stem="demo-1!1.0-py_7"))
    (subdir / "demo-1!1.0-py_7.tar.bz2").write_bytes(tar_bz2(about=about))
    index(tmp_path)
    assert check(tmp_path) == 2


@pytest.mark.parametrize(("channel", "files"), [("conda", 84), ("pixi", 152), ("jancaha-channel", 59)])
def test_real_packages_give_the_shards_the_indexer_gives(
    shared: Path, tmp_path: Path, channel: str, files: int
) -> None:
    root = tmp_path / channel
    without_repodata = shutil.ignore_patterns("repodata.json")
    shutil.copytree(shared / "channels" / channel, root, ignore=without_repodata, copy_function=shutil.copyfile)
    for folder in (root, *root.iterdir()):
        folder.chmod(0o755)
    index(root)
    assert check(root) == files

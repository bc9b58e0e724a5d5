"""An active mirror, killed again and again: it ends equal to its upstream, and fetches no verified file twice."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.request import urlopen

import msgspec
import pytest
import zstandard

from headgate.conda.shards import decode_shard
from tests.live import LiveServer
from tests.packages import package
from tests.real import SHARED
from tests.upstreams import FolderServer, write_channel
from tests.waiting import eventually

pytestmark = [pytest.mark.fault, pytest.mark.slow]

SEED = 20_261_121
KILLS = int(os.environ.get("HEADGATE_KILLS", "3"))
SUBDIRS = ("linux-64", "noarch")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Folders of channels: packages built here, some of them large enough that a kill meets them half-way; with
    real data at hand also a real channel, and one that clients can install from."""
    root = tmp_path / "upstream"
    chance = random.Random(SEED)
    built = [
        (subdir, *package(f"thing{number}", content=chance.randbytes(chance.choice([500, 50_000, 1_500_000]))))
        for number in range(60)
        for subdir in [SUBDIRS[number % 2]]
    ]
    write_channel(root / "built", built)
    if SHARED.is_dir():
        (root / "real").symlink_to(SHARED / "data" / "channels" / "jancaha-channel")
        tool = SHARED / "tools" / "make_installable_channel.py"
        subprocess.run([sys.executable, tool, root / "installable", "--spec", "flask"], check=True, capture_output=True)
    return root


def blobs(data: Path) -> set[str]:
    return {path.name for path in (data / "blobs").glob("*/*")}


def listed(server: LiveServer, channel: str, subdir: str) -> dict[str, str]:
    """File name -> sha256 of what our index lists."""
    base = f"{server.url}/t/{server.token}/conda/{channel}/{subdir}"
    index = msgspec.msgpack.decode(zstandard.decompress(urlopen(f"{base}/repodata_shards.msgpack.zst").read()))
    found: dict[str, str] = {}
    for digest in index["shards"].values():
        shard = decode_shard(urlopen(f"{base}/shards/{digest.hex()}.msgpack.zst").read())
        found |= {filename: record["sha256"].hex() for filename, record in shard.records()}
    return found


def truth(folder: Path, subdir: str) -> dict[str, str]:
    document = msgspec.json.decode((folder / subdir / "repodata.json").read_bytes())
    return {
        name: record["sha256"] for kind in ("packages", "packages.conda") for name, record in document[kind].items()
    }


def package_requests(upstream: FolderServer) -> list[str]:
    return [line.removeprefix("GET /") for line in upstream.paths if line.endswith((".conda", ".tar.bz2"))]


def kill_jobs_worker(server: LiveServer) -> None:
    for pid in server.children():
        if b"headgate.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)


def commands(server: LiveServer) -> list[bytes]:
    return [path.read_bytes() for pid in server.children() if (path := Path(f"/proc/{pid}/cmdline")).exists()]


def watch_and_kill(server: LiveServer, upstream: FolderServer, chance: random.Random, *, everything: bool) -> None:
    """Wait until another file is asked for (or all are here), and a moment more; then kill."""
    asked = len(package_requests(upstream))
    eventually(lambda: len(package_requests(upstream)) > asked, 15)
    time.sleep(chance.uniform(0, 0.3))  # the moment is what is random
    if everything:
        server.kill()
    else:
        kill_jobs_worker(server)


@dataclass(frozen=True)
class Followed:
    """A channel that an active mirror follows: file name -> sha256 by subdir, as the upstream's index says."""

    name: str
    folder: Path
    files: dict[str, dict[str, str]]

    @classmethod
    def of(cls, folder: Path) -> Self:
        subdirs = [path.name for path in sorted(folder.iterdir()) if (path / "repodata.json").exists()]
        return cls(folder.name, folder, {subdir: truth(folder, subdir) for subdir in subdirs})

    def names(self) -> dict[str, str]:
        """sha256 -> the path under which the upstream is asked for it."""
        return {
            sha256: f"{self.name}/{subdir}/{filename}"
            for subdir, files in self.files.items()
            for filename, sha256 in files.items()
        }

    def check(self, server: LiveServer) -> None:
        """What is listed is what the upstream lists, and each file has its bytes."""
        assert {subdir: listed(server, self.name, subdir) for subdir in self.files} == self.files
        for subdir, files in self.files.items():
            for filename in files:
                body = urlopen(f"{server.url}/t/{server.token}/conda/{self.name}/{subdir}/{filename}").read()
                assert body == (self.folder / subdir / filename).read_bytes()


def test_kills_end_equal_to_upstream_and_fetch_nothing_verified_twice(root: Path, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    channels = [Followed.of(folder) for folder in sorted(root.iterdir())]
    names = {sha256: path for channel in channels for sha256, path in channel.names().items()}
    with FolderServer(root, pause_s=0.4) as upstream, LiveServer(tmp_path / "data", upstream=upstream.url) as server:
        for channel in channels:
            words = [word for subdir in channel.files for word in ("--subdir", subdir)]
            server.json("mirror", "add", channel.name, f"{upstream.url}/{channel.name}", "--mode", "active", *words)
        looked: list[tuple[int, set[str], int]] = []
        for number in range(KILLS):
            watch_and_kill(server, upstream, chance, everything=number % 3 == 2)
            here, asked = blobs(server.data) & names.keys(), len(package_requests(upstream))
            if server.process is None:
                server.start()
            eventually(lambda: any(b"headgate.worker" in command for command in commands(server)))
            looked.append((number, {names[digest] for digest in here}, asked))
        for channel in channels:
            job = server.json("mirror", "sync", channel.name, "--wait")
            assert (job["state"], job["fetch"]["state"]) == ("done", "done")
        requests = package_requests(upstream)
        assert set(names) <= blobs(server.data)
        assert [(number, here.intersection(requests[asked:])) for number, here, asked in looked] == [
            (number, set()) for number in range(KILLS)
        ], "what was verified before a kill is not fetched after it"
        assert any(0 < len(here) < len(names) for _, here, _ in looked), "no kill came in the middle"
        for channel in channels:
            again = server.json("mirror", "sync", channel.name, "--wait")
            assert again["fetch"]["result"] == {"fetched": 0, "kept": 0, "bytes": 0}
        assert package_requests(upstream) == requests, "a second sync asks for no file"
        assert len(requests) <= len(names) + KILLS * 8 * 2, "only what was under way at a kill is asked for again"
        for channel in channels:
            channel.check(server)

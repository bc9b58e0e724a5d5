"""An active mirror, killed again and again: it ends equal to its upstream, and fetches no verified file twice."""

import os
import random
import signal
import time
from pathlib import Path
from urllib.request import urlopen

import msgspec
import pytest
import zstandard

from headgate.conda.shards import decode_shard
from tests.live import LiveServer
from tests.packages import package
from tests.upstreams import FolderServer, write_channel
from tests.waiting import eventually

pytestmark = [pytest.mark.fault, pytest.mark.slow]

SEED = 20_261_121
KILLS = 10
SUBDIRS = ("linux-64", "noarch")


@pytest.fixture
def upstream_folder(tmp_path: Path) -> Path:
    """Packages built here, some of them large enough that a kill meets them half-way; real ones, where there are any."""
    root = tmp_path / "upstream"
    chance = random.Random(SEED)
    built = [
        (subdir, *package(f"thing{number}", content=chance.randbytes(chance.choice([500, 50_000, 1_500_000]))))
        for number in range(60)
        for subdir in [SUBDIRS[number % 2]]
    ]
    write_channel(root, built)
    return root


@pytest.fixture(params=["built", "real"])
def folder(request: pytest.FixtureRequest, upstream_folder: Path) -> Path:
    """An upstream with bytes."""
    if request.param == "built":
        return upstream_folder
    shared = os.environ.get("HEADGATE_SHARED")
    if shared is None:
        pytest.skip("HEADGATE_SHARED names no folder with real packages")
    return Path(shared) / "data" / "channels" / "jancaha-channel"


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


def test_ten_kills_end_equal_to_upstream_and_fetch_nothing_verified_twice(folder: Path, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    subdirs = [path.name for path in sorted(folder.iterdir()) if (path / "repodata.json").exists()]
    expected = {subdir: truth(folder, subdir) for subdir in subdirs}
    names = {sha256: f"{subdir}/{name}" for subdir, files in expected.items() for name, sha256 in files.items()}
    with FolderServer(folder, pause_s=0.4) as upstream, LiveServer(tmp_path / "data", upstream=upstream.url) as server:
        words = [word for subdir in subdirs for word in ("--subdir", subdir)]
        server.json("mirror", "add", "ahead", upstream.url, "--mode", "active", *words)
        looked: list[tuple[int, set[str], int]] = []
        for number in range(KILLS):
            watch_and_kill(server, upstream, chance, everything=number % 3 == 2)
            here, asked = blobs(server.data) & names.keys(), len(package_requests(upstream))
            if server.process is None:
                server.start()
            eventually(lambda: any(b"headgate.worker" in command for command in commands(server)))
            looked.append((number, {names[digest] for digest in here}, asked))
        job = server.json("mirror", "sync", "ahead", "--wait")
        assert (job["state"], job["fetch"]["state"]) == ("done", "done")
        requests = package_requests(upstream)
        assert set(names) <= blobs(server.data)
        assert {subdir: listed(server, "ahead", subdir) for subdir in subdirs} == expected
        assert [(number, here.intersection(requests[asked:])) for number, here, asked in looked] == [
            (number, set()) for number in range(KILLS)
        ], "what was verified before a kill is not fetched after it"
        assert any(0 < len(here) < len(names) for _, here, _ in looked), "no kill came in the middle"
        again = server.json("mirror", "sync", "ahead", "--wait")
        assert again["fetch"]["result"] == {"fetched": 0, "kept": 0, "bytes": 0}
        assert package_requests(upstream) == requests, "a second sync asks for no file"
        assert len(requests) <= len(names) + KILLS * 8, "only what was under way at a kill is asked for again"
        for subdir, files in expected.items():
            for name in files:
                body = urlopen(f"{server.url}/t/{server.token}/conda/ahead/{subdir}/{name}").read()
                assert body == (folder / subdir / name).read_bytes()

"""The gate with a real client, two web workers, and a jobs process that is killed while it judges."""

import hashlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.clients.conftest import Rattler
from tests.live import LiveServer
from tests.packages import package
from tests.upstreams import FolderServer, write_channel
from tests.waiting import eventually

pytestmark = pytest.mark.client

NO_TWO = """
name = "no-two"
[[rule]]
kind = "match-spec"
exclude = ["lib >=2"]
action = "block"
"""
LIB = package("lib", "2.0", noarch="generic")
MANY = 3_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    root = tmp_path_factory.mktemp("upstream")
    packages = [("noarch", *package("lib", "1.0", noarch="generic")), ("noarch", *LIB)]
    write_channel(root, packages)
    data = tmp_path_factory.mktemp("data")
    with FolderServer(root) as upstream, LiveServer(data, upstream=upstream.url, workers=2) as server:
        assert server.json("mirror", "sync", "unapproved-conda", "--wait")["state"] == "done"
        yield server


def write_policy(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "policy.toml"
    file.write_text(text)
    return file


def test_exemption_opens_the_gate_for_a_client_within_a_second_and_its_end_closes_it(
    server: LiveServer, rattler: Rattler, tmp_path: Path
) -> None:
    channel = "unapproved-conda"
    url = f"{server.url}/conda/{channel}"
    server.json("policy", "apply", write_policy(tmp_path, NO_TWO))
    assert server.json("policy", "attach", "no-two", "--channel", channel)["pending"] == []
    assert rattler.try_install(url, ["lib >=2"]).returncode == 1
    assert Rattler(tmp_path / "other").install(url, ["lib"]) == ["lib-1.0-0.conda"]
    why = server.json("why", channel, "lib-2.0-0.conda")
    assert why[0]["outcome"] == "block"
    for target in (["--spec", "lib 2.0"], ["--sha256", hashlib.sha256(LIB[1]).hexdigest()]):
        made = server.json("exemption", "add", *target, "--reason", "checked by hand", "--channel", channel)
        # Both workers, whichever answers.
        began = time.monotonic()
        statuses = {status_of(f"{url}/noarch/{LIB[0]}") for _ in range(20)}
        assert statuses == {200}
        assert time.monotonic() - began < 20
        client = Rattler(tmp_path / f"with-{made['id']}")
        assert client.install(url, ["lib >=2"]) == [LIB[0]]
        server.json("exemption", "revoke", str(made["id"]))
        assert {status_of(f"{url}/noarch/{LIB[0]}") for _ in range(20)} == {403}
        assert Rattler(tmp_path / f"without-{made['id']}").try_install(url, ["lib >=2"]).returncode == 1
    server.json("policy", "detach", "no-two", "--channel", channel)
    assert Rattler(tmp_path / "last").install(url, ["lib >=2"]) == [LIB[0]]


def status_of(url: str) -> int:
    try:
        with urlopen(url, timeout=30) as answer:
            return int(answer.status)
    except HTTPError as error:
        problem = json.loads(error.read())
        assert problem["code"] in {"policy-blocked", "policy-held"}
        return error.code


@pytest.mark.fault
@pytest.mark.slow
def test_kill_while_judging_leaves_the_old_revision_whole_and_the_work_is_finished(tmp_path: Path) -> None:
    """More names than are judged within the request, so that the job has to."""
    root = tmp_path / "upstream"
    body = b"x" * 100
    write_channel(
        root, [("noarch", f"thing{number}-{version}-0.conda", body) for number in range(MANY) for version in (1, 2)]
    )
    rule = NO_TWO.replace('"lib >=2"', '"thing* >=2"')
    with FolderServer(root) as upstream, LiveServer(tmp_path / "data", upstream=upstream.url, workers=2) as server:
        assert server.json("mirror", "sync", "unapproved-conda", "--wait")["state"] == "done"
        before = listed(server)
        assert before == 2 * MANY
        server.json("policy", "apply", write_policy(tmp_path, rule))
        server.json("policy", "attach", "no-two", "--channel", "unapproved-conda", "--no-wait")
        seen = set()
        for _ in range(3):
            os.kill(jobs_process(server), signal.SIGKILL)
            seen.add(listed(server))
        assert eventually(lambda: server.json("policy", "show", "no-two")["pending"] == [], 60)
        assert eventually(lambda: listed(server) == MANY, 60), listed(server)
        assert seen <= {before, MANY}, "a revision is the old one or the new one"


def listed(server: LiveServer) -> int:
    """How many records a client sees, by the eager document."""
    import msgspec
    import zstandard

    base = f"{server.url}/conda/unapproved-conda/noarch"
    with urlopen(f"{base}/repodata_shards.msgpack.zst", timeout=30) as answer:
        shards = msgspec.msgpack.decode(zstandard.decompress(answer.read()))["shards"]
    with urlopen(f"{base}/shards/{shards['thing0'].hex()}.msgpack.zst", timeout=30) as answer:
        versions = msgspec.msgpack.decode(zstandard.decompress(answer.read()))["packages.conda"]
    with urlopen(f"{base}/shards/{shards[f'thing{MANY - 1}'].hex()}.msgpack.zst", timeout=30) as answer:
        last = msgspec.msgpack.decode(zstandard.decompress(answer.read()))["packages.conda"]
    assert len(versions) == len(last), "never a mixture"
    return len(shards) * len(versions)


def jobs_process(server: LiveServer) -> int:
    def look() -> int:
        for pid in server.children():
            if b"headgate.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        return 0

    found = eventually(look)
    assert found
    return found

"""Two feeds: engineers promote out of one into the other, developers install from the other alone."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import Rattler
from tests.live import LiveServer, environment
from tests.upstreams import FolderServer

pytestmark = pytest.mark.client

OUTSIDE, INSIDE = "unapproved-conda", "approved-conda"


@pytest.fixture(scope="module")
def server(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("feeds")
    words = [sys.executable, str(shared / "tools" / "make_installable_channel.py"), str(folder / "upstream")]
    subprocess.run(words, check=True, capture_output=True, env=environment())
    with FolderServer(folder / "upstream") as upstream, LiveServer(folder / "data", upstream=upstream.url) as server:
        for channel in (OUTSIDE, INSIDE):
            server.json("channel", "set", channel, "--privacy", "private")
        for group, role, channel in [
            ("Network Engineers", "approver", OUTSIDE),
            ("Network Engineers", "approver", INSIDE),
            ("Developers", "downloader", INSIDE),
        ]:
            if group not in {one["name"] for one in server.json("group", "list")}:
                server.json("group", "create", group)
            server.json("grant", "add", "--group", group, "--role", role, "--channel", channel)
        server.json("user", "create", "nadia", "--group", "Network Engineers")
        server.json("user", "create", "dan", "--group", "Developers")
        yield server


def key_of(server: LiveServer, user: str) -> str:
    name = f"key {len(server.json('token', 'list'))}"
    key: str = server.json("token", "create", "--name", name, "--user", user, "--expires", "90d")["token"]
    return key


def test_what_was_promoted_installs_from_the_target_alone(server: LiveServer, rattler: Rattler, tmp_path: Path) -> None:
    developer, engineer = key_of(server, "dan"), key_of(server, "nadia")
    url = f"{server.url.replace('://', f'://api:{developer}@')}/conda/{INSIDE}"
    before = Rattler(tmp_path / "before").try_install(url, ["pandas"])
    assert before.returncode == 1
    assert "pandas" in before.stderr

    words = ("promote", "pandas", "--from", OUTSIDE, "--to", INSIDE, "--platform", "linux-64")
    as_developer = server.run(*words, "--yes", env=server.env | {"HEADGATE_TOKEN": developer})
    assert as_developer.returncode == 1
    assert "promotion:out" in as_developer.stderr

    as_engineer = server.env | {"HEADGATE_TOKEN": engineer}
    preview = server.run(*words, env=as_engineer)
    assert preview.returncode == 0, preview.stderr
    assert "pandas-" in preview.stdout
    assert "asked for" in preview.stdout
    assert Rattler(tmp_path / "still").try_install(url, ["pandas"]).returncode == 1

    done = server.run(*words, "--yes", "--comment", "for the demo", env=as_engineer)
    assert done.returncode == 0, done.stderr
    installed = rattler.install(url, ["pandas"])
    assert len(installed) > 10
    assert any(one.startswith("pandas-") for one in installed)
    assert [one["state"] for one in server.json("promotion", "list")] == ["applied"]


def test_a_promotion_that_a_dead_upstream_hinders_changes_nothing_and_can_be_asked_for_again(
    shared: Path, tmp_path: Path
) -> None:
    words = [sys.executable, str(shared / "tools" / "make_installable_channel.py"), str(tmp_path / "upstream")]
    subprocess.run([*words, "--spec", "requests"], check=True, capture_output=True, env=environment())
    wish = ("promote", "requests", "--from", OUTSIDE, "--to", INSIDE, "--platform", "linux-64", "--yes")
    with FolderServer(tmp_path / "upstream") as upstream:
        server = LiveServer(tmp_path / "data", upstream=upstream.url)
        server.start()
        server.json("mirror", "sync", OUTSIDE, "--wait")
    try:
        failed = server.run(*wish)
        assert failed.returncode == 1
        assert "127.0.0.1" in failed.stderr
        (promotion,) = server.json("promotion", "list")
        assert promotion["state"] == "failed"
        assert promotion["failure"]
        assert all(one["revision"] <= 1 for one in server.json("channel", "show", INSIDE)["subdirs"])
    finally:
        server.stop()

"""Modes of a mirror, through the command line and a client: redirects, and files ahead."""

from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

import pytest

from tests.live import LiveServer
from tests.packages import package
from tests.upstreams import FolderServer, write_channel

OLD, NEW, OTHER = "demo-1.0-0.conda", "demo-2.0-0.conda", "other-1.0-0.conda"


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("upstream")
    built = [package("demo", "1.0", noarch="generic"), package("demo", "2.0", noarch="generic")]
    write_channel(root, [("noarch", *one) for one in [*built, package("other", noarch="generic")]])
    return root


@pytest.fixture(scope="module")
def upstream(folder: Path) -> Iterator[FolderServer]:
    with FolderServer(folder) as server:
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, upstream: FolderServer, folder: Path) -> Iterator[LiveServer]:
    data = tmp_path_factory.mktemp("server") / "data"
    with LiveServer(data, upstream=folder.as_uri()) as server:
        yield server


def fetch(server: LiveServer, channel: str, filename: str) -> tuple[int, str | None]:
    """The status of a file, and where the client is sent; redirects are not followed."""
    request = Request(f"{server.url}/t/{server.token}/conda/{channel}/noarch/{filename}")
    try:
        with build_opener(_Stay).open(request) as answer:
            return answer.status, None
    except HTTPError as error:
        return error.code, error.headers.get("location")


def follow(server: LiveServer, channel: str, url: str, *options: str) -> None:
    server.json("mirror", "add", channel, url, "--subdir", "noarch", "--no-sync", *options)
    assert server.json("mirror", "sync", channel, "--wait")["state"] == "done"


def held(server: LiveServer, channel: str) -> set[str]:
    return {one["filename"] for one in server.json("artifact", "list", channel)}


def test_redirect_sends_clients_to_the_upstream_and_keeps_nothing(server: LiveServer, upstream: FolderServer) -> None:
    follow(server, "away", upstream.url, "--mode", "redirect")
    assert fetch(server, "away", NEW) == (302, f"{upstream.url}/noarch/{NEW}")
    assert held(server, "away") == set()
    assert fetch(server, "away", "repodata.json.zst")[0] == 200, "an index is always ours"
    assert fetch(server, "away", "nothing-1.0-0.conda")[0] == 404


def test_redirect_never_gives_credentials_away(server: LiveServer, upstream: FolderServer) -> None:
    follow(server, "secret", upstream.url.replace("://", "://me:hidden@"), "--mode", "redirect")
    assert fetch(server, "secret", OTHER) == (200, None)
    assert held(server, "secret") == {OTHER}


def test_folder_cannot_be_redirected_to(server: LiveServer, folder: Path) -> None:
    follow(server, "near", folder.as_uri(), "--mode", "redirect")
    assert fetch(server, "near", NEW) == (200, None)


def test_newest_versions_come_ahead(server: LiveServer, upstream: FolderServer) -> None:
    follow(server, "newest", upstream.url, "--newest", "1")
    assert held(server, "newest") == {NEW, OTHER}


def test_packages_in_use_come_ahead(server: LiveServer, upstream: FolderServer) -> None:
    follow(server, "used", upstream.url, "--in-use")
    assert held(server, "used") == set()
    assert fetch(server, "used", OLD) == (200, None)
    assert server.json("mirror", "fetch", "used", "--wait")["state"] == "done"
    assert held(server, "used") == {OLD, NEW}


def test_lock_file_says_what_comes_ahead(server: LiveServer, upstream: FolderServer, tmp_path: Path) -> None:
    follow(server, "locked", upstream.url)
    lock = tmp_path / "explicit.txt"
    lock.write_text(f"@EXPLICIT\nhttps://conda.example/noarch/{OLD}#0f\n")
    job = server.json("mirror", "fetch", "locked", "--file", lock, "--wait")
    assert job["state"] == "done"
    assert held(server, "locked") == {OLD}


def test_filters_hold_files_back(server: LiveServer, upstream: FolderServer) -> None:
    follow(server, "picky", upstream.url)
    tried = server.json("mirror", "filter", "picky", "main", "--exclude", "demo <2", "--dry-run")
    assert [(one["cause"], one["records"]) for one in tried["held_back"]] == [("exclude_specs", 1)]
    server.json("mirror", "filter", "picky", "main", "--exclude", "demo <2")
    assert server.json("mirror", "sync", "picky", "--wait")["state"] == "done"
    assert [one["filename"] for one in server.json("mirror", "filtered", "picky", "main")] == [OLD]
    assert (fetch(server, "picky", OLD)[0], fetch(server, "picky", NEW)[0]) == (404, 200)


def test_fetch_says_what_failed(server: LiveServer, folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    write_channel(broken, [("noarch", *package("demo", "1.0", noarch="generic"))])
    (broken / "noarch" / OLD).write_bytes(b"something else")
    with FolderServer(broken) as upstream:
        server.json("mirror", "add", "broken", upstream.url, "--subdir", "noarch", "--no-sync", "--mode", "active")
        done = server.run("mirror", "sync", "broken", "--wait")
    assert done.returncode == 1
    assert f"1 of 1 files of broken could not be fetched: noarch/{OLD}:" in done.stderr
    assert held(server, "broken") == set()

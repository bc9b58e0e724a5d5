"""Channels in S3 buckets, through the command line and a client."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener, urlopen

import pytest

from tests.live import LiveServer
from tests.packages import package
from tests.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server
from tests.upstreams import write_channel

ODD, PLAIN, FAR = "odd-1!2.0+cu-0.conda", "plain-1.0-0.conda", "far-1!3.0+cu-0.conda"


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("upstream")
    built = [
        package("odd", "1!2.0+cu", noarch="generic"),
        package("plain", noarch="generic"),
        package("far", "1!3.0+cu", noarch="generic"),
    ]
    write_channel(root, [("noarch", *one) for one in built])
    return root


@pytest.fixture(scope="module")
def s3(folder: Path) -> Iterator[S3Server]:
    with S3Server(public={"open"}) as server:
        server.fill("closed", folder, "team/main/")
        server.fill("open", folder)
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[LiveServer]:
    data = tmp_path_factory.mktemp("server") / "data"
    with LiveServer(data, upstream=folder.as_uri()) as server:
        yield server


def follow(server: LiveServer, s3: S3Server, channel: str, url: str, *options: str) -> None:
    words = ("--s3-endpoint", s3.url, "--s3-region", REGION, "--subdir", "noarch", "--no-sync")
    server.json("mirror", "add", channel, url, *words, *options)
    assert server.json("mirror", "sync", channel, "--wait")["state"] == "done"


def keys() -> tuple[str, ...]:
    return ("--s3-access-key", ACCESS_KEY, "--s3-secret-key", SECRET_KEY)


def fetch(server: LiveServer, channel: str, filename: str) -> bytes | str:
    """The bytes of a file, or where the client is sent."""
    url = f"{server.url}/t/{server.token}/conda/{channel}/noarch/{filename}"
    try:
        with build_opener(_Stay).open(Request(url)) as answer:
            body: bytes = answer.read()
            return body
    except HTTPError as error:
        with error:
            return str(error.headers["location"])


def test_private_bucket_is_mirrored(server: LiveServer, s3: S3Server, folder: Path) -> None:
    follow(server, s3, "private", "s3://closed/team/main", *keys())
    assert fetch(server, "private", ODD) == (folder / "noarch" / ODD).read_bytes()
    assert server.json("mirror", "sync", "private", "--wait")["state"] == "done"
    assert s3.lines[-1] == "GET /closed/team/main/noarch/repodata.json.zst 304"
    shown = server.json("mirror", "show", "private", "main")
    assert shown["urls"] == ["s3://closed/team/main"]
    assert shown["settings"]["network"]["s3_secret_key"] == "•••"
    assert shown["warnings"] == []
    written = json.dumps(shown) + server.err.read_text() + server.run("job", "list", "--json").stdout
    assert SECRET_KEY not in written
    assert SECRET_KEY.encode() not in b"".join(one.read_bytes() for one in server.data.glob("headgate.db*"))


def test_other_changes_keep_the_key_and_an_empty_text_takes_it_back(server: LiveServer, s3: S3Server) -> None:
    follow(server, s3, "kept", "s3://closed/team/main", *keys())
    server.json("mirror", "set", "kept", "main", "--retries", "1")
    assert server.json("mirror", "test", "kept", "main")["is_good"]
    changed = server.json("mirror", "set", "kept", "main", "--s3-access-key", "", "--s3-secret-key", "")
    assert changed["settings"]["network"]["s3_secret_key"] is None


def test_trial_tells_the_way_into_a_bucket(server: LiveServer, s3: S3Server) -> None:
    follow(server, s3, "tried", "s3://closed/team/main", *keys())
    [trial] = server.json("mirror", "test", "tried", "main")["trials"]
    assert trial["url"] == "s3://closed/team/main"
    steps = {step["step"]: step for step in trial["steps"]}
    assert all(steps[name]["state"] == "ok" for name in ("dns", "connection", "credentials", "repodata", "package"))
    assert f"signed with access key {ACCESS_KEY}" in steps["credentials"]["sentence"]
    server.json("mirror", "set", "tried", "main", "--s3-secret-key", "wr0ng")
    failed = server.run("mirror", "test", "tried", "main")
    assert failed.returncode == 1
    assert "correct s3_secret_key" in failed.stdout
    assert "wr0ng" not in failed.stdout


def test_public_bucket_needs_no_key(server: LiveServer, s3: S3Server, folder: Path) -> None:
    follow(server, s3, "public", "s3://open", "--s3-unsigned")
    assert fetch(server, "public", PLAIN) == (folder / "noarch" / PLAIN).read_bytes()


def test_redirect_leads_to_a_signed_address_of_that_file_alone(server: LiveServer, s3: S3Server, folder: Path) -> None:
    follow(server, s3, "away", "s3://closed/team/main", *keys(), "--mode", "redirect")
    location = fetch(server, "away", FAR)
    assert isinstance(location, str)
    assert SECRET_KEY not in location
    with urlopen(location) as answer:
        assert answer.read() == (folder / "noarch" / FAR).read_bytes()
    with pytest.raises(HTTPError) as raised:
        urlopen(location.replace("far-1", "odd-1"))
    with raised.value as refused:
        assert refused.code == 403
    assert server.json("artifact", "list", "away") == []

"""The same server on PostgreSQL: two web workers and the jobs worker, told of each other's commits by NOTIFY."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import msgspec
import psycopg
import pytest
import zstandard
from sqlalchemy.engine import make_url

from tests.clients.conftest import Rattler
from tests.live import LiveServer
from tests.packages import package
from tests.upstreams import FolderServer, write_channel

pytestmark = pytest.mark.postgres


@pytest.fixture
def server(postgres: str, tmp_path: Path) -> Iterator[LiveServer]:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE headgate_live")
    url = make_url(postgres).set(database="headgate_live").render_as_string(hide_password=False)
    root = tmp_path / "upstream"
    write_channel(root, [("noarch", *package("plain", noarch="generic"))])
    with (
        FolderServer(root) as upstream,
        LiveServer(tmp_path / "data", upstream=upstream.url, workers=2, env={"HEADGATE_DATABASE__URL": url}) as server,
    ):
        yield server
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP DATABASE headgate_live WITH (FORCE)")


def names(url: str) -> set[str]:
    packed = urlopen(f"{url}/noarch/repodata_shards.msgpack.zst").read()
    return set(msgspec.msgpack.decode(zstandard.decompress(packed))["shards"])


def test_mirror_upload_install_and_revocation_across_processes(
    server: LiveServer, rattler: Rattler, tmp_path: Path
) -> None:
    mirror, hosted = f"{server.url}/conda/unapproved-conda", f"{server.url}/conda/approved-conda"
    assert rattler.install(mirror, ["plain"]) == ["plain-1.0-0.conda"]
    for number in range(5):
        filename, body = package("fresh", f"1.{number}", noarch="generic")
        (tmp_path / filename).write_bytes(body)
        server.json("upload", "approved-conda", tmp_path / filename)
        # Every connection may meet another worker.
        assert all(names(hosted) == {"fresh"} for _ in range(6))
    newest = Rattler(tmp_path / "second").install(hosted, ["fresh"], sharded=False)
    assert newest == ["fresh-1.4-0.conda"]
    job = server.json("mirror", "sync", "unapproved-conda", "--subdir", "noarch", "--wait")
    assert job["state"] == "done"

    token = server.json("token", "create", "--name", "brief")["token"]
    assert urlopen(f"{server.url}/t/{token}/conda/approved-conda/noarch/repodata.json").status == 200
    server.run("token", "revoke", "brief")
    for _ in range(6):
        with pytest.raises(HTTPError) as refused:
            urlopen(f"{server.url}/t/{token}/conda/approved-conda/noarch/repodata.json")
        assert (refused.value.code, json.loads(refused.value.read())["code"]) == (401, "token-revoked")

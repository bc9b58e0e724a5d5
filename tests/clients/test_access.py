"""Real clients with keys of their own on a private channel."""

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psycopg
import pytest
from sqlalchemy.engine import make_url

from tests.clients.conftest import Rattler
from tests.live import LiveServer
from tests.packages import package
from tests.upstreams import write_channel
from tests.waiting import eventually

pytestmark = pytest.mark.client

FILENAME = "app-1.0-0.conda"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("access")
    write_channel(folder / "upstream", [])
    filename, body = package("app", noarch="generic")
    (folder / filename).write_bytes(body)
    with LiveServer(folder / "data", upstream=(folder / "upstream").as_uri()) as server:
        server.json("channel", "set", "approved-conda", "--privacy", "private")
        server.json("upload", "approved-conda", folder / filename)
        server.json("group", "create", "Developers")
        server.json("grant", "add", "--group", "Developers", "--role", "downloader", "--channel", "approved-conda")
        yield server


@pytest.fixture(scope="module")
def developer(server: LiveServer) -> str:
    """The key of somebody who may read the channel."""
    server.json("user", "create", "dan", "--group", "Developers")
    return key_of(server, "dan")


@pytest.fixture(scope="module")
def stranger(server: LiveServer) -> str:
    """The key of somebody who may not."""
    server.json("user", "create", "sam")
    return key_of(server, "sam")


def key_of(server: LiveServer, user: str) -> str:
    key: str = server.json("token", "create", "--name", "client", "--user", user, "--expires", "90d")["token"]
    return key


def url_with(server: LiveServer, key: str) -> str:
    """The channel's URL as people paste it into their configuration."""
    return f"{server.url.replace('://', f'://api:{key}@')}/conda/approved-conda"


def credentials(form: str, key: str) -> dict[str, Any]:
    forms: dict[str, dict[str, Any]] = {
        "bearer": {"BearerToken": key},
        "basic": {"BasicHTTP": {"username": "api", "password": key}},
        "conda token": {"CondaToken": key},
    }
    return forms[form]


def ask(server: LiveServer, key: str) -> tuple[int, dict[str, Any]]:
    """The status, and the problem document of what is refused."""
    request = Request(f"{server.url}/conda/approved-conda/noarch/{FILENAME}", headers={"X-API-Key": key})
    try:
        with urlopen(request, timeout=60) as answer:
            return answer.status, {}
    except HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.mark.parametrize("form", ["bearer", "basic", "conda token"])
def test_a_developer_installs_with_a_key_of_their_own(
    server: LiveServer, rattler: Rattler, developer: str, form: str
) -> None:
    auth = {"127.0.0.1": credentials(form, developer)}
    assert rattler.install(f"{server.url}/conda/approved-conda", ["app"], auth=auth) == [FILENAME]


@pytest.mark.parametrize("sharded", [True, False])
def test_a_key_in_the_url_of_the_channel_installs(
    server: LiveServer, rattler: Rattler, developer: str, sharded: bool
) -> None:
    assert rattler.install(url_with(server, developer), ["app"], sharded=sharded) == [FILENAME]


def test_another_users_key_is_refused_with_a_reason(server: LiveServer, rattler: Rattler, stranger: str) -> None:
    done = rattler.try_install(url_with(server, stranger), ["app"])
    assert done.returncode == 1
    assert "403" in done.stderr
    status, problem = ask(server, stranger)
    assert (status, problem["code"]) == (403, "permission-denied")
    assert problem["detail"].startswith("sam lacks ")
    assert problem["detail"].endswith(" on channel approved-conda.")


def test_a_removed_grant_counts_no_more_at_the_next_request(server: LiveServer, tmp_path: Path) -> None:
    server.json("user", "create", "fay")
    key = key_of(server, "fay")
    assert ask(server, key)[0] == 403
    grant = server.json("grant", "add", "--user", "fay", "--role", "downloader", "--channel", "approved-conda")
    assert ask(server, key)[0] == 200
    assert Rattler(tmp_path / "before").install(url_with(server, key), ["app"]) == [FILENAME]
    server.json("grant", "remove", str(grant["id"]))
    assert ask(server, key)[0] == 403
    assert Rattler(tmp_path / "after").try_install(url_with(server, key), ["app"]).returncode == 1


def test_no_key_is_in_a_line_of_the_logs(server: LiveServer, rattler: Rattler, developer: str, stranger: str) -> None:
    rattler.install(url_with(server, developer), ["app"])
    ask(server, stranger)
    own = "Own-Key-9d2c-of-the-build-farm"
    file = "conda/approved-conda/noarch/repodata.json"
    for key in (stranger, own):
        for path in (f"t/{key}/{file}", f"{file}?key={key}", f"api/v1/channels?key={key}", f"t/{key}/api/v1/{key}"):
            with pytest.raises(HTTPError):
                urlopen(f"{server.url}/{path}", timeout=60)
        for value in (f"Basic {b64encode(f'api:{key}x'.encode()).decode()}", f"Bearer {key}x"):
            with pytest.raises(HTTPError):
                urlopen(Request(f"{server.url}/{file}", headers={"Authorization": value}), timeout=60)
    lines = [line for log in (server.out, server.err) for line in log.read_text().splitlines()]
    assert any("sign_ins_failed" in line for line in lines)
    secrets = [key.rpartition("-")[2] for key in (developer, stranger)] + [own]
    assert [line for line in lines if any(secret in line for secret in secrets)] == []


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LiveServer]:
    """A server with two web workers, on each backend."""
    write_channel(tmp_path / "upstream", [])
    upstream = (tmp_path / "upstream").as_uri()
    if request.param == "sqlite":
        with LiveServer(tmp_path / "data", upstream=upstream, workers=2) as server:
            yield server
        return
    postgres = request.getfixturevalue("postgres")
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE headgate_pair")
    url = make_url(postgres).set(database="headgate_pair").render_as_string(hide_password=False)
    env = {"HEADGATE_DATABASE__URL": url}
    with LiveServer(tmp_path / "data", upstream=upstream, workers=2, env=env) as server:
        yield server
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP DATABASE headgate_pair WITH (FORCE)")


def statuses(server: LiveServer, key: str) -> set[int]:
    """What every worker says: each connection may meet another one."""
    found = set()
    for _ in range(12):
        request = Request(f"{server.url}/conda/approved-conda/noarch/repodata_shards.msgpack.zst")
        request.add_header("X-API-Key", key)
        try:
            with urlopen(request, timeout=60) as answer:
                found.add(answer.status)
        except HTTPError as error:
            found.add(error.code)
    return found


def test_grants_and_revocations_reach_every_worker_within_a_second(pair: LiveServer) -> None:
    pair.json("channel", "set", "approved-conda", "--privacy", "private")
    pair.json("user", "create", "dan", "--password", "engineers-know-networks")
    key = key_of(pair, "dan")

    def soon(status: int) -> bool:
        return eventually(lambda: statuses(pair, key) == {status}, timeout_s=1.0)

    assert soon(403)
    grant = pair.json("grant", "add", "--user", "dan", "--role", "downloader", "--channel", "approved-conda")
    assert soon(200)
    pair.json("grant", "remove", str(grant["id"]))
    assert soon(403)
    pair.json("token", "revoke", "client", "--user", "dan")
    assert soon(401)

"""LDAP as an administrator types it, on a live server; and a client with somebody's own password."""

import json
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.clients.conftest import Rattler
from tests.live import LiveServer
from tests.packages import package
from tests.slapd import GROUPS, PEOPLE, READER, READER_PASSWORD, Slapd, directory, group, person
from tests.upstreams import write_channel
from tests.waiting import eventually

FILENAME = "app-1.0-0.conda"
MAPPING = f"cn=engineers,{GROUPS}->Developers"


@pytest.fixture(scope="module")
def corp() -> Iterator[Slapd]:
    people = "".join(person(uid, f"{uid}-secret") for uid in ("nora", "dan", "sam"))
    with directory(people + group("engineers", "nora", "dan")) as server:
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, corp: Slapd) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("ldap")
    write_channel(folder / "upstream", [])
    filename, body = package("app", noarch="generic")
    (folder / filename).write_bytes(body)
    (folder / "ca.pem").write_text(corp.ca)
    (folder / "password").write_text(f"{READER_PASSWORD}\n")
    with LiveServer(folder / "data", upstream=(folder / "upstream").as_uri()) as server:
        server.json("channel", "set", "approved-conda", "--privacy", "private")
        server.json("upload", "approved-conda", folder / filename)
        server.json("group", "create", "Developers")
        server.json("grant", "add", "--group", "Developers", "--role", "downloader", "--channel", "approved-conda")
        where = ["--user-base", PEOPLE, "--group-base", GROUPS, "--group", MAPPING]
        who = ["--bind-dn", READER, "--bind-password-file", str(folder / "password")]
        words = [
            "ldap",
            "add",
            "corp",
            "--template",
            "openldap",
            "--url",
            corp.url,
            "--ca-file",
            str(folder / "ca.pem"),
        ]
        added = server.json(*words, *where, *who)
        assert added["bind_password"] == "•••"
        yield server


def with_input(server: LiveServer, text: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "headgate", *words]
    return subprocess.run(command, capture_output=True, check=False, env=server.env, input=text, text=True, timeout=90)


def status_of(server: LiveServer, name: str) -> int:
    """What the API answers somebody with their own password."""
    credentials = b64encode(f"{name}:{name}-secret".encode()).decode()
    request = Request(f"{server.url}/api/v1/me", headers={"Authorization": f"Basic {credentials}"})
    try:
        with urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


@pytest.fixture
def rattler(tmp_path: Path) -> Rattler:
    return Rattler(tmp_path / "client")


def install(server: LiveServer, rattler: Rattler, name: str, password: str) -> subprocess.CompletedProcess[str]:
    auth = {"127.0.0.1": {"BasicHTTP": {"username": name, "password": password}}}
    return rattler.try_install(f"{server.url}/conda/approved-conda", ["app"], auth=auth)


def test_a_developer_installs_with_the_password_of_the_directory(server: LiveServer, rattler: Rattler) -> None:
    done = install(server, rattler, "nora", "nora-secret")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [FILENAME]
    (user,) = [one for one in server.json("user", "list") if one["name"] == "nora"]
    assert user["groups"] == ["Developers"]


def test_who_is_in_no_group_or_types_wrongly_does_not(server: LiveServer, rattler: Rattler) -> None:
    for name, password, status in (("sam", "sam-secret", "403"), ("dan", "wrong", "401")):
        done = install(server, rattler, name, password)
        assert done.returncode == 1
        assert status in done.stderr


def test_every_step_of_a_sign_in_is_told(server: LiveServer) -> None:
    done = with_input(server, "dan-secret\n", "ldap", "test", "dan", "--ask-password")
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("resolve", "commonName=Corp test CA", READER, f"uid=dan,{PEOPLE}", "engineers", "Developers", "right"):
        assert word in done.stdout
    assert "dan-secret" not in done.stdout + done.stderr
    assert READER_PASSWORD not in done.stdout + done.stderr
    wrong = with_input(server, "wrong\n", "ldap", "test", "dan", "--directory", "corp", "--ask-password")
    assert wrong.returncode == 1
    assert "FAILED" in wrong.stdout
    nobody = server.run("ldap", "test", "nobody")
    assert nobody.returncode == 1
    assert "--user-filter" in nobody.stdout


def test_a_leaver_is_kept_out_by_a_sync(server: LiveServer, corp: Slapd) -> None:
    corp.add(person("lea", "lea-secret"))
    assert [status_of(server, name) for name in ("nora", "sam", "lea")] == [200, 200, 200]
    corp.delete(f"uid=lea,{PEOPLE}")
    done = server.run("ldap", "sync", "--wait")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("disabled lea.\n")
    assert {one["name"]: one["is_disabled"] for one in server.json("user", "list")}["lea"]
    assert status_of(server, "lea") == 401
    shown = server.json("ldap", "show", "corp")
    assert shown["synced_at"] is not None
    assert shown["failure"] is None


def test_a_plain_connection_is_warned_of_everywhere(server: LiveServer, corp: Slapd) -> None:
    words = ["--url", corp.url, "--user-base", PEOPLE, "--no-starttls"]
    refused = server.run("ldap", "add", "plain", *words)
    assert refused.returncode == 1
    assert "unencrypted" in refused.stderr
    added = server.run("ldap", "add", "plain", *words, "--insecure")
    assert (added.returncode, "WARNING" in added.stderr) == (0, True)
    assert "WARNING" in server.run("ldap", "show", "plain").stderr
    assert "unencrypted" in server.run("ldap", "list").stdout
    assert "WARNING" in server.run("ldap", "test", "nora", "--directory", "plain").stdout
    assert server.run("ldap", "set", "plain", "--position", "1").returncode == 0
    assert [one["name"] for one in server.json("ldap", "list")] == ["plain", "corp"]
    assert server.run("ldap", "remove", "plain").returncode == 0


def test_directories_are_followed_without_being_asked(tmp_path: Path, corp: Slapd) -> None:
    write_channel(tmp_path / "upstream", [])
    variables = {"HEADGATE_LDAP__SYNC_MINUTES": "0.01"}
    with LiveServer(tmp_path / "data", upstream=(tmp_path / "upstream").as_uri(), env=variables) as server:
        added = server.json("ldap", "add", "corp", "--url", "ldaps://127.0.0.1:1", "--user-base", PEOPLE)
        assert added["checked_at"] is None
        assert eventually(lambda: server.json("ldap", "show", "corp")["failure"], timeout_s=60)
        job = server.json("job", "list", "--kind", "sync-ldap")[-1]
        assert (job["state"], job["actor"]) == ("failed", "headgate")


def test_no_password_is_in_a_log(server: LiveServer) -> None:
    said = server.out.read_text() + server.err.read_text()
    for secret in ("nora-secret", "dan-secret", READER_PASSWORD):
        assert secret not in said

"""Signing in at a live server: two workers, the command line, a real provider."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.test_start import make_upstream
from tests.live import PASSWORD, LiveServer, environment, free_port
from tests.providers.running import CLIENT_ID, CLIENT_SECRET, OidcServer
from tests.waiting import eventually

PLAIN = {"connection": "close"}  # a new connection each time, so that either worker may answer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    root = tmp_path_factory.mktemp("live")
    with LiveServer(root / "data", upstream=make_upstream(root / "upstream").as_uri(), workers=2) as server:
        yield server


def same_origin(server: LiveServer) -> dict[str, str]:
    return {"sec-fetch-site": "same-origin", "origin": server.url}


@contextmanager
def signed_in(server: LiveServer, name: str = "admin") -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers={"user-agent": "test browser", **PLAIN}) as client:
        answer = client.post("/sign-in", data={"name": name, "password": PASSWORD}, headers=same_origin(server))
        assert answer.status_code == 303, answer.text
        yield client


def proof_of(client: httpx.Client) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/account").text)
    assert found
    return found[1]


def is_dead_within_a_second(client: httpx.Client) -> bool:
    """On every worker: none of many fresh connections is let in any more, from a second on at the latest."""
    text = client.cookies["headgate"]
    since = time.monotonic()

    def count() -> int:
        with httpx.Client(base_url=str(client.base_url), cookies={"headgate": text}, headers=PLAIN) as again:
            return sum(again.get("/api/v1/me").status_code == 200 for _ in range(20))

    assert eventually(lambda: count() == 0, timeout_s=5)
    return time.monotonic() - since < 1.0


def test_session_counts_on_every_worker_at_once(server: LiveServer) -> None:
    with signed_in(server) as client:
        assert {client.get("/api/v1/me").status_code for _ in range(40)} == {200}


def test_revoked_session_is_dead_within_a_second_on_every_worker(server: LiveServer) -> None:
    with signed_in(server) as client:
        mine = client.get("/api/v1/me/sessions").json()["items"][0]["id"]
        assert server.run("session", "revoke", str(mine)).returncode == 0
        assert is_dead_within_a_second(client)


def test_disabled_user_and_new_password_end_sessions_within_a_second(server: LiveServer) -> None:
    for name, words in [("dora", ("user", "disable", "dora")), ("emil", ("user", "set-password", "emil"))]:
        assert server.run("user", "create", name, "--password", PASSWORD).returncode == 0
        with signed_in(server, name) as client:
            assert client.get("/api/v1/me").json()["name"] == name
            assert server.run(*words).returncode == 0
            assert is_dead_within_a_second(client)


def test_sessions_are_listed_and_revoked_by_command(server: LiveServer) -> None:
    server.run("user", "create", "flora", "--password", PASSWORD)
    with signed_in(server, "flora") as client:
        (listed,) = server.json("session", "list", "--user", "flora")
        assert (listed["method"], listed["agent"], listed["address"]) == ("password", "test browser", "127.0.0.1")
        assert client.cookies["headgate"] not in json.dumps(listed)
        assert server.run("session", "revoke", "--user", "flora", "--all").returncode == 0
        assert server.json("session", "list", "--user", "flora") == []
    assert server.run("session", "revoke").returncode == 2
    assert server.run("session", "revoke", "999999").returncode == 1
    assert server.run("session", "list").returncode == 0


class Login:
    """`headgate login`, while it waits."""

    def __init__(self, server: LiveServer, home: Path, *words: str) -> None:
        self.env = environment(HEADGATE_URL=server.url, XDG_CONFIG_HOME=str(home))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "headgate", "login", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.env,
            text=True,
        )
        assert self.process.stderr is not None
        self.url = self.process.stderr.readline().removeprefix("Open ").strip()
        self.code = self.process.stderr.readline().rpartition(" ")[2].strip()

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


def answer(client: httpx.Client, server: LiveServer, code: str, word: str) -> None:
    fields = {"csrf_token": proof_of(client), "code": code, "answer": word}
    for path in ("/device", "/device/answer"):
        assert client.post(path, data=fields, headers=same_origin(server)).status_code == 200


def test_login_keeps_a_token_and_logout_revokes_it(server: LiveServer, tmp_path: Path) -> None:
    waiting = Login(server, tmp_path)
    assert waiting.url == f"{server.url}/device"
    with signed_in(server) as client:
        answer(client, server, waiting.code, "yes")
    status, out, err = waiting.end()
    assert (status, err) == (0, "")
    assert out.startswith("Signed in as admin until ")
    file = tmp_path / "headgate" / "credentials.toml"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    token = re.search(r'token = "(hg-[^"]+)"', file.read_text())
    assert token
    assert token[1] not in out + server.err.read_text()
    listed = server.run("user", "list", env=waiting.env)
    assert listed.returncode == 0, listed.stderr
    assert server.run("logout", env=waiting.env).stdout == f"Signed out of {server.url}.\n"
    assert token[1] not in file.read_text()
    assert httpx.get(f"{server.url}/api/v1/me", headers={"x-api-key": token[1]}).json()["code"] == "token-revoked"
    assert server.run("logout", env=waiting.env).returncode == 1
    assert server.run("user", "list", env=waiting.env).returncode == 1


def test_second_login_replaces_the_first_and_the_variable_wins(server: LiveServer, tmp_path: Path) -> None:
    tokens = []
    with signed_in(server) as client:
        for _ in range(2):
            waiting = Login(server, tmp_path, "--json")
            answer(client, server, waiting.code, "yes")
            status, out, _ = waiting.end()
            assert status == 0
            tokens.append(json.loads(out)["name"])
    live = {one["name"] for one in server.json("token", "list", "--user", "admin") if one["revoked_at"] is None}
    assert tokens[0] not in live
    assert tokens[1] in live
    wrong = server.run("user", "list", "--json", env={**waiting.env, "HEADGATE_TOKEN": "hg-x-y"})
    assert json.loads(wrong.stdout)["code"] == "token-unknown"


def test_login_that_is_refused_keeps_nothing(server: LiveServer, tmp_path: Path) -> None:
    waiting = Login(server, tmp_path)
    with signed_in(server) as client:
        answer(client, server, waiting.code, "no")
    status, _, err = waiting.end()
    assert status == 1
    assert "said no" in err
    assert not (tmp_path / "headgate").exists()


def test_broken_credentials_are_a_sentence(server: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "headgate").mkdir()
    (tmp_path / "headgate" / "credentials.toml").write_text("nonsense")
    done = server.run("user", "list", env=environment(HEADGATE_URL=server.url, XDG_CONFIG_HOME=str(tmp_path)))
    assert done.returncode == 1
    assert "credentials.toml cannot be read" in done.stderr


def oidc(server: LiveServer, *words: str | Path) -> Any:
    return server.json("oidc", *words)


def test_providers_are_kept_by_command_and_sign_people_in(server: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{CLIENT_SECRET}\n")
    callback, logout = (f"{server.url}/oidc/sso/{word}" for word in ("callback", "back-channel-logout"))
    with OidcServer([callback], backchannel_logout_uri=logout, backchannel_logout_session_required=True) as sso:
        words = ("--client-id", CLIENT_ID, "--client-secret-file", tmp_path / "secret", "--group", "network=Engineers")
        made = oidc(server, "add", "sso", "--issuer", sso.issuer, *words)
        assert (made["callback_url"], made["back_channel_logout_url"]) == (callback, logout)
        assert made["client_secret"] == oidc(server, "show", "sso")["client_secret"] == "•••"
        assert [one["name"] for one in oidc(server, "list")] == ["sso"]
        assert oidc(server, "test", "sso")["is_saying_issuer"] is True
        assert oidc(server, "set", "sso", "--role", "watcher=auditor")["roles"] == {"watcher": "auditor"}
        with httpx.Client(headers=PLAIN) as client:
            page = visit(client, f"{server.url}/sign-in?provider=sso&next=/account")
            assert (page.status_code, page.url.path) == (200, "/account")
            assert client.get(f"{server.url}/api/v1/me").json()["name"] == "ada"
            # The provider's own sign-out calls our back channel.
            confirm = client.get(f"{sso.issuer}/session/end")
            secret = re.search(r'name="xsrf" value="([^"]+)"', confirm.text)
            assert secret
            fields = {"xsrf": secret[1], "logout": "yes"}
            assert client.post(f"{sso.issuer}/session/end/confirm", data=fields).status_code in {200, 302, 303}
            assert eventually(lambda: client.get(f"{server.url}/api/v1/me").status_code == 401)
        assert CLIENT_SECRET not in server.err.read_text() + json.dumps(oidc(server, "list"))
    assert server.run("oidc", "remove", "sso").returncode == 0
    assert oidc(server, "list") == []


def visit(client: httpx.Client, url: str) -> httpx.Response:
    """Follow redirects, as ada at the provider."""
    answer = client.get(url)
    while answer.has_redirect_location:
        target = answer.url.join(answer.headers["location"])
        answer = client.get(target.copy_merge_params({"as": "id-ada"}) if target.path.startswith("/login/") else target)
    return answer


@pytest.mark.parametrize(
    "words",
    [
        ("--issuer", "http://far.example", "--client-id", "x"),
        ("--issuer", "https://me:secret@sso.example", "--client-id", "x"),
        ("--issuer", "https://sso.example?x=y", "--client-id", "x"),
        ("--issuer", "https://sso.example", "--client-id", "x", "--scope", "profile"),
        ("--issuer", "https://sso.example", "--client-id", "x", "--role", "*=*"),
        ("--issuer", "https://sso.example", "--client-id", "x", "--same-names", "--role", "*=administrator"),
    ],
)
def test_provider_that_cannot_be(server: LiveServer, words: tuple[str, ...]) -> None:
    refused = server.run("oidc", "add", "odd", *words, "--json")
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["code"] == "oidc-provider-invalid"


def test_provider_that_does_not_answer_is_a_sentence(server: LiveServer) -> None:
    issuer = f"http://127.0.0.1:{free_port()}"
    assert server.run("oidc", "add", "gone", "--issuer", issuer, "--client-id", "x").returncode == 0
    refused = server.run("oidc", "test", "gone", "--json")
    assert json.loads(refused.stdout)["code"] == "upstream-unreachable"
    page = httpx.get(f"{server.url}/oidc/gone/sign-in")
    assert page.status_code == 502
    assert "text/html" in page.headers["content-type"]
    assert "could not be reached" in page.text

"""The outgoing network with real proxies: who fetches what through whom, whom we trust, and where secrets show."""

import json
import ssl
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.request import urlopen

import pytest

from tests.certificates import Authority
from tests.live import LiveServer
from tests.packages import package
from tests.proxies import Mitmproxy, Squid
from tests.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server
from tests.upstreams import FolderServer, write_channel
from tests.waiting import eventually

pytestmark = [pytest.mark.client, pytest.mark.slow]

PASSWORDS = {"ada": "ada-s3cret", "grace": "gr4ce-s3cret"}
SECRETS = ("ada-s3cret", "gr4ce-s3cret", "wr0ng-s3cret", "bas1c-s3cret", "t0ken-s3cret", "b3arer-s3cret")


class TlsServer:
    """A folder over HTTPS, from threads of this process."""

    def __init__(self, root: Path, authority: Authority, scratch: Path) -> None:
        certificate, key = authority.issue("127.0.0.1")
        both = scratch / "server.pem"
        both.write_text(certificate + key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(both)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(root)))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two channels, and the second behind a token too."""
    root = tmp_path_factory.mktemp("upstream")
    for name in ("first", "second"):
        filename, body = package(name)
        write_channel(root / name, [("noarch", filename, body)])
    (root / "t" / "t0ken-s3cret").mkdir(parents=True)
    (root / "t" / "t0ken-s3cret" / "second").symlink_to(root / "second")
    return root


@pytest.fixture(scope="module")
def upstream(folder: Path) -> Iterator[FolderServer]:
    with FolderServer(folder) as served:
        yield served


@pytest.fixture(scope="module")
def squid() -> Iterator[Squid]:
    with Squid(PASSWORDS) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[LiveServer]:
    data = tmp_path_factory.mktemp("server") / "data"
    with LiveServer(data, upstream=(folder / "first").as_uri(), workers=2) as running:
        yield running


def assert_fetched(server: LiveServer, channel: str, folder: Path) -> None:
    """A client gets the package of a private channel as its upstream's folder has it."""
    [file] = (folder / "noarch").glob("*.conda")
    with urlopen(f"{server.url}/t/{server.token}/{channel}/noarch/{file.name}", timeout=30) as answer:
        assert answer.read() == file.read_bytes()


def add(server: LiveServer, channel: str, url: str, *options: str) -> Any:
    return server.json("mirror", "add", channel, url, "--subdir", "noarch", "--no-sync", *options)


def test_two_mirrors_leave_as_two_users_of_one_proxy(
    server: LiveServer, folder: Path, upstream: FolderServer, squid: Squid
) -> None:
    for name, user in (("first", "ada"), ("second", "grace")):
        add(server, f"squid-{name}", f"{upstream.url}/{name}", "--proxy", squid.url(user, PASSWORDS[user]))
        server.json("mirror", "sync", f"squid-{name}", "--wait")
        assert_fetched(server, f"squid-{name}", folder / name)
    seen = squid.fetched()
    for name, user in (("first", "ada"), ("second", "grace")):
        users = {who for who, _, url in seen if f"/{name}/" in url and who != "-"}
        assert users == {user}, seen
        fetched = f"{name}-1.0-0.conda"
        assert [who for who, status, url in seen if url.endswith(fetched) and "200" in status] == [user]
    assert not [path for path in upstream.paths if "Authorization" in path]


def test_wrong_proxy_password_is_said_to_be_that_and_a_new_one_counts_at_once(
    server: LiveServer, folder: Path, upstream: FolderServer, squid: Squid
) -> None:
    add(server, "locked", f"{upstream.url}/first", "--proxy", squid.url("ada", "wr0ng-s3cret"))
    failed = server.run("mirror", "sync", "locked", "--wait")
    assert failed.returncode == 1
    assert f"The proxy http://•••@127.0.0.1:{squid.port} wants other credentials" in failed.stderr
    tested = server.run("mirror", "test", "locked", "main", "--json")
    assert tested.returncode == 1
    states = {one["step"]: one["state"] for one in json.loads(tested.stdout)["trials"][0]["steps"]}
    assert (states["dns"], states["proxy"], states["repodata"]) == ("ok", "failed", "skipped")
    server.json("mirror", "set", "locked", "main", "--proxy", squid.url("ada", PASSWORDS["ada"]))
    assert json.loads(server.run("mirror", "test", "locked", "main", "--json").stdout)["is_good"]
    server.json("mirror", "sync", "locked", "--wait")
    assert_fetched(server, "locked", folder / "first")


def brought(squid: Squid, user: str, url: str, how: str = "TCP_") -> list[str]:
    """What squid brought a user of a URL; it writes that down once the connection is over."""
    return [
        seen
        for who, status, seen in squid.fetched()
        if (who, "/200" in status) == (user, True) and status.startswith(how) and seen.startswith(url)
    ]


def test_tls_through_a_proxy_with_users(server: LiveServer, folder: Path, squid: Squid, tmp_path: Path) -> None:
    authority = Authority("Tunnel CA")
    (tmp_path / "ca.pem").write_text(authority.pem)
    server.json("ca", "add", "tunnel", tmp_path / "ca.pem")
    with TlsServer(folder / "first", authority, tmp_path) as upstream:
        wrong = squid.url("grace", "wr0ng-s3cret")
        add(server, "tunnel", upstream.url, "--ca", "tunnel", "--proxy", wrong)
        failed = server.run("mirror", "sync", "tunnel", "--wait")
        assert "wants other credentials than it was given (407)" in failed.stderr
        server.json("mirror", "set", "tunnel", "main", "--proxy", squid.url("grace", PASSWORDS["grace"]))
        server.json("mirror", "sync", "tunnel", "--wait")
        assert_fetched(server, "tunnel", folder / "first")
    assert eventually(lambda: brought(squid, "grace", upstream.url.removeprefix("https://"), "TCP_TUNNEL"))


def test_buckets_are_read_through_a_proxy_with_users(server: LiveServer, squid: Squid, tmp_path: Path) -> None:
    folder = tmp_path / "bucket"
    write_channel(folder, [("noarch", *package("packed"))])  # nobody else's, so that it is not here yet
    authority = Authority("S3 CA")
    certificate, key = authority.issue("127.0.0.1")
    (tmp_path / "s3.pem").write_text(certificate + key)
    (tmp_path / "s3-ca.pem").write_text(authority.pem)
    server.json("ca", "add", "s3", tmp_path / "s3-ca.pem")
    keys = ("--s3-access-key", ACCESS_KEY, "--s3-secret-key", SECRET_KEY)
    proxy = squid.url("ada", PASSWORDS["ada"])
    with S3Server() as plain, S3Server(certificate=tmp_path / "s3.pem") as secured:
        for name, s3, options in (("plain", plain, ()), ("secured", secured, ("--ca", "s3"))):
            s3.fill(name, folder, "team/")
            place = ("--s3-endpoint", s3.url, "--s3-region", REGION, "--proxy", proxy)
            add(server, f"s3-{name}", f"s3://{name}/team", *place, *keys, *options)
            assert server.json("mirror", "sync", f"s3-{name}", "--wait")["state"] == "done"
            assert_fetched(server, f"s3-{name}", folder)
        server.json("mirror", "set", "s3-secured", "main", "--ca", "")
        assert "issued by" in server.run("mirror", "sync", "s3-secured", "--wait").stderr, "no other mirror's CA counts"

    def came() -> set[str]:
        return {line.split()[1] for line in plain.lines if line.endswith(" 200")}

    wanted = {f"/plain/team/noarch/{file}" for file in ("repodata.json.zst", "packed-1.0-0.conda")}
    assert eventually(lambda: came() >= wanted), came()
    assert eventually(lambda: all(brought(squid, "ada", plain.url + path) for path in came()))
    assert eventually(lambda: brought(squid, "ada", secured.url.removeprefix("https://"), "TCP_TUNNEL"))


def test_proxy_that_ends_tls_is_trusted_by_the_mirror_that_was_told_to(
    server: LiveServer, folder: Path, tmp_path: Path
) -> None:
    authority = Authority("Upstream CA")
    (tmp_path / "upstream-ca.pem").write_text(authority.pem)
    with (
        TlsServer(folder / "first", authority, tmp_path) as upstream,
        Mitmproxy(tmp_path / "mitm", tmp_path / "upstream-ca.pem") as proxy,
    ):
        for channel in ("inspected", "other"):
            add(server, channel, upstream.url + ("" if channel == "inspected" else "/."), "--proxy", proxy.url)
            failed = server.run("mirror", "sync", channel, "--wait")
            assert failed.returncode == 1
            assert 'issued by "O=mitmproxy,CN=mitmproxy"' in failed.stderr, failed.stderr
            assert "headgate ca add" in failed.stderr
        tested = json.loads(server.run("mirror", "test", "inspected", "main", "--json").stdout)
        assert [one["step"] for one in tested["trials"][0]["steps"] if one["state"] == "failed"] == ["tls"]

        added = server.json("ca", "add", "inspection", proxy.authority)
        assert "CN=mitmproxy" in added["certificates"][0]["subject"]
        server.json("mirror", "set", "inspected", "main", "--ca", "inspection")
        server.json("mirror", "sync", "inspected", "--wait")
        assert_fetched(server, "inspected", folder / "first")
        assert json.loads(server.run("mirror", "test", "inspected", "main", "--json").stdout)["is_good"]
        assert "issued by" in server.run("mirror", "sync", "other", "--wait").stderr

        in_use = server.run("ca", "remove", "inspection")
        assert (in_use.returncode, "inspected" in in_use.stderr) == (1, True)
        server.json("mirror", "set", "inspected", "main", "--ca", "")
        assert server.run("ca", "remove", "inspection").returncode == 0
        assert server.run("mirror", "test", "inspected", "main").returncode == 1


def test_unverified_mirror_works_and_warns_everywhere(server: LiveServer, folder: Path, tmp_path: Path) -> None:
    with TlsServer(folder / "first", Authority("Nobody's CA"), tmp_path) as upstream:
        added = server.run("mirror", "add", "blind", upstream.url, "--subdir", "noarch", "--no-sync", "--no-verify")
        assert "not verified" in added.stderr
        server.json("mirror", "sync", "blind", "--wait")
        for words in (("mirror", "show", "blind", "main"), ("mirror", "status", "blind")):
            assert "Warning: " in server.run(*words).stderr
        assert server.json("mirror", "show", "blind", "main")["warnings"] != []
        assert '"mirror_unsafe"' in server.err.read_text()


def test_no_secret_shows_anywhere(server: LiveServer, folder: Path, upstream: FolderServer, squid: Squid) -> None:
    url = upstream.url.replace("://", "://me:bas1c-s3cret@") + "/t/t0ken-s3cret/second"
    add(server, "secretive", url, "--proxy", squid.url("ada", PASSWORDS["ada"]))
    add(server, "bearing", f"{upstream.url}/first", "--bearer-token", "b3arer-s3cret")
    shown = []
    for channel in ("secretive", "bearing"):
        shown.append(server.run("mirror", "sync", channel, "--wait", "--json"))
        shown.append(server.run("mirror", "show", channel, "main", "--json"))
        shown.append(server.run("mirror", "test", channel, "main", "--json"))
    assert_fetched(server, "secretive", folder / "second")
    shown += [server.run(*words, "--json") for words in (("channel", "list"), ("mirror", "status"), ("job", "list"))]
    answers = "".join(one.stdout + one.stderr for one in shown)
    assert server.process is not None
    processes = b"".join(
        Path(f"/proc/{pid}/{what}").read_bytes()
        for pid in (server.process.pid, *server.children())
        for what in ("cmdline", "environ")
    )
    with urlopen(f"{server.url}/metrics") as metrics:
        answers += metrics.read().decode()
    logs = server.out.read_bytes() + server.err.read_bytes()
    kept = b"".join(
        path.read_bytes() for path in server.data.rglob("*") if path.is_file() and "blobs" not in path.parts
    )
    assert json.dumps("•••@")[1:-1].encode() in kept
    for secret in SECRETS:
        places = {"answers": answers.encode(), "processes": processes, "logs": logs, "database": kept}
        assert [where for where, text in places.items() if secret.encode() in text] == [], secret

"""The audit, reports and incidents by commands, against a live server."""

import csv
import io
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.live import LiveServer
from tests.packages import package
from tests.waiting import eventually

FILENAME, BODY = package("demo", "1.0")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("records")
    (folder / FILENAME).write_bytes(BODY)
    with LiveServer(folder / "data") as server:
        for words in (("channel", "create", "team", "--kind", "hosted"), ("upload", "team", folder / FILENAME)):
            done = server.run(*words)
            assert done.returncode == 0, done.stdout + done.stderr
        yield server


def said(server: LiveServer, *words: str | Path) -> str:
    done = server.run(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def download(server: LiveServer) -> int:
    headers = {"Authorization": f"Bearer {server.token}", "User-Agent": "mamba/2.0.5"}
    try:
        with urlopen(Request(f"{server.url}/conda/team/noarch/{FILENAME}", headers=headers)) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def test_an_incident_is_seen_declared_and_lifted_and_all_of_it_is_on_record(server: LiveServer, tmp_path: Path) -> None:
    assert download(server) == 200
    assert eventually(lambda: "mamba" in said(server, "report", "affected", "demo"))
    made = server.json("incident", "declare", "demo", "--reason", "A stealer.")
    assert download(server) == 403
    assert "A stealer." in said(server, "incident", "list")
    said(server, "incident", "lift", str(made["id"]), "--reason", "A false alarm.")
    assert download(server) == 200
    assert said(server, "incident", "list").count("demo") == 0
    assert "demo" in said(server, "incident", "list", "--all")
    assert eventually(lambda: "policy-blocked" in said(server, "audit", "requests", "--refused"))
    rows = list(csv.DictReader(io.StringIO(said(server, "report", "downloads", "--by", "client", "--by", "channel"))))
    assert [(row["client"], row["channel"], row["refused"]) for row in rows] == [("mamba", "team", "1")]
    pack = tmp_path / "evidence.zip"
    said(server, "audit", "evidence", pack)
    assert "The pack is whole" in said(server, "audit", "verify", "--pack", pack)
    assert "The chain is whole" in said(server, "audit", "verify")
    for report in (
        ("licences", "team"),
        ("storage",),
        ("stale", "team", "--days", "0"),
        ("approvals",),
        ("advisories",),
        ("advisory-days", "--since", "30d"),
        ("syncs",),
    ):
        assert "," in said(server, "report", *report)


def test_views_are_saved_listed_and_removed_and_a_clean_up_is_foreseen(server: LiveServer) -> None:
    made = server.json("view", "save", "audit", "Policies", "action:policy since:30d", "--share")
    assert "action:policy since:30d" in said(server, "view", "list", "--page", "audit")
    said(server, "view", "remove", str(made["id"]))
    assert server.json("view", "list") == []
    assert server.json("channel", "retention", "team")["files"] == 0
    assert "0 files, 0 bytes" in said(server, "channel", "retention")


def test_events_are_sent_on_while_they_happen(server: LiveServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as receiver:
        receiver.settimeout(30)
        port = receiver.getsockname()[1]
        said(server, "audit", "stream", "add", "siem", f"syslog+tcp://127.0.0.1:{port}", "--from-start")
        connection, _ = receiver.accept()
        with connection:
            connection.settimeout(30)
            assert b'"action": "channel:create"' in _all_of(connection)
        assert eventually(lambda: server.json("audit", "stream", "list")[0]["behind"] == 0)
        said(server, "audit", "stream", "remove", "siem")


def _all_of(connection: socket.socket) -> bytes:
    pieces = []
    while piece := connection.recv(1 << 16):
        pieces.append(piece)
    return b"".join(pieces)

"""Two feeds: engineers promote out of one into the other, developers install from the other alone."""

import json
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import Rattler
from tests.live import LiveServer, environment
from tests.upstreams import FolderServer
from tests.waiting import eventually

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


def test_what_was_asked_for_and_approved_installs_from_the_target_alone(
    server: LiveServer, rattler: Rattler, tmp_path: Path
) -> None:
    lab = "lab-conda"
    server.json("channel", "create", lab, "--kind", "hosted", "--privacy", "private")
    for group, role in (("Developers", "downloader"), ("Network Engineers", "approver")):
        server.json("grant", "add", "--group", group, "--role", role, "--channel", lab)
    server.json("request", "rules", "set", lab, "--source", OUTSIDE, "--comment-required")
    developer = server.env | {"HEADGATE_TOKEN": key_of(server, "dan")}
    engineer = server.env | {"HEADGATE_TOKEN": key_of(server, "nadia")}
    file = tmp_path / "environment.yml"
    file.write_text("dependencies:\n- python\n- pandas\n- pip:\n  - requests\n")

    words = ("request", "create", "--file", file, "--to", lab, "--platform", "linux-64", "--comment", "For the lab")
    asked = server.run(*words, env=developer)
    assert asked.returncode == 0, asked.stderr
    assert "waiting" in asked.stdout
    assert "pip installs requests; it does not pass." in asked.stderr
    (request,) = server.json("request", "list", "--to", lab)
    number = str(request["id"])
    assert (request["state"], request["requesters"][0]["name"]) == ("requested", "dan")

    for said, env, given in [
        ("promotion:approve", developer, ("--comment", "Mine")),
        ("comment", engineer, ()),
    ]:
        refused = server.run("request", "approve", number, *given, env=env)
        assert (refused.returncode, said in refused.stderr) == (1, True), refused.stderr
    approved = server.run("request", "approve", number, "--comment", "Clean", env=engineer)
    assert approved.returncode == 0, approved.stderr
    assert f"Request {number} is applied." in approved.stdout
    shown = server.json("request", "show", number)
    assert [one["kind"] for one in shown["remarks"]] == ["requested", "approved", "applied"]
    promotion = server.json("promotion", "show", str(shown["promotion"]))
    assert (promotion["request"], promotion["approvers"], promotion["comment"]) == (request["id"], ["nadia"], "Clean")
    assert 'headgate_open_requests{state="requested"} 0.0' in fetched(f"{server.url}/metrics")

    key = developer["HEADGATE_TOKEN"]
    url = f"{server.url.replace('://', f'://api:{key}@')}/conda/{lab}"
    assert any(one.startswith("pandas-") for one in rattler.install(url, ["pandas"]))


def test_a_part_that_was_approved_until_a_date_leaves_by_itself(server: LiveServer) -> None:
    trial = "trial-conda"
    server.json("channel", "create", trial, "--kind", "hosted", "--privacy", "public")
    for role, group in (("downloader", "Developers"), ("approver", "Network Engineers")):
        server.json("grant", "add", "--group", group, "--role", role, "--channel", trial)
    engineer = server.env | {"HEADGATE_TOKEN": key_of(server, "nadia")}
    words = ("request", "create", "numpy", "pandas", "--from", OUTSIDE, "--to", trial, "--platform", "linux-64")
    number = str(server.json(*words)["id"])
    part = ("--leave-out", "pandas")
    look = server.json("request", "show", number, *part)["preview"]["plan"]
    assert not any(one["name"] == "pandas" for one in look["items"])
    done = server.run("request", "approve", number, *part, "--reason", "Later", "--until", "5d", env=engineer)
    assert done.returncode == 0, done.stderr
    rest = server.json("request", "show", number)["rest"]
    assert f"What was left out is request {rest}." in done.stdout
    assert server.json("request", "show", str(rest))["wants"] == ["pandas"]
    assert server.json("request", "waiting", "--kind", "approval")["items"][0]["channel"] == trial
    told = server.run("why", trial, "numpy")
    assert "Approved until" in told.stdout

    database = sqlite3.connect(server.data / "headgate.db", timeout=30)
    with database:
        database.execute("UPDATE artifact SET ends_at = 1 WHERE ends_at IS NOT NULL")
    database.close()
    listing = ("artifact", "list", trial)
    assert eventually(lambda: {one["status"] for one in server.json(*listing)} == {"lapsed"}, 60)
    (numpy,) = [f"{one['subdir']}/{one['filename']}" for one in server.json(*listing) if one["package"] == "numpy"]
    with pytest.raises(urllib.error.HTTPError) as caught:
        fetched(f"{server.url}/conda/{trial}/{numpy}")
    said = json.loads(caught.value.read())
    assert (said["code"], said["request"]) == (
        "approval-ended", f"{server.url}/requests/new?want={numpy}&target={trial}",
    )  # fmt: skip
    assert "Its approval ended" in server.run("why", trial, "numpy").stdout


def test_what_nobody_decides_on_expires_by_itself(server: LiveServer) -> None:
    server.json("channel", "create", "slow-conda", "--kind", "hosted")
    words = ("request", "create", "numpy", "--from", OUTSIDE, "--to", "slow-conda", "--platform", "linux-64")
    number = str(server.json(*words)["id"])
    database = sqlite3.connect(server.data / "headgate.db", timeout=30)
    with database:
        database.execute("UPDATE request SET expires_at = 1 WHERE id = ?", (number,))
    database.close()
    assert eventually(lambda: server.json("request", "show", number)["state"] == "expired", 60)


def fetched(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        text: str = answer.read().decode()
        return text


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

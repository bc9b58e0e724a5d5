"""The life of a hosted channel as real clients see it."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.clients.conftest import Rattler
from tests.live import LiveServer
from tests.packages import package

pytestmark = pytest.mark.client

TEAM = "team"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("life")) as server:
        server.json("channel", "create", TEAM, "--kind", "hosted", "--privacy", "public")
        upload(server, tmp_path_factory.mktemp("first"), "1.0")
        yield server


def upload(server: LiveServer, folder: Path, version: str) -> None:
    send(server, TEAM, folder, version)


def send(server: LiveServer, channel: str, folder: Path, *versions: str) -> None:
    """Upload these versions of lib."""
    for version in versions:
        filename, data = package("lib", version, noarch="generic")
        (folder / filename).write_bytes(data)
        server.json("upload", channel, folder / filename)


def newest(server: LiveServer) -> int:
    return int(server.json("channel", "revisions", TEAM, "--subdir", "noarch")[0]["number"])


def solved(server: LiveServer, cache: Path) -> list[str]:
    """What a client with empty caches installs."""
    return Rattler(cache).install(f"{server.url}/conda/{TEAM}", ["lib"])


def test_a_client_solves_differently_after_a_rollback_and_the_audit_trail_says_why(
    server: LiveServer, tmp_path: Path
) -> None:
    then = newest(server)
    upload(server, tmp_path, "2.0")
    assert solved(server, tmp_path / "before") == ["lib-2.0-0.conda"]
    words = ("channel", "rollback", TEAM, "--revision", f"noarch={then}")
    preview = server.run(*words)
    assert preview.returncode == 0, preview.stderr
    assert "disappears" in preview.stdout
    assert solved(server, tmp_path / "still") == ["lib-2.0-0.conda"]

    done = server.run(*words, "--yes", "--comment", "2.0 breaks the forecasts")
    assert done.returncode == 0, done.stderr
    assert f"--revision noarch={then + 1} --yes" in done.stdout
    assert solved(server, tmp_path / "after") == ["lib-1.0-0.conda"]
    with sqlite3.connect(server.data / "headgate.db") as database:
        rows = database.execute("SELECT actor, detail FROM audit_event WHERE action = 'channel:rollback'").fetchall()
    ((_, detail),) = rows
    assert json.loads(detail)["comment"] == "2.0 breaks the forecasts"
    assert json.loads(detail)["subdirs"]["noarch"]["files"] == ["disappears: lib-2.0-0.conda"]

    server.json("channel", "rollback", TEAM, "--revision", f"noarch={then + 1}", "--yes")
    assert solved(server, tmp_path / "undone") == ["lib-2.0-0.conda"]


def test_a_client_of_a_frozen_channel_solves_as_before_until_it_is_unfrozen(server: LiveServer, tmp_path: Path) -> None:
    before = solved(server, tmp_path / "before")
    server.json("channel", "freeze", TEAM, "--comment", "a release is tested")
    frozen_at = newest(server)
    for version in ("3.0", "4.0"):
        upload(server, tmp_path, version)
    assert solved(server, tmp_path / "frozen") == before
    assert newest(server) == frozen_at
    said = server.run("channel", "unfreeze", TEAM)
    assert "noarch: 1 names waited." in said.stdout
    assert solved(server, tmp_path / "after") == ["lib-4.0-0.conda"]
    assert newest(server) == frozen_at + 1


def test_a_patched_dependency_decides_what_a_client_can_install(server: LiveServer, tmp_path: Path) -> None:
    upload(server, tmp_path, "9.0")
    fix = tmp_path / "fix.json"
    fix.write_text(json.dumps({"packages.conda": {"lib-9.0-0.conda": {"depends": ["absent"]}}}))
    words = ("patch", "set", TEAM, "noarch", fix)
    assert "depends: - -> absent" in server.run(*words).stdout
    assert solved(server, tmp_path / "before") == ["lib-9.0-0.conda"]
    server.json(*words, "--yes", "--comment", "it needs what we do not have")
    assert solved(server, tmp_path / "after") != ["lib-9.0-0.conda"]
    (edit,) = server.json("patch", "list", TEAM)
    server.json("patch", "undo", TEAM, str(edit["id"]))
    assert solved(server, tmp_path / "undone") == ["lib-9.0-0.conda"]


def test_a_client_avoids_what_is_deprecated_and_is_told_so(server: LiveServer, tmp_path: Path) -> None:
    server.json("channel", "create", "words", "--kind", "hosted", "--privacy", "public")
    send(server, "words", tmp_path, "1.0", "2.0")
    url = f"{server.url}/conda/words"
    assert Rattler(tmp_path / "before").install(url, ["lib"]) == ["lib-2.0-0.conda"]
    server.json("package", "deprecate", "words", "lib >=2", "--reason", "It crashes. Stay with 1.", "--avoid")
    assert Rattler(tmp_path / "avoided").install(url, ["lib"]) == ["lib-1.0-0.conda"]
    assert Rattler(tmp_path / "wanted").install(url, ["lib >=2"]) == ["lib-2.0-0.conda"]
    with urlopen(f"{url}/notices.json") as answer:
        (notice,) = json.load(answer)["notices"]
    assert notice["message"] == "words: lib >=2 is deprecated. It crashes. Stay with 1."
    server.json("package", "note", "words", "lib", "ask us")
    server.json("user", "create", "bob")
    server.json("package", "owner", "words", "lib", "--user", "bob", "--publish")
    (said,) = server.json("package", "list", "words")
    assert (said["note"], said["owners"][0]["principal"]) == ("ask us", "bob")
    server.json("package", "owner", "words", "lib", "--user", "bob", "--remove")
    server.json("package", "undeprecate", "words", "lib >=2")
    assert Rattler(tmp_path / "after").install(url, ["lib"]) == ["lib-2.0-0.conda"]


def test_packages_pass_stage_by_stage_and_label_by_label(server: LiveServer, tmp_path: Path) -> None:
    for name in ("dev", "dev/rc", "prod"):
        server.json("channel", "create", name, "--kind", "hosted", "--privacy", "public")
    send(server, "dev", tmp_path, "1.0", "2.0")
    server.json("pipeline", "create", "release", "--stage", "dev", "--stage", "dev/rc", "--stage", "prod")
    skipped = server.run("promote", "lib", "--from", "dev", "--to", "prod", "--platform", "linux-64", "--yes")
    assert skipped.returncode == 1
    assert "comes from dev/rc, not from dev" in skipped.stderr
    for source in ("dev", "dev/rc"):
        server.json("promote", "lib <2", "--from", source, "--platform", "linux-64", "--yes")
    assert Rattler(tmp_path / "prod").install(f"{server.url}/conda/prod", ["lib"]) == ["lib-1.0-0.conda"]
    lags = server.json("pipeline", "show", "release")["lags"]
    assert [(one["channel"], one["records"]) for one in lags] == [("dev/rc", 1), ("prod", 0)]

    preview = server.run("artifact", "relabel", "dev", "lib >=2", "--label", "rc")
    assert preview.returncode == 0, preview.stderr
    assert "1 files are meant" in preview.stdout
    server.json("artifact", "relabel", "dev", "lib >=2", "--label", "rc", "--yes", "--comment", "tested")
    assert Rattler(tmp_path / "rc").install(f"{server.url}/conda/dev/label/rc", ["lib"]) == ["lib-2.0-0.conda"]
    assert Rattler(tmp_path / "dev").install(f"{server.url}/conda/dev", ["lib"]) == ["lib-1.0-0.conda"]
    server.json("pipeline", "set", "release", "--no-strict")
    server.json("artifact", "copy", "dev/rc", "lib", "--to", "prod", "--yes")
    server.json("artifact", "yank", "prod", "lib >=2", "--yes")
    assert Rattler(tmp_path / "yanked").install(f"{server.url}/conda/prod", ["lib"]) == ["lib-1.0-0.conda"]
    server.json("artifact", "unyank", "prod", "noarch/lib-2.0-0.conda")
    server.json("pipeline", "delete", "release")
    assert server.json("pipeline", "list") == []

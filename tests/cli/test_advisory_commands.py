"""Advisories as an administrator types them, against a real server with its jobs process."""

import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.live import LiveServer, environment, headgate
from tests.packages import package
from tests.unit.advisories.making import osv
from tests.upstreams import write_channel
from tests.waiting import eventually

CHANNEL = "unapproved-conda"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("advisories")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[LiveServer]:
    packages = [("noarch", *package("demo", version)) for version in ("1.0", "2.0")] + [("noarch", *package("tool"))]
    write_channel(folder / "upstream", packages)
    write(folder / "names.json", {"demo": ["demo"], "tool": ["tool"]})
    with LiveServer(folder / "data", upstream=(folder / "upstream").as_uri()) as server:
        assert server.run("mirror", "sync", CHANNEL, "--wait").returncode == 0
        assert server.run("advisory", "names", "import", folder / "names.json").returncode == 0
        done = server.run("advisory", "import", write_zip(folder / "PyPI" / "all.zip", "PYSEC-1"))
        assert done.stdout == "Feed all: 31 advisories changed; 31 statements in all.\n", done.stderr
        yield server


def write(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def write_zip(path: Path, *names: str) -> Path:
    """An archive that affects demo by each of these ids, and 30 other packages."""
    path.parent.mkdir(parents=True, exist_ok=True)
    records = [osv(name) for name in names] + [osv(f"X-{number}", f"pkg{number}") for number in range(30)]
    with zipfile.ZipFile(path, "w") as archive:
        for one in records:
            archive.writestr(f"{one['id']}.json", json.dumps(one))
    return path


def affected(server: LiveServer) -> dict[str, list[str]]:
    rows = server.json("advisory", "affected", CHANNEL)
    return {row["filename"]: sorted(one["advisory"] for one in row["findings"]) for row in rows}


def test_archives_folders_and_files_are_imported(server: LiveServer, folder: Path) -> None:
    done = server.run("advisory", "import", folder / "PyPI" / "all.zip")
    assert done.stdout == "Feed all: nothing new; 31 statements in all.\n", done.stderr
    assert affected(server) == {"demo-1.0-0.conda": ["PYSEC-1"]}
    write(folder / "own" / "deep" / "one.json", osv("TEAM-1"))
    write(folder / "own" / "two.json", osv("TEAM-2"))
    assert server.json("advisory", "import", folder / "own")["feed"] == "own"
    assert server.json("advisory", "import", write(folder / "single.json", osv("TEAM-3")))["feed"] == "uploads"
    assert affected(server) == {"demo-1.0-0.conda": ["PYSEC-1", "TEAM-1", "TEAM-2", "TEAM-3"]}
    feeds = {one["name"]: one for one in server.json("advisory", "feed", "list")}
    assert (feeds["all"]["ecosystems"], feeds["own"]["statements"], feeds["uploads"]["statements"]) == (["PyPI"], 2, 1)
    assert "own" in server.run("advisory", "feed", "list").stdout
    for name in ("own", "uploads"):
        assert server.json("advisory", "feed", "remove", name) == {"name": name, "removed": True}
    assert affected(server) == {"demo-1.0-0.conda": ["PYSEC-1"]}


def test_garbage_ends_with_a_sentence_and_changes_nothing(server: LiveServer, folder: Path) -> None:
    before = affected(server)
    path = folder / "garbage.zip"
    path.write_bytes(b"PK\x03\x04 this is no archive")
    done = server.run("advisory", "import", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot be read" in done.stderr
    assert server.run("advisory", "import", folder / "absent.json").returncode == 1
    assert affected(server) == before


def test_a_url_is_followed_and_a_broken_one_loses_nothing(server: LiveServer, folder: Path) -> None:
    place = folder / "upstream" / "feeds" / "followed.zip"
    write_zip(place, "PYSEC-7")
    first = server.json("advisory", "import", place.as_uri())
    assert (first["feed"], first["statements"]) == ("followed", 31)
    again = server.json("advisory", "feed", "refresh", "followed")
    assert (again["changed"], again["statements"]) == (0, 31)
    write_zip(place, "PYSEC-7", "PYSEC-8")
    assert server.json("advisory", "feed", "refresh", "followed")["changed"] == 1
    assert "PYSEC-8" in affected(server)["demo-1.0-0.conda"]
    place.write_bytes(b"broken")
    assert server.run("advisory", "feed", "refresh", "followed").returncode == 1
    place.unlink()
    assert server.run("advisory", "feed", "refresh", "followed").returncode == 1
    (feed,) = [one for one in server.json("advisory", "feed", "list") if one["name"] == "followed"]
    assert (feed["statements"], feed["failure"] is None) == (32, False)
    assert "PYSEC-8" in affected(server)["demo-1.0-0.conda"]
    server.json("advisory", "feed", "set", "followed", "--interval", "1440")
    server.json("advisory", "feed", "remove", "followed")


def test_a_feed_is_looked_at_without_being_asked(server: LiveServer, folder: Path) -> None:
    place = write_zip(folder / "upstream" / "feeds" / "alone.zip", "PYSEC-9")
    server.json("advisory", "feed", "add", "alone", place.as_uri())
    assert eventually(lambda: "PYSEC-9" in affected(server)["demo-1.0-0.conda"])
    server.json("advisory", "feed", "remove", "alone")


def test_an_archive_that_came_by_the_drop_folder_is_read_and_removed(server: LiveServer, folder: Path) -> None:
    content = write_zip(folder / "cve.zip", "PYSEC-12").read_bytes()
    place = server.data / "advisories" / f"{hashlib.sha256(content).hexdigest()}.zip"
    place.with_suffix(".part").write_bytes(content)
    place.with_suffix(".part").rename(place)
    assert eventually(lambda: "PYSEC-12" in affected(server)["demo-1.0-0.conda"])
    assert eventually(lambda: not place.exists())
    server.json("advisory", "feed", "remove", "dropped")


def test_curations_are_made_listed_exported_and_ended(server: LiveServer, folder: Path) -> None:
    words = ["--status", "cleared", "--name", "demo", "--version", "<2", "--note", "We do not call it."]
    (made,) = server.json("advisory", "curate", "set", "PYSEC-1", *words)
    assert affected(server) == {}
    shown = server.run("advisory", "affected", CHANNEL, "--with-harmless").stdout
    assert "cleared" in shown
    assert server.json("advisory", "show", "PYSEC-1")["curations"][0]["note"] == "We do not call it."
    vex = folder / "vex.json"
    server.json("advisory", "curate", "export", "--openvex", "--to", vex)
    assert json.loads(vex.read_text())["statements"][0]["status"] == "not_affected"
    own = json.loads(server.run("advisory", "curate", "export").stdout)
    assert server.run("advisory", "curate", "end", str(made["id"])).returncode == 0
    assert affected(server) == {"demo-1.0-0.conda": ["PYSEC-1"]}
    assert server.json("advisory", "import", write(folder / "curations.json", own))["curations"] == 1
    assert affected(server) == {}
    assert len(server.json("advisory", "curate", "list", "--history")) == 2
    server.json("advisory", "feed", "remove", "uploads")
    assert affected(server) == {"demo-1.0-0.conda": ["PYSEC-1"]}


def test_names_are_set_and_taken_back(server: LiveServer) -> None:
    assert server.run("advisory", "names", "set", "tool", "pkg:pypi/demo").returncode == 0
    assert set(affected(server)) == {"demo-1.0-0.conda", "tool-1.0-0.conda"}
    assert "curated" in server.run("advisory", "names", "show", "tool").stdout
    assert server.run("advisory", "names", "unset", "tool").returncode == 0
    assert set(affected(server)) == {"demo-1.0-0.conda"}


def test_coverage_and_metrics_count_what_is_known(server: LiveServer) -> None:
    (row,) = [one for one in server.json("advisory", "coverage", CHANNEL)["subdirs"] if one["subdir"] == "noarch"]
    assert (row["affected"], row["not_affected"], row["not_checked"]) == (1, 2, 0)
    assert "NOT CHECKED" in server.run("advisory", "coverage", CHANNEL).stdout
    with urlopen(f"{server.url}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    assert 'headgate_advisory_feed_age_seconds{feed="all"' in text
    assert f'headgate_affected_files{{channel="{CHANNEL}"' in text
    assert "headgate_advisories" in text


def test_names_whose_assessment_changed_are_handed_on(server: LiveServer) -> None:
    assert eventually(lambda: "advisories_handed_on" in server.err.read_text())


def test_a_user_without_the_permission_reads_and_imports_nothing(server: LiveServer, folder: Path) -> None:
    server.json("user", "create", "dan", "--password", "a-long-password-1")
    token = server.json("token", "create", "--name", "dan", "--user", "dan")["token"]
    dan = environment(HEADGATE_URL=server.url, HEADGATE_TOKEN=token)
    for words in (["list"], ["feed", "list"], ["affected", CHANNEL], ["import", str(folder / "names.json")]):
        assert headgate("advisory", *words, env=dan).returncode == 1

"""The commands that talk to a server, and the server's own life, with real processes."""

import hashlib
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live import LiveServer, environment, headgate
from tests.packages import package
from tests.waiting import eventually


def write_channel(folder: Path, subdir: str = "noarch", *names: str) -> Path:
    """A channel of tiny packages on disk."""
    place = folder / subdir
    place.mkdir(parents=True)
    records: dict[str, Any] = {}
    for name in names:
        filename, data = package(name, subdir=subdir)
        (place / filename).write_bytes(data)
        records[filename] = {
            "name": name, "version": "1.0", "build": "0", "build_number": 0, "depends": [], "subdir": subdir,
            "size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "md5": hashlib.md5(data).hexdigest(),
        }  # fmt: skip
    document = {"info": {"subdir": subdir}, "packages": {}, "packages.conda": records, "repodata_version": 1}
    (place / "repodata.json").write_text(json.dumps(document))
    return folder


def fetch(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def is_gone(pid: int) -> bool:
    """True when there is no such process, or only its remains."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_channel(tmp_path_factory.mktemp("upstream") / "main", "noarch", "alpha", "beta")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, upstream: Path) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("live") / "data", upstream=upstream.as_uri()) as server:
        yield server


@pytest.fixture
def packages(tmp_path: Path) -> list[Path]:
    files = []
    for name in ("one", "two"):
        filename, data = package(name)
        (tmp_path / filename).write_bytes(data)
        files.append(tmp_path / filename)
    return files


def test_serve_says_where_it_is_once_it_is_ready(server: LiveServer) -> None:
    assert eventually(lambda: f"Headgate is ready: {server.url}/\n" in server.out.read_text())
    assert f"conda config --add channels {server.url}/conda/approved-conda" in server.out.read_text()


def test_channels_are_made_shown_changed_and_deleted(server: LiveServer) -> None:
    made = server.json("channel", "create", "crew/dev", "--kind", "hosted", "--description", "What we build.")
    assert (made["kind"], made["privacy"]) == ("hosted", "private")
    changed = server.json("channel", "set", "crew/dev", "--privacy", "public", "--no-keep-cached")
    assert changed["privacy"] == "public"
    assert changed["settings"]["is_keeping_cached"] is False
    shown = server.run("channel", "show", "crew/dev")
    assert "What we build." in shown.stdout
    assert "crew/dev" in {one["name"] for one in server.json("channel", "list")}
    unsure = server.run("channel", "delete", "crew/dev")
    assert unsure.returncode == 1
    assert server.json("channel", "delete", "crew/dev", "--yes") == {"name": "crew/dev", "deleted": True}
    gone = server.run("channel", "show", "crew/dev", "--json")
    assert gone.returncode == 1
    assert json.loads(gone.stdout)["code"] == "channel-unknown"


def test_virtual_channel_shows_its_members_in_order(server: LiveServer) -> None:
    words = ["--kind", "virtual", "--member", "approved-conda", "--member", "unapproved-conda", "--privacy", "public"]
    assert server.json("channel", "create", "all", *words)["members"] == ["approved-conda", "unapproved-conda"]
    changed = server.json("channel", "set", "all", "--member", "unapproved-conda", "--no-hiding")
    assert changed["members"] == ["unapproved-conda"]
    assert server.run("channel", "delete", "all", "--yes").returncode == 0


def test_sync_brings_what_upstream_has(server: LiveServer, upstream: Path) -> None:
    done = server.run("mirror", "sync", "unapproved-conda", "--subdir", "noarch", "--wait")
    assert done.returncode == 0, done.stderr
    status, body = fetch(f"{server.url}/conda/unapproved-conda/noarch/alpha-1.0-0.conda")
    assert (status, body) == (200, (upstream / "noarch" / "alpha-1.0-0.conda").read_bytes())
    rows = server.json("mirror", "status", "unapproved-conda")
    assert [(one["subdir"], one["names"], one["failure"]) for one in rows if one["subdir"] == "noarch"] == [
        ("noarch", 2, None)
    ]
    assert "noarch" in server.run("mirror", "status").stdout


def test_sync_that_fails_ends_with_1_and_says_why(server: LiveServer, upstream: Path) -> None:
    broken = upstream / "broken" / "noarch"
    broken.mkdir(parents=True)
    (broken / "repodata.json").write_text("<html>no</html>")
    added = server.run("mirror", "add", "broken", broken.parent.as_uri(), "--subdir", "noarch")
    assert "Made private mirror broken" in added.stdout
    done = server.run("mirror", "sync", "broken", "--wait")
    assert done.returncode == 1
    assert "noarch" in done.stderr
    document = json.loads(server.run("mirror", "sync", "broken", "--wait", "--json").stdout)
    assert document["state"] == "failed"
    assert [one["failure"] is not None for one in server.json("mirror", "status", "broken")] == [True]


def test_mirrors_are_added_and_removed(server: LiveServer) -> None:
    first, second = "https://user:secret@one.invalid/main", "https://two.invalid/main"
    made = server.run("mirror", "add", "several", first, "--no-sync")
    assert made.returncode == 0, made.stderr
    assert "secret" not in made.stdout
    again = server.json("mirror", "add", "several", second, "--no-sync")
    assert (again["name"], again["urls"], again["job"]) == ("main-2", [second], None)
    unclear = server.run("mirror", "remove", "several")
    assert unclear.returncode == 1
    assert "2 mirrors" in unclear.stderr
    assert server.run("mirror", "remove", "several", "main").returncode == 0
    assert server.run("mirror", "remove", "several").returncode == 0
    assert server.json("channel", "show", "several")["mirrors"] == []


def test_mirror_keeps_its_proxy_and_its_secrets_whatever_else_is_changed(server: LiveServer) -> None:
    url, proxy = "https://user:s3cret@kept.invalid/main", "http://me:pr0xy@proxy.invalid:3128"
    added = server.json("mirror", "add", "kept", url, "--proxy", proxy, "--name", "outer", "--no-sync")
    assert added["settings"]["network"]["proxy"] == "http://•••@proxy.invalid:3128"
    changed = server.json("mirror", "set", "kept", "outer", "--subdir", "noarch", "--retries", "4")
    assert changed["urls"] == ["https://•••@kept.invalid/main"]
    network = server.json("mirror", "show", "kept", "outer")["settings"]["network"]
    assert (network["proxy"], network["retries"]) == ("http://•••@proxy.invalid:3128", 4)
    cleared = server.json("mirror", "set", "kept", "outer", "--proxy", "")
    assert (cleared["settings"]["network"]["proxy"], cleared["subdirs"]) == (None, ["noarch"])


def test_secret_can_be_given_where_no_list_of_processes_shows_it(server: LiveServer) -> None:
    server.json("mirror", "add", "quiet", "https://quiet.invalid/main", "--no-sync")
    done = headgate(
        "mirror", "set", "quiet", "main", "--proxy", "-", "--json",
        env=server.env, stdin="http://me:pr0xy@proxy.invalid:3128\n",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["settings"]["network"]["proxy"] == "http://•••@proxy.invalid:3128"


def test_upload_tries_all_and_names_the_refused(server: LiveServer, packages: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad-1.0-0.conda"
    bad.write_bytes(b"not a package")
    done = server.run("upload", "approved-conda", packages[0], bad, packages[1])
    assert done.returncode == 1
    assert str(bad) in done.stderr
    assert [str(file) in done.stdout for file in packages] == [True, True]
    assert fetch(f"{server.url}/conda/approved-conda/noarch/two-1.0-0.conda")[1] == packages[1].read_bytes()
    again = server.json("upload", "approved-conda", *packages)
    assert [one["filename"] for one in again] == ["one-1.0-0.conda", "two-1.0-0.conda"]


def test_large_upload_without_permission_is_refused_before_it_is_sent(server: LiveServer, tmp_path: Path) -> None:
    large = tmp_path / "large-1.0-0.conda"
    with large.open("wb") as file:
        file.truncate(3 << 30)
    began = time.monotonic()
    done = server.run("upload", "approved-conda", large, "--json", env=environment(HEADGATE_URL=server.url))
    assert done.returncode == 1
    assert [one["code"] for one in json.loads(done.stdout)] == ["credentials-needed"]
    assert time.monotonic() - began < 20


def test_artifacts_are_listed_yanked_and_deleted(server: LiveServer, tmp_path: Path) -> None:
    filename, data = package("yanked")
    (tmp_path / filename).write_bytes(data)
    server.json("upload", "approved-conda", tmp_path / filename)
    file = f"noarch/{filename}"
    assert server.json("artifact", "yank", "approved-conda", file)["status"] == "yanked"
    listed = server.json("artifact", "list", "approved-conda", "--package", "yanked", "--subdir", "noarch")
    assert [(one["filename"], one["status"]) for one in listed] == [(filename, "yanked")]
    assert server.json("artifact", "unyank", "approved-conda", file)["status"] == "active"
    assert server.run("artifact", "delete", "approved-conda", file).returncode == 0
    gone = server.run("artifact", "delete", "approved-conda", file, "--json")
    assert gone.returncode == 1


def test_tokens_are_made_listed_and_revoked(server: LiveServer) -> None:
    made = server.run(
        "token", "create", "--name", "ci bot", "--permission", "view", "--channel", "approved-conda", "--quiet"
    )
    token = made.stdout.strip()
    assert made.returncode == 0, made.stderr
    narrow = environment(HEADGATE_URL=server.url, HEADGATE_TOKEN=token)
    refused = server.run("channel", "create", "x", "--kind", "hosted", "--json", env=narrow)
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["code"] == "permission-denied"
    assert "ci bot" in {one["name"] for one in server.json("token", "list", "--user", "admin")}
    assert token not in server.run("token", "list").stdout
    assert server.run("token", "revoke", "ci bot").returncode == 0
    bad = server.run("channel", "list", "--json", env=narrow)
    assert json.loads(bad.stdout)["code"] == "token-revoked"
    assert token not in bad.stdout + bad.stderr + server.err.read_text()


def test_jobs_are_listed_shown_and_retried(server: LiveServer) -> None:
    job = server.json("mirror", "sync", "unapproved-conda", "--subdir", "linux-64", "--wait")
    assert job["state"] == "done"
    assert job["id"] in {one["id"] for one in server.json("job", "list", "--kind", "sync-mirror")}
    assert server.json("job", "show", job["id"])["request"]["channel"] == "unapproved-conda"
    for verb in ("stop", "retry"):
        refused = server.run("job", verb, job["id"], "--json")
        assert refused.returncode == 1
        assert json.loads(refused.stdout)["code"] in {"job-ended", "job-not-failed"}
    assert server.run("job", "show", "nonsense").returncode == 1


def test_second_server_on_the_folder_or_the_port_is_refused_in_a_sentence(server: LiveServer, tmp_path: Path) -> None:
    same_folder = headgate("serve", "--data", server.data, "--port", "0", is_apart=True)
    assert same_folder.returncode == 1
    assert "Another process serves" in same_folder.stderr
    same_port = headgate("serve", "--data", tmp_path / "other", "--port", str(server.port), "--json", is_apart=True)
    assert same_port.returncode == 1
    assert json.loads(same_port.stdout)["code"] == "port-taken"


def test_init_on_a_served_folder_changes_nothing(server: LiveServer) -> None:
    done = headgate("init", "--data", server.data)
    assert done.returncode == 0
    assert "Nothing was changed" in done.stdout


def test_no_secret_reaches_the_log(server: LiveServer) -> None:
    fetch(f"{server.url}/t/{server.token}/conda/approved-conda/noarch/repodata.json")
    assert server.token not in server.err.read_text() + server.out.read_text()


def test_children_die_with_a_killed_server_which_starts_again(tmp_path: Path, upstream: Path) -> None:
    with LiveServer(tmp_path / "data", upstream=upstream.as_uri(), workers=2) as server:
        children = server.children()
        assert len(children) == 3
        server.kill()
        assert eventually(lambda: all(is_gone(pid) for pid in children))
        server.start()
        assert fetch(f"{server.url}/conda/approved-conda/noarch/repodata.json")[0] == 200


def test_stop_lets_a_download_finish(tmp_path: Path, upstream: Path) -> None:
    with LiveServer(tmp_path / "data", upstream=upstream.as_uri()) as server:
        filename, data = package("large", content=os.urandom(32 << 20))
        (tmp_path / filename).write_bytes(data)
        server.json("upload", "approved-conda", tmp_path / filename)
        with urllib.request.urlopen(f"{server.url}/conda/approved-conda/noarch/{filename}", timeout=60) as answer:
            begun = answer.read(1000)
            assert server.process is not None
            server.process.terminate()
            time.sleep(1)
            assert begun + answer.read() == data
        assert server.stop() == 0


def test_children_that_die_are_replaced_and_a_stop_ends_all(tmp_path: Path, upstream: Path) -> None:
    with LiveServer(tmp_path / "data", upstream=upstream.as_uri()) as server:
        before = server.children()
        for pid in before:
            os.kill(pid, 9)
        assert eventually(lambda: len(set(server.children()) - set(before)) == 2 and server.is_ready())
        after = server.children()
        assert server.stop() == 0
        assert all(is_gone(pid) for pid in after)
        assert "Traceback" not in server.err.read_text()

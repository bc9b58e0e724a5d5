"""`headgate backup`, and a second server on what it made."""

import hashlib
import json
import shutil
import urllib.request
from pathlib import Path

import pytest

from headgate.kernel import clock
from tests.live import LiveServer, environment, headgate
from tests.packages import package
from tests.unit.backups.making import put


def make_upstream(folder: Path) -> Path:
    (folder / "noarch").mkdir(parents=True)
    (folder / "noarch" / "repodata.json").write_text('{"info":{"subdir":"noarch"},"packages":{},"packages.conda":{}}')
    return folder


def fetch(server: LiveServer, path: str, token: str) -> bytes:
    request = urllib.request.Request(f"{server.url}{path}", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        body: bytes = answer.read()
        return body


@pytest.mark.slow
def test_a_second_server_on_a_copy_of_a_backup_serves_the_same_to_the_same_token(tmp_path: Path) -> None:
    folder, upstream = tmp_path / "backups", make_upstream(tmp_path / "upstream").as_uri()
    folder.mkdir()
    filename, data = package("demo", content=b"x" * 100_000)
    (tmp_path / filename).write_bytes(data)
    path = f"/conda/approved-conda/noarch/{filename}"
    with LiveServer(tmp_path / "data", upstream=upstream, env={"HEADGATE_BACKUP__FOLDER": str(folder)}) as server:
        assert server.run("upload", "approved-conda", tmp_path / filename).returncode == 0
        token = server.token
        made = server.run("backup", "make", "--wait")
        assert made.returncode == 0, made.stderr
        [shown] = server.json("backup", "list")
        assert shown["name"] in made.stdout
        assert fetch(server, path, token) == data
    checked = headgate("backup", "check", "--deep", "--json", shown["folder"])
    assert checked.returncode == 0, checked.stdout
    assert json.loads(checked.stdout)["is_good"] is True
    shutil.copytree(shown["folder"], tmp_path / "restored")
    with LiveServer(tmp_path / "restored", env={"HEADGATE_BACKUP__FOLDER": ""}) as restored:
        served = fetch(restored, path, token)
        assert hashlib.sha256(served).hexdigest() == hashlib.sha256(data).hexdigest()
        me = json.loads(fetch(restored, "/api/v1/me", token))
        assert me["is_administrator"] is True
        jobs = json.loads(fetch(restored, "/api/v1/jobs?kind=backup", token))
        assert jobs["items"] == [], "a restored server does not go on with the backup that it is"


def test_doctor_says_whether_there_is_a_backup_and_whether_there_can_be(tmp_path: Path) -> None:
    upstream, folder = make_upstream(tmp_path / "upstream").as_uri(), tmp_path / "backups"
    assert headgate("init", "--data", tmp_path / "data", "--upstream", upstream).returncode == 0
    said = []
    for prepare in (lambda: None, folder.mkdir, lambda: put(folder, clock.now())):
        prepare()
        variables = environment(HEADGATE_BACKUP__FOLDER=str(folder))
        checks = json.loads(headgate("doctor", "--data", tmp_path / "data", "--json", env=variables).stdout)["checks"]
        said += [(one["state"], one["sentence"]) for one in checks if one["check"] == "backups"]
    assert [state for state, _ in said] == ["fail", "warn", "ok"]
    assert "is not there" in said[0][1]
    assert said[2][1].startswith("1 in ")


def test_check_names_what_is_wrong_and_ends_with_1(tmp_path: Path) -> None:
    unknown = headgate("backup", "check", tmp_path, env=environment())
    assert (unknown.returncode, "is no backup" in unknown.stderr) == (1, True)
    paper = {
        "is_whole": False, "made_at": "2026-11-21T18:30:00Z", "by": "ada", "job": "1", "version": "1",
        "schema_revision": None,
    }  # fmt: skip
    (tmp_path / "backup.json").write_text(json.dumps(paper))
    done = headgate("backup", "check", tmp_path, env=environment())
    assert done.returncode == 1
    assert "It was not finished" in done.stdout
    assert "It cannot be restored as it is." in done.stdout


def test_a_folder_inside_the_data_folder_is_refused_at_the_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    variables = environment(HEADGATE_BACKUP__FOLDER=str(data / "backups"))
    refused = headgate("init", "--data", data, env=variables)
    assert refused.returncode == 1
    assert "lies in the data folder" in refused.stderr
    wrong = headgate("init", "--data", data, env=environment(HEADGATE_BACKUP__CRON="every night"))
    assert (wrong.returncode, "five fields" in wrong.stderr) == (1, True)

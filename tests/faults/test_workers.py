"""Several jobs workers share the work, on SQLite and on PostgreSQL; what one leaves when it is killed, another does."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import make_url

from tests.live import LiveServer, environment
from tests.packages import package
from tests.upstreams import FolderServer, write_channel
from tests.waiting import eventually

pytestmark = [pytest.mark.fault, pytest.mark.slow]

CHANNELS = 4
FILES = 80


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Variables that lead to an empty database of the backend that the test is for."""
    if request.param == "sqlite":
        yield {}
        return
    postgres = request.getfixturevalue("postgres")
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE headgate_workers")
    yield {"HEADGATE_DATABASE__URL": make_url(postgres).set(database="headgate_workers").render_as_string(False)}
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP DATABASE headgate_workers WITH (FORCE)")


BACKENDS = pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)


class Worker:
    """`headgate worker` on a server's data folder."""

    def __init__(self, server: LiveServer, variables: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "headgate", "worker", "--data", str(server.data)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err, env=environment(**variables),
            )  # fmt: skip

    def lines(self) -> list[dict[str, Any]]:
        found = self._log.read_text(errors="replace").splitlines()
        return [json.loads(line) for line in found if line.startswith("{") and line.endswith("}")]

    def said(self, event: str) -> bool:
        return any(line["event"] == event for line in self.lines())

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGTERM)
        return self._process.wait(30)


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[FolderServer]:
    root = tmp_path / "upstream"
    write_channel(root, [("noarch", *package(f"thing{number}", noarch="generic")) for number in range(FILES)])
    with FolderServer(root, pause_s=1.0) as server:
        yield server


@BACKENDS
def test_workers_share_the_work_and_a_killed_one_loses_nothing(
    database: dict[str, str], tmp_path: Path, upstream: FolderServer
) -> None:
    variables = database | {"HEADGATE_JOBS__WORKERS": "0"}
    with LiveServer(tmp_path / "data", upstream=upstream.url, env=variables) as server:
        first, second = (Worker(server, variables, tmp_path / f"{name}.log") for name in ("first", "second"))
        try:
            assert eventually(lambda: first.said("worker_started") and second.said("worker_started"))
            for number in range(CHANNELS):
                server.json("mirror", "add", f"share{number}", upstream.url, "--mode", "active", "--subdir", "noarch")
            assert eventually(lambda: len(running(server)) == CHANNELS)
            first.kill()
            for number in range(CHANNELS):
                done = server.json("mirror", "sync", f"share{number}", "--wait")
                assert (done["state"], done["fetch"]["state"]) == ("done", "done")
            jobs = server.json("job", "list", "--limit", "1000")
            assert {job["state"] for job in jobs if job["kind"] != "publish-document"} == {"done"}
            assert len(list((server.data / "blobs").glob("*/*"))) >= FILES
        finally:
            first.kill()
            assert second.stop() == 0
        assert second.said("jobs_inherited"), "the other was at work when it was killed"


def running(server: LiveServer) -> list[str]:
    """Fetches under way; a worker takes two at a time."""
    found = server.json("job", "list", "--kind", "fetch-artifacts")
    return [job["id"] for job in found if job["state"] == "running"]


def fetching(upstream: FolderServer) -> int:
    return sum(line.endswith(".conda") for line in upstream.paths)


def test_pause_ends_a_running_job_and_resume_goes_on_where_it_was(tmp_path: Path) -> None:
    root = tmp_path / "upstream"
    write_channel(root, [("noarch", *package(f"thing{number}", noarch="generic")) for number in range(60)])
    with FolderServer(root, pause_s=0.5) as upstream, LiveServer(tmp_path / "data", upstream=upstream.url) as server:
        server.json("mirror", "add", "calm", upstream.url, "--mode", "active", "--subdir", "noarch")

        def fetch() -> dict[str, Any]:
            found = server.json("job", "list", "--kind", "fetch-artifacts")
            return found[0] if found and (found[0]["progress"] or {}).get("done_items") else {}

        job = eventually(fetch)
        assert job["progress"]["total_items"] == 60
        assert job["progress"]["total_bytes"] > job["progress"]["done_bytes"] > 0
        assert server.json("job", "pause", job["id"])["state"] == "paused"
        log = eventually(lambda: server.json("job", "log", job["id"])["lines"])
        assert any("fetched" in line["text"] for line in log)
        before = fetching(upstream)
        assert server.json("job", "resume", job["id"])["state"] in {"queued", "running"}
        again = server.run("job", "resume", job["id"])
        assert again.returncode == 1
        eventually(lambda: server.json("job", "show", job["id"])["state"] == "done", 60)
        ended = server.json("job", "show", job["id"])
        assert (ended["state"], ended["actor"]) == ("done", job["actor"])
        assert ended["actor"].startswith("admin")
        assert 0 < before < 60
        assert fetching(upstream) <= 60 + 8, "what was here before the pause is not fetched again"


def test_a_schedule_runs_once_for_all_that_it_missed(tmp_path: Path, upstream: FolderServer) -> None:
    with LiveServer(tmp_path / "data", upstream=upstream.url) as server:
        server.json("mirror", "add", "timed", upstream.url, "--subdir", "noarch", "--no-sync",
                    "--cron", "* * * * *", "--jitter", "0")  # fmt: skip
        server.stop()
        make_overdue(server.data)
        server.start()

        def ended() -> list[dict[str, Any]]:
            found = server.json("job", "list", "--kind", "sync-mirror")
            return [job for job in found if job["id"].startswith("schedule-") and job["state"] == "done"]

        assert len(eventually(ended)) == 1
        assert ended()[0]["actor"] == "schedule"
        [shown] = [server.json("mirror", "show", "timed", "main")]
        assert shown["next_run_at"] > ended()[0]["created_at"]
        assert server.json("mirror", "set", "timed", "main", "--cron", "")["next_run_at"] is None


def make_overdue(data: Path) -> None:
    """As if the server had been away for three days."""
    import sqlite3

    with contextlib.closing(sqlite3.connect(data / "headgate.db")) as connection, connection:
        connection.execute("UPDATE source SET next_run_at = next_run_at - 259200000 WHERE next_run_at IS NOT NULL")

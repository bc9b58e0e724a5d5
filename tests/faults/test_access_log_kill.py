"""`kill -9` takes at most the last group of requests from the access log, and leaves the rest readable."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.live import LiveServer
from tests.packages import package
from tests.waiting import eventually

pytestmark = pytest.mark.fault


def noted(data: Path) -> int:
    """How many downloads the log holds."""
    with closing(sqlite3.connect(f"file:{data / 'access.db'}?mode=ro", uri=True)) as connection:
        parts = [row[0] for row in connection.execute("SELECT name FROM access_part ORDER BY name")]
        counts = [
            connection.execute(f"SELECT coalesce(sum(times), 0) FROM {part} WHERE kind = 'download'").fetchone()[0]
            for part in parts
        ]
    return sum(counts)


def test_what_was_noted_a_moment_ago_outlives_the_server(tmp_path: Path) -> None:
    filename, body = package("demo", "1.0")
    (tmp_path / filename).write_bytes(body)
    with LiveServer(tmp_path / "data") as server:
        for words in (("channel", "create", "team", "--kind", "hosted"), ("upload", "team", tmp_path / filename)):
            assert server.run(*words).returncode == 0
        headers = {"Authorization": f"Bearer {server.token}"}
        request = Request(f"{server.url}/conda/team/noarch/{filename}", headers=headers)
        for _ in range(20):
            assert urlopen(request).read() == body
        assert eventually(lambda: noted(server.data) == 20)
        for _ in range(3):  # within one group, of which all or nothing is there afterwards
            urlopen(request).read()
        server.kill()
        left = noted(server.data)
        assert 20 <= left <= 23
        server.start()
        assert urlopen(request).read() == body
        assert eventually(lambda: noted(server.data) == left + 1)

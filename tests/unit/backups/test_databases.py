"""Copies of databases that others write to."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from headgate.backups.databases import check_whole, copy_database, find_damage
from headgate.kernel.errors import Unavailable


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two tables of the same many rows, in WAL mode; more than one step of a copy."""
    path = tmp_path / "busy database?.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        for table in ("debit", "credit"):
            connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, body BLOB)")
            connection.executemany(f"INSERT INTO {table} (body) VALUES (?)", [(bytes(4000),) for _ in range(1500)])
        connection.commit()
    return path


def counts(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as connection:
        return [connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("debit", "credit")]


def test_copy_is_one_state_though_somebody_writes_between_its_steps(source: Path, tmp_path: Path) -> None:
    """A writer is let through after every step, and its commit is not waited for by the copy, nor begins it anew."""
    steps: list[int] = []
    with closing(sqlite3.connect(source, isolation_level=None, timeout=1)) as writer:

        def told(copied: int) -> None:
            steps.append(copied)
            writer.execute("BEGIN IMMEDIATE")
            for table in ("debit", "credit"):
                writer.execute(f"INSERT INTO {table} (body) VALUES (?)", (bytes(4000),))
            writer.execute("COMMIT")

        copy_database(source, tmp_path / "copy.db", told)
    assert len(steps) > 2
    assert steps == sorted(set(steps))
    assert counts(tmp_path / "copy.db") == [1500, 1500]
    assert counts(source) == [1500 + len(steps)] * 2
    check_whole(tmp_path / "copy.db")


def test_copy_ends_while_a_thread_never_stops_writing(source: Path, tmp_path: Path) -> None:
    is_done = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(source, isolation_level=None, timeout=30)) as writer:
            while not is_done.is_set():
                writer.execute("BEGIN IMMEDIATE")
                for table in ("debit", "credit"):
                    writer.execute(f"INSERT INTO {table} (body) VALUES (?)", (b"x",))
                writer.execute("COMMIT")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        copy_database(source, tmp_path / "copy.db", lambda _: None)
    finally:
        is_done.set()
        thread.join()
    debit, credit = counts(tmp_path / "copy.db")
    assert debit == credit >= 1500


def test_copying_stops_when_told(source: Path, tmp_path: Path) -> None:
    def told(_copied: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        copy_database(source, tmp_path / "copy.db", told)
    assert counts(source) == [1500, 1500]


def test_damage_is_found_and_leaves_no_trace(source: Path, tmp_path: Path) -> None:
    copy = tmp_path / "folder" / "copy.db"
    copy.parent.mkdir()
    copy_database(source, copy, lambda _: None)
    assert find_damage(copy) is None
    assert [path.name for path in copy.parent.iterdir()] == ["copy.db"]
    with copy.open("r+b") as file:
        file.seek(4096)
        file.write(bytes(40_960))
    with pytest.raises(Unavailable) as raised:
        check_whole(copy)
    assert raised.value.code == "backup-damaged"
    assert find_damage(copy, lambda: True) is not None, "an unfinished check says nothing good"
    copy.write_bytes(b"not a database, but long enough to be taken for one" * 20)
    assert find_damage(copy) is not None

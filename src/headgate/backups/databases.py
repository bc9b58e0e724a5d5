"""A copy of a SQLite file while others write to it.

The source is read within one transaction, by SQLite's own backup. In WAL mode a reader holds up no writer, and since the
transaction lasts from the first page to the last, a commit in between does not make the copying start over, as it would
between steps of their own: a busy server's backup ends. `VACUUM INTO` would write a smaller file, but in one long
statement that tells nothing and cannot be stopped.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from headgate.kernel.errors import Unavailable

# 4 MiB: what is copied between two looks at whether to stop.
_PAGES = 1024
_TIMEOUT_S = 30.0
# Of SQLite, between two looks at whether to stop a check: some milliseconds.
_INSTRUCTIONS = 100_000


def copy_database(source: Path, target: Path, told: Callable[[int], None]) -> None:
    """Copy one consistent state; `told` learns after each step how many bytes are copied, and may raise."""
    target.touch(mode=0o600, exist_ok=False)
    with (
        closing(sqlite3.connect(source, timeout=_TIMEOUT_S, isolation_level=None)) as reading,
        closing(sqlite3.connect(target, isolation_level=None)) as writing,
    ):
        # Everything is brought to the disk at the end.
        writing.execute("PRAGMA synchronous=OFF")
        page_bytes: int = reading.execute("PRAGMA page_size").fetchone()[0]
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # from here on nothing changes for us
        reading.backup(writing, pages=_PAGES, progress=lambda _, left, total: told((total - left) * page_bytes))
        reading.execute("ROLLBACK")


def opened(path: Path) -> sqlite3.Connection:
    """A database that nobody writes to, read without a trace beside it, be it on a medium that cannot be written."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    connection.text_factory = str
    return connection


def find_damage(path: Path, is_stopped: Callable[[], bool] = lambda: False) -> str | None:
    """What SQLite finds wrong with a copy (`PRAGMA quick_check`); None when nothing is. Ends soon once stopped."""
    try:
        with closing(opened(path)) as connection:
            connection.set_progress_handler(is_stopped, _INSTRUCTIONS)
            rows = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if rows == ["ok"] else "; ".join(rows)


def check_whole(path: Path, is_stopped: Callable[[], bool] = lambda: False) -> None:
    """Raises Unavailable `backup-damaged` for a copy that is not whole."""
    damage = find_damage(path, is_stopped)
    if damage is not None:
        raise Unavailable(
            "backup-damaged",
            f"The copy of {path.name} is not whole, so that there is no backup: {damage}. Let `headgate doctor` look at "
            "the data folder, and see whether the disks are well.",
        )


def read_schema(path: Path) -> str | None:
    """The schema of a copied `headgate.db`; None where it has none."""
    with closing(opened(path)) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.DatabaseError:
            return None
    return None if row is None else str(row[0])

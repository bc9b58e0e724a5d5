"""Turns: of those who want the same thing, in whatever process, one after the other.

On PostgreSQL a turn is an advisory lock, which goes with its connection; on SQLite a locked file, which goes with its
process.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

from sqlalchemy import text

from headgate.db.engine import Database

_POLL_S = 0.1


class Turns:
    """Hands out turns; `folder` is where the locked files of SQLite lie."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder
        self._here: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @contextlib.asynccontextmanager
    async def take(self, key: str) -> AsyncIterator[None]:
        """Wait for the turn of `key` (safe in a file name), and hold it while the block runs."""
        async with self._here[key]:
            if self._database.is_sqlite:
                async with self._locked_file(key):
                    yield
            else:
                async with self._advisory(key):
                    yield

    @contextlib.asynccontextmanager
    async def _locked_file(self, key: str) -> AsyncIterator[None]:
        descriptor = os.open(self._folder / f"{key}.turn", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while not _has_locked(descriptor):  # noqa: ASYNC110 - another process can set no event
                await asyncio.sleep(_POLL_S)
            yield
        finally:
            os.close(descriptor)

    @contextlib.asynccontextmanager
    async def _advisory(self, key: str) -> AsyncIterator[None]:
        number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big", signed=True)
        engine = self._database.engine.execution_options(isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            await connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": number})
            try:
                yield
            finally:
                await connection.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": number})


def _has_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

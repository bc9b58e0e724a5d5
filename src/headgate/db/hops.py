"""Connections to SQLite whose every statement is one hop to their thread and back, where the driver makes four.

    execute ──> thread: run, fetch, close ──> rows

The hops, not the statements, were most of what a page cost. What has more than a thousand rows takes a second hop, or one
for each batch where it is streamed.
"""

import asyncio
import functools
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Self

import aiosqlite

_AHEAD = 1_000


class OneHopCursor:
    """What SQLAlchemy asks of a cursor of aiosqlite; rows are fetched, and the cursor is closed, where it was run."""

    def __init__(self, connection: "OneHopConnection") -> None:
        self._connection = connection
        self._rows: deque[Any] = deque()
        self._open: sqlite3.Cursor | None = None
        self.arraysize = 1
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Self:
        """Run one statement."""
        await self._connection.hop(self._run, "execute", sql, parameters)
        return self

    async def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> Self:
        """Run one statement many times."""
        await self._connection.hop(self._run, "executemany", sql, parameters)
        return self

    def _run(self, kind: str, sql: str, parameters: Any) -> None:
        cursor = getattr(self._connection.own, kind)(sql, parameters)
        self.description = cursor.description
        if cursor.description is not None:
            self._rows.extend(cursor.fetchmany(_AHEAD))
        self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid
        if len(self._rows) < _AHEAD:
            cursor.close()
        else:
            self._open = cursor

    async def fetchone(self) -> Any:
        """The next row, or None."""
        found = await self.fetchmany(1)
        return found[0] if found else None

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        """The next rows; fewer than so many only at the end."""
        wanted = size or self.arraysize
        found = [self._rows.popleft() for _ in range(min(wanted, len(self._rows)))]
        if len(found) < wanted and self._open is not None:
            found += await self._connection.hop(self._open.fetchmany, wanted - len(found))
        return found

    async def fetchall(self) -> list[Any]:
        """All other rows."""
        found = list(self._rows)
        self._rows.clear()
        if self._open is not None:
            found += await self._connection.hop(self._open.fetchall)
        return found

    async def __aiter__(self) -> AsyncIterator[Any]:
        while rows := await self.fetchmany(_AHEAD):
            for row in rows:
                yield row

    async def close(self) -> None:
        """Forget the rows; a hop only where some were not fetched."""
        self._rows.clear()
        if self._open is not None:
            left, self._open = self._open, None
            await self._connection.hop(left.close)


class OneHopConnection(aiosqlite.Connection):
    """A connection with such cursors."""

    @property
    def own(self) -> sqlite3.Connection:
        """The connection itself, for its own thread."""
        return self._conn

    async def hop(self, work: Any, *given: Any) -> Any:
        """Do something in the connection's thread; cancelled, once the thread has come to the end of it."""
        run: Any = self._execute  # which has no types
        try:
            return await run(work, *given)
        except asyncio.CancelledError:
            await asyncio.shield(run(int))  # one thing after the other: this does nothing, after that
            raise

    def cursor(self) -> OneHopCursor:  # type: ignore[override]  # which is its own context
        """A cursor; making one needs no hop."""
        return OneHopCursor(self)


async def connect(*place: Any, **options: Any) -> OneHopConnection:
    """Open a database; its thread ends with the process."""
    made = OneHopConnection(functools.partial(sqlite3.connect, *place, **options), iter_chunk_size=_AHEAD)
    made._thread.daemon = True  # noqa: SLF001 - as SQLAlchemy does where it connects itself
    await made
    return made

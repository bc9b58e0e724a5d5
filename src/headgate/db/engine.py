"""The database: SQLite (WAL) by default, PostgreSQL when outgrown; one way to read, one way to write."""

import contextlib
import copy
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any, TypeVar

from psycopg.errors import DiskFull
from sqlalchemy import Table, event, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from headgate.db import hops, tables
from headgate.kernel.errors import Unavailable

T = TypeVar("T")
Last = dict[Callable[[AsyncConnection, list[Any]], Awaitable[None]], list[Any]]

_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA busy_timeout=30000",
    "PRAGMA foreign_keys=ON",
    "PRAGMA cache_size=-16000",
)


# Growing the file that WAL readers share fails in a way of its own.
_SQLITE_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})


class Database:
    """Connections to one database. `read()` and `write()` are the only ways in."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine: AsyncEngine = _create_engine(url, is_sqlite=self.is_sqlite)

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection that sees one consistent state and changes nothing."""
        async with self.engine.connect() as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: commits when the block ends, rolls back when it raises.

        On SQLite it takes the write lock at once (BEGIN IMMEDIATE), so a transaction that read can always write.
        Raises Unavailable `storage-full` when the database's disk is.
        """
        with disk_errors():
            async with self.engine.connect() as connection:
                last: Last = {}
                await connection.execution_options(headgate_write=True, headgate_last=last)
                async with connection.begin():
                    yield connection
                    for work, items in last.items():
                        await work(connection, items)

    def in_schema(self, name: str) -> "Database":
        """The same database and connections, its tables meant to lie in another schema of PostgreSQL."""
        other = copy.copy(self)
        other.engine = self.engine.execution_options(schema_translate_map={None: name})
        return other

    async def close(self) -> None:
        """Close every pooled connection."""
        await self.engine.dispose()


def do_last(
    connection: AsyncConnection, work: Callable[[AsyncConnection, list[Any]], Awaitable[None]], item: Any
) -> None:
    """Let `work` be called just before the transaction commits, once, with every item that was given for it.

    What takes a lock that everybody wants is done there: it is held shortly, and nobody who holds it waits for another.
    """
    last: Last = connection.sync_connection.get_execution_options()["headgate_last"]  # type: ignore[union-attr]
    last.setdefault(work, []).append(item)


@contextlib.asynccontextmanager
async def savepoint(connection: AsyncConnection) -> AsyncIterator[None]:
    """A part of a transaction that is undone when it raises, what it wanted done last included."""
    last: Last = connection.sync_connection.get_execution_options()["headgate_last"]  # type: ignore[union-attr]
    before = {work: len(items) for work, items in last.items()}
    try:
        async with connection.begin_nested():
            yield
    except BaseException:
        for work, items in list(last.items()):
            del items[before.get(work, 0) :]
        raise


def _create_engine(url: str, *, is_sqlite: bool) -> AsyncEngine:
    if not is_sqlite:
        return create_async_engine(url, pool_size=10, max_overflow=20, pool_pre_ping=True)
    # The one used last is the next: its pages are in its cache.
    engine = create_async_engine(url, pool_size=16, max_overflow=16, pool_use_lifo=True)

    @event.listens_for(engine.sync_engine, "do_connect")
    def connect(_dialect: Any, _record: Any, _place: Any, options: dict[str, Any]) -> None:
        options["async_creator_fn"] = hops.connect

    @event.listens_for(engine.sync_engine, "connect")
    def set_pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in _SQLITE_PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        is_write = connection.get_execution_options().get("headgate_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")

    return engine


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Turn a database that has no space left into a sentence: Unavailable `storage-full`."""
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "sqlite_errorcode", None) in _SQLITE_FULL or isinstance(error.orig, DiskFull):
            raise Unavailable(
                "storage-full", "The disk that holds the database is full. Free some space; nothing was lost."
            ) from error
        raise


def insert(connection: AsyncConnection, table: Table) -> Any:
    """`INSERT` of this connection's dialect, which knows `on_conflict_do_*`."""
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)


def chunks(items: Sequence[T], size: int = 500) -> Iterator[Sequence[T]]:
    """Slices short enough for one statement's parameters."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


async def advance_epoch(connection: AsyncConnection, topic: str) -> None:
    """Tell every process that what it remembers of `topic` is old, at this transaction's commit."""
    statement = insert(connection, tables.epoch).values(topic=topic, value=1)
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["topic"], set_={"value": tables.epoch.c.value + 1})
    )
    if connection.dialect.name == "postgresql":
        await connection.exec_driver_sql("NOTIFY headgate")


async def read_epochs(connection: AsyncConnection) -> dict[str, int]:
    """The counter of every topic."""
    rows = await connection.execute(select(tables.epoch.c.topic, tables.epoch.c.value))
    return {row.topic: row.value for row in rows}

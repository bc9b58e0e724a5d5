"""Where the access log is kept: appended to by web workers, folded into days and pruned by the jobs process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import Table, and_, case, delete, func, select, true, union_all, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import CreateSchema
from sqlalchemy.sql.selectable import Subquery

from headgate.audit.access_tables import SCHEMA, access_day, access_part, metadata, part_table
from headgate.db.engine import Database, insert
from headgate.kernel import clock

DAY_MS = 86_400_000
_FOLDED_AT_ONCE = 50_000
_KEPT_APART = 4_711_016
"""The advisory lock of PostgreSQL that appending shares and a fold's first glance has to itself."""
# A download is an answer that brought the whole file, or sent the client to where it is.
_BROUGHT = (200, 302)
_REFUSED = 403


class Row(NamedTuple):
    """A row of a part, but for its id; `bytes` is the sum of all `times`."""

    at: int
    times: int
    kind: str
    method: str
    channel: str
    subdir: str
    filename: str
    package: str
    sha256: str
    who: str
    token: str
    address: str
    client: str
    client_version: str
    agent: str
    verdict: str
    status: int
    bytes: int


class AccessStore:
    """The log in a database: a file of its own on SQLite, a schema of its own on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._parts: set[str] = set()
        self._opening = asyncio.Lock()
        mark = "?" if database.is_sqlite else "%s"
        marks = ", ".join([mark] * len(Row._fields))
        place = "{}" if database.is_sqlite else f"{SCHEMA}.{{}}"
        self._insert = f"INSERT INTO {place} ({', '.join(Row._fields)}) VALUES ({marks})"  # noqa: S608 - names of ours

    async def open(self) -> None:
        """Make the tables that are missing."""
        async with _alone(self.database) as connection:
            if not self.database.is_sqlite:
                await connection.execute(CreateSchema(SCHEMA, if_not_exists=True))
            await connection.run_sync(metadata.create_all)
            for index in access_day.indexes:
                await connection.run_sync(index.create, checkfirst=True)

    async def close(self) -> None:
        """Close its connections."""
        await self.database.close()

    async def append(self, rows: Sequence[Row]) -> None:
        """Write the rows in one transaction, each into the part of its month."""
        by_part = [(name, list(found)) for name, found in groupby(rows, key=lambda row: _part_of(row.at))]
        for name, _ in by_part:
            await self._ensure(name)
        try:
            async with self.database.write() as connection:
                if not self.database.is_sqlite:
                    await connection.execute(select(func.pg_advisory_xact_lock_shared(_KEPT_APART)))
                for name, found in by_part:
                    await connection.exec_driver_sql(self._insert.format(name), found)
        except Exception:
            self._parts.clear()  # somebody may have pruned one
            raise

    async def fold(self) -> int:
        """Add what is new to the days; how many rows that were. Safe to run anywhere, by several at a time."""
        folded = 0
        async with self.database.read() as connection:
            names = await read_parts(connection)
        for name in names:
            newest = await self._newest(part_table(name))
            while count := await self._fold_some(part_table(name), newest):
                folded += count
        return folded

    async def prune(self, keep: timedelta, keep_days: timedelta) -> None:
        """Forget requests older than `keep`, and days older than `keep_days`; what is not folded yet stays."""
        oldest, oldest_day = clock.now() - keep, day_of(clock.now() - keep_days)
        async with self.database.write() as connection:
            await connection.execute(delete(access_day).where(access_day.c.day < oldest_day))
            names = await read_parts(connection)
        for name in names:
            await self._prune_part(part_table(name), clock.to_ms(oldest))

    async def _prune_part(self, part: Table, oldest_ms: int) -> None:
        columns = part.c
        is_folded = columns.id <= _folded_id(part.name)
        async with self.database.write() as connection:
            await connection.execute(delete(part).where(columns.at < oldest_ms, is_folded))
            is_left = (await connection.execute(select(columns.id).limit(1))).first() is not None
        if not is_left and part.name != _part_of(clock.now_ms()):
            async with _alone(self.database) as connection:
                await connection.execute(delete(access_part).where(access_part.c.name == part.name))
                await connection.run_sync(part.drop)
            self._parts.discard(part.name)

    async def _ensure(self, name: str) -> None:
        if name in self._parts:
            return
        async with self._opening, _alone(self.database) as connection:
            statement = insert(connection, access_part).values(name=name, folded_id=0)
            await connection.execute(statement.on_conflict_do_nothing(index_elements=["name"]))
            await connection.run_sync(part_table(name).create, checkfirst=True)
        self._parts.add(name)

    async def _newest(self, part: Table) -> int:
        """The highest id of which it is certain that all below it are committed or never will be."""
        async with _alone(self.database) as connection:
            found: int | None = (await connection.execute(select(func.max(part.c.id)))).scalar_one()
        return found or 0

    async def _fold_some(self, part: Table, newest: int) -> int:
        columns = part.c
        async with self.database.write() as connection:
            statement = select(access_part.c.folded_id).where(access_part.c.name == part.name).with_for_update()
            folded: int | None = (await connection.execute(statement)).scalar_one_or_none()
            if folded is None or folded >= newest:
                return 0
            upto = min(newest, folded + _FOLDED_AT_ONCE)
            chosen = and_(columns.id > folded, columns.id <= upto)
            await _add_to_days(connection, part, chosen)
            moved = update(access_part).where(access_part.c.name == part.name).values(folded_id=upto)
            await connection.execute(moved)
            return upto - folded


@contextlib.asynccontextmanager
async def _alone(database: Database) -> AsyncIterator[AsyncConnection]:
    """A transaction during which nobody appends; SQLite knows no other."""
    async with database.write() as connection:
        if not database.is_sqlite:
            await connection.execute(select(func.pg_advisory_xact_lock(_KEPT_APART)))
        yield connection


async def read_parts(connection: AsyncConnection) -> list[str]:
    """The names of all parts, the oldest first."""
    found = await connection.execute(select(access_part.c.name).order_by(access_part.c.name))
    return list(found.scalars())


def day_of(moment: datetime) -> int:
    """The UTC day of a moment, in days since 1970."""
    return clock.to_ms(moment) // DAY_MS


def downloads_of(parts: Iterable[str]) -> Subquery:
    """Every day's downloads, the last ones included that no fold has seen: the columns of `access_day`, not summed up."""
    folded = select(access_day)
    tails = [_downloads(part_table(name), part_table(name).c.id > _folded_id(name)) for name in parts]
    return union_all(folded, *tails).subquery("downloads")


def _folded_id(part: str) -> Any:
    return select(access_part.c.folded_id).where(access_part.c.name == part).scalar_subquery()


def _downloads(part: Table, chosen: Any) -> Any:
    """The rows of a part that are downloads, or were refused, in the shape of `access_day`."""
    columns = part.c
    brought = case((columns.status.in_(_BROUGHT), columns.times), else_=0)
    refused = case((columns.status == _REFUSED, columns.times), else_=0)
    values = {
        "day": columns.at.op("/")(DAY_MS),  # whole numbers divide to whole numbers on both databases
        "downloads": brought,
        "refused": refused,
        "first_at": columns.at,
        "last_at": columns.at,
    }
    counted = (columns.kind == "download") & (columns.method == "GET") & columns.status.in_([*_BROUGHT, _REFUSED])
    names = [one.name for one in access_day.c]
    shown = [(values[name] if name in values else columns[name]).label(name) for name in names]
    return select(*shown).where(chosen, counted)


async def _add_to_days(connection: AsyncConnection, part: Table, chosen: Any) -> None:
    found = _downloads(part, chosen).subquery("found").c
    keys = [found[one.name] for one in access_day.primary_key.columns]
    summed = [func.sum(found[name]) for name in ("downloads", "refused", "bytes")]
    grouped = (
        select(*keys, func.max(found.package), *summed, func.min(found.first_at), func.max(found.last_at))
        .where(true())  # without it SQLite takes ON CONFLICT for a part of the query
        .group_by(*keys)
    )
    names = [*(one.name for one in keys), "package", "downloads", "refused", "bytes", "first_at", "last_at"]
    statement = insert(connection, access_day).from_select(names, grouped)
    new, old = statement.excluded, access_day.c
    earliest, latest = (func.min, func.max) if connection.dialect.name == "sqlite" else (func.least, func.greatest)
    changes = {
        "downloads": old.downloads + new.downloads,
        "refused": old.refused + new.refused,
        "bytes": old.bytes + new.bytes,
        "first_at": earliest(old.first_at, new.first_at),
        "last_at": latest(old.last_at, new.last_at),
    }
    await connection.execute(statement.on_conflict_do_update(index_elements=[one.name for one in keys], set_=changes))


def _part_of(at_ms: int) -> str:
    return f"access_{datetime.fromtimestamp(at_ms / 1000, UTC):%Y_%m}"

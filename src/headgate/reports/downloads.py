"""Reports made of the access log's days: downloads, who took a file, and files that nobody downloads any more."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import case, distinct, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.audit.access_store import AccessStore, day_of, downloads_of, read_parts
from headgate.audit.downloads import date_of
from headgate.kernel import clock
from headgate.reports.report import Report

Row = Sequence[Any]


class By(StrEnum):
    """What downloads are counted by."""

    CHANNEL = "channel"
    CLIENT = "client"
    DAY = "day"
    FILE = "file"
    MONTH = "month"
    PACKAGE = "package"
    USER = "user"


_COLUMNS = {
    By.CHANNEL: ("channel",),
    By.CLIENT: ("client",),
    By.FILE: ("subdir", "filename", "sha256"),
    By.PACKAGE: ("package",),
    By.USER: ("who",),
}
_SHOWN = {"who": "user"}
_COUNTS = ("downloads", "refused", "bytes", "first_at", "last_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Which downloads: of whole UTC days from that of `since` to that of `until`; of everything that is not said."""

    since: datetime | None = None
    until: datetime | None = None
    channel: str | None = None
    package: str | None = None
    subdir: str | None = None
    filename: str | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Downloads of a file in the last so many days (None: as far back as days are kept), and by how many people."""

    days: int | None
    downloads: int
    people: int


@dataclass(frozen=True, slots=True)
class Taker:
    """Somebody who took a file, with what; or was refused it."""

    user: str
    client: str
    downloads: int
    refused: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Takers:
    """Who took a file: how many in which time, and who last; `total` counts pairs of a user and a client."""

    spans: Sequence[Span]
    last: Sequence[Taker]
    total: int


class DownloadReports:
    """Counts downloads."""

    def __init__(self, store: AccessStore) -> None:
        self._store = store

    def downloads(self, by: Sequence[By], period: Period) -> Report:
        """Downloads, refusals and bytes by some of what is known of them; the most first, days and months in their order."""
        names = [name for one in by for name in _COLUMNS.get(one, (one.value,))]
        shown = [_SHOWN.get(name, name) for name in names]
        return Report("downloads", (*shown, *_COUNTS), self._iter(names, period))

    async def last_downloads(self, channel: str) -> dict[tuple[str, str], datetime]:
        """(subdir, file name) -> when it was last downloaded from a channel, as far back as days are kept."""
        async with self._store.database.read() as connection:
            found = downloads_of(await read_parts(connection)).c
            statement = (
                select(found.subdir, found.filename, func.max(found.last_at))
                .where(found.channel == channel, found.downloads > 0)
                .group_by(found.subdir, found.filename)
            )
            return {(row[0], row[1]): clock.from_ms(row[2]) for row in await connection.execute(statement)}

    async def takers(self, channel: str, subdir: str, filename: str, limit: int = 50) -> Takers:
        """Who took a file from a channel, the last one first."""
        period = Period(channel=channel, subdir=subdir, filename=filename)
        async with self._store.database.read() as connection:
            found = downloads_of(await read_parts(connection)).c
            chosen = _conditions(found, period)
            counts = [count for days in _SPANS for count in _within(found, days)]
            sums = (await connection.execute(select(*counts).where(*chosen))).one()
            keys = [found.who, found.client]
            summed = [func.sum(found.downloads), func.sum(found.refused), func.min(found.first_at)]
            last = func.max(found.last_at)
            grouped = select(*keys, *summed, last).where(*chosen).group_by(*keys)
            total = (await connection.execute(select(func.count()).select_from(grouped.subquery()))).scalar_one()
            rows = await connection.execute(grouped.order_by(last.desc(), *keys).limit(limit))
            takers = [
                Taker(row[0], row[1], int(row[2]), int(row[3]), clock.from_ms(row[4]), clock.from_ms(row[5]))
                for row in rows
            ]
        pairs = zip(_SPANS, sums[::2], sums[1::2], strict=True)
        return Takers([Span(days, int(downloads or 0), people) for days, downloads, people in pairs], takers, total)

    async def _iter(self, names: Sequence[str], period: Period) -> AsyncIterator[Row]:
        async with self._store.database.read() as connection:
            found = downloads_of(await read_parts(connection)).c
            keys = [_key(connection, found, name).label(name) for name in names]
            summed = [func.sum(found.downloads), func.sum(found.refused), func.sum(found.bytes)]
            statement = select(*keys, *summed, func.min(found.first_at), func.max(found.last_at))
            statement = statement.where(*_conditions(found, period)).group_by(*keys)
            timely = [key for key, name in zip(keys, names, strict=True) if name in {"day", "month"}]
            statement = statement.order_by(*timely, summed[0].desc(), *keys)
            show: list[Callable[[Any], Any]] = [_SHOW.get(name, str) for name in names]
            async for row in await connection.stream(statement):
                cells = [shown(value) for shown, value in zip(show, row, strict=False)]
                counts = [int(value) for value in row[len(names) : len(names) + 3]]
                yield (*cells, *counts, clock.from_ms(row[-2]), clock.from_ms(row[-1]))


_SPANS = (7, 30, 90, 365, None)


def _within(found: Any, days: int | None) -> tuple[Any, Any]:
    """Downloads of the last so many days, and by how many people."""
    is_meant = found.downloads > 0
    if days is not None:
        is_meant &= found.day > day_of(clock.now() - timedelta(days=days))
    return func.sum(case((is_meant, found.downloads), else_=0)), func.count(distinct(case((is_meant, found.who))))


_SHOW: dict[str, Callable[[Any], Any]] = {"day": date_of}


def _key(connection: AsyncConnection, found: Any, name: str) -> Any:
    if name != "month":
        return found[name]
    seconds = found.day * 86_400
    if connection.dialect.name == "sqlite":
        return func.strftime("%Y-%m", seconds, "unixepoch")
    return func.to_char(func.timezone("UTC", func.to_timestamp(seconds)), "YYYY-MM")


def _conditions(found: Any, period: Period) -> list[Any]:
    chosen = []
    if period.since is not None:
        chosen.append(found.day >= day_of(period.since))
    if period.until is not None:
        chosen.append(found.day <= day_of(period.until))
    exact = {
        "channel": period.channel, "package": period.package, "subdir": period.subdir, "filename": period.filename,
        "who": period.user,
    }  # fmt: skip
    return chosen + [found[name] == value for name, value in exact.items() if value is not None]

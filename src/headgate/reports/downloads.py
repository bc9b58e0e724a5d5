"""Reports made of the access log's days: downloads, and files that nobody downloads any more."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select
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
    """Which downloads: of whole UTC days from that of `since` to that of `until`; of all channels, packages and users."""

    since: datetime | None = None
    until: datetime | None = None
    channel: str | None = None
    package: str | None = None
    user: str | None = None


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
    for value, column in ((period.channel, found.channel), (period.package, found.package), (period.user, found.who)):
        if value is not None:
            chosen.append(column == value)
    return chosen

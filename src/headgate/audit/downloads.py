"""How often what was downloaded: in whole UTC days, up to the last tenth of a second."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.audit.access_store import AccessStore, day_of, downloads_of, read_parts
from headgate.kernel import clock

_EPOCH = date(1970, 1, 1)


class FileCount(NamedTuple):
    """How often one file of a channel was downloaded."""

    subdir: str
    filename: str
    downloads: int


class DayCount(NamedTuple):
    """How often something was downloaded on one UTC day."""

    day: date
    downloads: int


class DownloadCounts:
    """Counts downloads of whole files by GET. `channel` is the one that was asked, be it virtual or not."""

    def __init__(self, store: AccessStore) -> None:
        self._store = store

    async def by_name(self, channel: str, since: datetime) -> dict[str, int]:
        """Package name -> downloads since the day of a moment; names without any are absent."""
        async with self._store.database.read() as connection:
            found = (await _downloads(connection)).c
            statement = select(found.package, func.sum(found.downloads)).group_by(found.package)
            rows = await connection.execute(_within(statement, found, channel, since))
            return {name: int(count) for name, count in rows}

    async def by_file(self, channel: str, since: datetime, name: str | None = None) -> list[FileCount]:
        """The files of a channel, or of one package in it, the most downloaded first."""
        async with self._store.database.read() as connection:
            found = (await _downloads(connection)).c
            count = func.sum(found.downloads)
            statement = select(found.subdir, found.filename, count).group_by(found.subdir, found.filename)
            statement = _within(statement, found, channel, since, name)
            rows = await connection.execute(statement.order_by(count.desc(), found.subdir, found.filename))
            return [FileCount(subdir, filename, int(number)) for subdir, filename, number in rows]

    async def daily(
        self, channel: str | None, since: datetime, *, name: str | None = None, filename: str | None = None
    ) -> list[DayCount]:
        """One count for each day from that of `since` to today, zeros too; of a package, a file, a channel, or all."""
        async with self._store.database.read() as connection:
            found = (await _downloads(connection)).c
            statement = select(found.day, func.sum(found.downloads)).group_by(found.day)
            statement = _within(statement, found, channel, since, name)
            if filename is not None:
                statement = statement.where(found.filename == filename)
            counts = {day: int(number) for day, number in await connection.execute(statement)}
        days = range(day_of(since), day_of(clock.now()) + 1)
        return [DayCount(date_of(day), counts.get(day, 0)) for day in days]


def date_of(day: int) -> date:
    """The date of a day that is counted since 1970."""
    return _EPOCH + timedelta(days=day)


def moment_of(day: int) -> datetime:
    """When a day that is counted since 1970 began."""
    return datetime.combine(date_of(day), datetime.min.time(), UTC)


async def _downloads(connection: AsyncConnection) -> Any:
    return downloads_of(await read_parts(connection))


def _within(
    statement: Select[Any], found: Any, channel: str | None, since: datetime, name: str | None = None
) -> Select[Any]:
    chosen = statement.where(found.day >= day_of(since), found.downloads > 0)
    if channel is not None:
        chosen = chosen.where(found.channel == channel)
    return chosen if name is None else chosen.where(found.package == name)

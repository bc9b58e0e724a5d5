"""How many advisories were open, and closed, on each day: kept once a day, reported as long as days are kept.

An advisory is open in a channel while it stands for one file there, and closed once curations say that it harms none; of all
channels together, it is open while it is open in one.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import delete, select

from headgate.audit.access_store import day_of
from headgate.audit.downloads import date_of
from headgate.db import tables_advisories as tables
from headgate.db.engine import Database, insert
from headgate.kernel import clock
from headgate.reports.overview import Overview
from headgate.reports.report import Report
from headgate.reports.severities import SEVERITIES, severity_of

_COLUMNS = ("day", "severity", "open", "closed")
_EVERYWHERE = ""
_TABLE = tables.advisory_day


class DayTally:
    """Counts the advisories of one day, channel by channel."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._states: dict[str, tuple[str, bool]] = {}

    def add(self, channel: str, overview: Overview) -> None:
        """Take one channel, as an overview has it."""
        for name, matter in overview.matters.items():
            if channel not in matter.files:
                continue
            severity, is_open = severity_of(matter.finding), matter.open_files.get(channel, 0) > 0
            self._counts[channel, severity]["open" if is_open else "closed"] += 1
            self._states[name] = severity, is_open or self._states.get(name, ("", False))[1]

    def rows(self, day: int) -> list[dict[str, Any]]:
        """As they are kept: all channels together with every severity, each channel with those that it has."""
        together: dict[tuple[str, str], Counter[str]] = {(_EVERYWHERE, one): Counter() for one in SEVERITIES}
        for severity, is_open in self._states.values():
            together[_EVERYWHERE, severity]["open" if is_open else "closed"] += 1
        return [
            {"day": day, "channel": channel, "severity": severity, "open": found["open"], "closed": found["closed"]}
            for (channel, severity), found in (*together.items(), *self._counts.items())
        ]


class AdvisoryHistory:
    """Keeps and reports days."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def has(self, day: int) -> bool:
        """Whether the day is kept."""
        async with self._database.read() as connection:
            return (
                await connection.execute(select(_TABLE.c.day).where(_TABLE.c.day == day).limit(1))
            ).first() is not None

    async def keep(self, day: int, tally: DayTally) -> None:
        """Keep a day; one that is kept stays as it is."""
        rows = tally.rows(day)
        async with self._database.write() as connection:
            await connection.execute(insert(connection, _TABLE).on_conflict_do_nothing(), rows)

    async def prune(self, keep: timedelta) -> int:
        """Forget days that are older; how many rows."""
        async with self._database.write() as connection:
            gone = await connection.execute(delete(_TABLE).where(_TABLE.c.day < day_of(clock.now() - keep)))
        return gone.rowcount

    async def days(
        self, channel: str | None = None, since: datetime | None = None, until: datetime | None = None
    ) -> dict[date, Mapping[str, tuple[int, int]]]:
        """Each kept day, from that of `since` to that of `until`: severity -> open, closed; of a channel, or of all."""
        columns = _TABLE.c
        statement = (
            select(_TABLE).where(columns.channel.in_({_EVERYWHERE, channel or _EVERYWHERE})).order_by(columns.day)
        )
        if since is not None:
            statement = statement.where(columns.day >= day_of(since))
        if until is not None:
            statement = statement.where(columns.day <= day_of(until))
        found: dict[date, dict[str, tuple[int, int]]] = {}
        async with self._database.read() as connection:
            for row in await connection.execute(statement):
                day = found.setdefault(date_of(row.day), dict.fromkeys(SEVERITIES, (0, 0)))
                if row.channel == (channel or _EVERYWHERE):
                    day[row.severity] = row.open, row.closed
        return dict(found)

    def report(
        self, channel: str | None = None, since: datetime | None = None, until: datetime | None = None
    ) -> Report:
        """A row per kept day and severity."""
        return Report("advisory-days", _COLUMNS, self._rows(channel, since, until))

    async def _rows(
        self, channel: str | None, since: datetime | None, until: datetime | None
    ) -> AsyncIterator[Sequence[Any]]:
        for day, severities in (await self.days(channel, since, until)).items():
            for severity, (is_open, is_closed) in severities.items():
                yield day, severity, is_open, is_closed

"""Counts once a day how many advisories are open in each channel, so that it can be told how that went."""

from datetime import timedelta

import structlog

from headgate.advisories.book import AdvisoryBook
from headgate.audit.access_store import day_of
from headgate.channels.catalog import read_channels
from headgate.channels.exposure import Exposure
from headgate.channels.maps import Maps
from headgate.db.engine import Database
from headgate.db.snapshots import Snapshots
from headgate.db.turns import Turns
from headgate.kernel import clock
from headgate.reports.history import AdvisoryHistory, DayTally
from headgate.reports.overview import Overviews

log = structlog.get_logger(__name__)


class AdvisoryDays:
    """Keeps one state per UTC day, that of its first look; of all workers one counts."""

    def __init__(self, database: Database, snapshots: Snapshots, book: AdvisoryBook, turns: Turns) -> None:
        self._database = database
        self._snapshots = snapshots
        self._book = book
        self._turns = turns
        self._history = AdvisoryHistory(database)

    async def look(self, keep: timedelta) -> None:
        """Count, unless that was done today; and forget what is older than `keep`."""
        today = day_of(clock.now())
        if await self._history.has(today):
            return
        async with self._turns.take("advisory-days"):
            if not await self._history.has(today):
                await self._history.keep(today, await self._count())
                await self._history.prune(keep)
                log.info("advisory_day_kept", day=today)

    async def _count(self) -> DayTally:
        """One channel after the other, so that no more than one is in memory."""
        await self._snapshots.refresh()
        async with self._database.read() as connection:
            channels = await read_channels(connection)
        tally = DayTally()
        for channel in channels:
            overviews = Overviews(Exposure(self._database, Maps(self._database), self._book))
            tally.add(channel.name, await overviews.gather([channel]))
        return tally

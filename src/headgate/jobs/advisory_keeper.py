"""Looks around for advisories: feeds that are due, curations whose time is over, and names to be evaluated anew.

A name is forgotten only when `on_change` has returned, so a crash in between tells it again.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
from sqlalchemy import delete, select

from headgate.advisories.curating import CurationService
from headgate.advisories.feeds import FeedService, due
from headgate.conda.names import Sha256
from headgate.db import tables_advisories as tables
from headgate.db.engine import Database, chunks
from headgate.db.snapshots import Snapshots
from headgate.jobs.service import JobService
from headgate.storage.local import BlobStore

OnChange = Callable[[frozenset[str]], Awaitable[None]]

_DROPPED = "dropped"

log = structlog.get_logger(__name__)


class AdvisoryKeeper:
    """Looks for feeds that are due, curations whose time is over, and names to be evaluated anew."""

    def __init__(
        self,
        store: BlobStore,
        database: Database,
        snapshots: Snapshots,
        feeds: FeedService,
        jobs: JobService,
        on_change: OnChange,
    ) -> None:
        self._store = store
        self._database = database
        self._snapshots = snapshots
        self._feeds = feeds
        self._curations = CurationService(database)
        self._jobs = jobs
        self._on_change = on_change

    async def look(self) -> None:
        """Whatever comes by itself: feeds that are due, archives of the drop folder, curations that end."""
        for name in due(await self._feeds.list_feeds()):
            await self._jobs.refresh_feed("headgate", name)
        for path in sorted(self._store.folder.advisories.glob("*.zip")):
            await self._jobs.import_advisories("headgate", _DROPPED, path.stem, is_whole=False)
        await self._curations.expire()

    async def hand_on(self) -> None:
        """Tell the names whose assessment changed, after this process knows the news itself."""
        columns = tables.advisory_change.c
        async with self._database.read() as connection:
            told = {row.name: row.at for row in await connection.execute(select(columns.name, columns.at))}
        if not told:
            return
        await self._snapshots.refresh()
        await self._on_change(frozenset(told))
        newest = max(told.values())
        async with self._database.write() as connection:
            for some in chunks(sorted(told)):
                # What was told again meanwhile stays.
                await connection.execute(
                    delete(tables.advisory_change).where(columns.name.in_(some), columns.at <= newest)
                )
        log.info("advisories_handed_on", names=len(told))


def dropped_path(store: BlobStore, sha256: Sha256) -> Path:
    """Where an archive of advisories lies that came by the drop folder."""
    return store.folder.advisories / f"{sha256}.zip"

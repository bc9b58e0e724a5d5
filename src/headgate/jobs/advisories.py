"""Advisories, kept up to date: feeds read when they are due, uploaded files read, what changed told to who evaluates.

feed due, or file uploaded -> job: read, merge, one name per change -> look: names handed on, then forgotten

A name is forgotten only when `on_change` has returned, so a crash in between tells it again.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog
from dbos import DBOS, DBOSConfiguredInstance
from sqlalchemy import delete, select

from headgate.advisories.curating import CurationService
from headgate.advisories.feeds import FeedService, due
from headgate.conda.names import Sha256
from headgate.db import tables_advisories as tables
from headgate.db.engine import Database, chunks
from headgate.db.snapshots import Snapshots
from headgate.http.client import Outgoing
from headgate.jobs.engine import INSTANCE
from headgate.jobs.requests import FeedRequest, ImportRequest
from headgate.jobs.service import JobService
from headgate.kernel.errors import NotFound
from headgate.storage.local import BlobStore

OnChange = Callable[[frozenset[str]], Awaitable[None]]

log = structlog.get_logger(__name__)


@DBOS.dbos_class()
class AdvisoryJobs(DBOSConfiguredInstance):
    """Reads feeds."""

    def __init__(self, feeds: FeedService, outgoing: Outgoing, store: BlobStore) -> None:
        super().__init__(INSTANCE)
        self._feeds = feeds
        self._outgoing = outgoing
        self._store = store

    @DBOS.workflow(name="refresh-feed")
    async def refresh(self, request: FeedRequest) -> dict[str, Any]:
        """Ask a feed's URL for what is new; what that changed."""
        return await self.fetch(request)

    @DBOS.workflow(name="import-advisories")
    async def take(self, request: ImportRequest) -> dict[str, Any]:
        """Read an uploaded file into a feed; what that changed."""
        return await self.read(request)

    @DBOS.step()
    async def fetch(self, request: FeedRequest) -> dict[str, Any]:
        """Fetch and read; a second time after a crash finds most of it known."""
        outcome = await self._feeds.fetch(request["actor"], request["feed"], self._outgoing, self._store.folder.scratch)
        return outcome.as_json()

    @DBOS.step()
    async def read(self, request: ImportRequest) -> dict[str, Any]:
        """Read the file, a blob that nothing lists, and that the next clean-up takes."""
        sha256 = Sha256(request["sha256"])
        path: Path | None = self._store.find(sha256)
        if path is None:
            raise NotFound("upload-gone", "The uploaded file is not there any more. Upload it again.")
        outcome = await self._feeds.take(request["actor"], request["feed"], path, is_whole=request["is_whole"])
        return outcome.as_json()


class AdvisoryKeeper:
    """Looks for feeds that are due, curations whose time is over, and names to be evaluated anew."""

    def __init__(
        self, database: Database, snapshots: Snapshots, feeds: FeedService, jobs: JobService, on_change: OnChange
    ) -> None:
        self._database = database
        self._snapshots = snapshots
        self._feeds = feeds
        self._curations = CurationService(database)
        self._jobs = jobs
        self._on_change = on_change

    async def look(self) -> None:
        """Whatever time alone brings: feeds that are due, curations that end."""
        for name in due(await self._feeds.list_feeds()):
            await self._jobs.refresh_feed("headgate", name)
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


async def hand_on_to_nobody(_names: frozenset[str]) -> None:
    """For a server whose gate does not heed advisories."""

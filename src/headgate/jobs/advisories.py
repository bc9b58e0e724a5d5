"""The workflows that read feeds and uploaded files of advisories."""

from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSConfiguredInstance

from headgate.advisories.feeds import FeedService
from headgate.channels.routes import Routes
from headgate.conda.names import Sha256
from headgate.db.engine import Database
from headgate.jobs.advisory_keeper import dropped_path
from headgate.jobs.engine import INSTANCE
from headgate.jobs.requests import AdvisoriesRequest, FeedRequest
from headgate.kernel.errors import Invalid, NotFound
from headgate.storage.local import BlobStore


@DBOS.dbos_class()
class AdvisoryJobs(DBOSConfiguredInstance):
    """Reads feeds."""

    def __init__(self, database: Database, feeds: FeedService, routes: Routes, store: BlobStore) -> None:
        super().__init__(INSTANCE)
        self._feeds = feeds
        self._database = database
        self._routes = routes
        self._store = store

    @DBOS.workflow(name="refresh-feed")
    async def refresh(self, request: FeedRequest) -> dict[str, Any]:
        """Ask a feed's URL for what is new; what that changed."""
        return await self.fetch(request)

    @DBOS.workflow(name="import-advisories")
    async def take(self, request: AdvisoriesRequest) -> dict[str, Any]:
        """Read an uploaded file into a feed; what that changed."""
        return await self.read(request)

    @DBOS.step()
    async def fetch(self, request: FeedRequest) -> dict[str, Any]:
        """Fetch and read; a second time after a crash finds most of it known."""
        async with self._database.read() as connection:
            await self._routes.load(connection)
        outcome = await self._feeds.fetch(
            request["actor"], request["feed"], self._routes.plain(), self._store.folder.scratch
        )
        return outcome.as_json()

    @DBOS.step()
    async def read(self, request: AdvisoriesRequest) -> dict[str, Any]:
        """Read the file: a blob that nothing lists, which the next clean-up takes, or one of the drop folder."""
        sha256 = Sha256(request["sha256"])
        dropped = dropped_path(self._store, sha256)
        path: Path | None = dropped if dropped.exists() else self._store.find(sha256)
        if path is None:
            raise NotFound("upload-gone", "The uploaded file is not there any more. Upload it again.")
        try:
            outcome = await self._feeds.take(request["actor"], request["feed"], path, is_whole=request["is_whole"])
        except Invalid:
            dropped.unlink(missing_ok=True)  # it would be tried for ever
            raise
        dropped.unlink(missing_ok=True)
        return outcome.as_json()

"""The workflow that collects what nobody names any more."""

from datetime import timedelta

from dbos import DBOS, DBOSConfiguredInstance
from sqlalchemy import delete

from headgate.backups.service import COLLECTING
from headgate.channels.collect import collect_blobs, collect_entries, collect_shards
from headgate.db import tables
from headgate.db.engine import Database
from headgate.db.turns import Turns
from headgate.jobs.engine import INSTANCE
from headgate.jobs.requests import UpkeepRequest
from headgate.jobs.service import JobService
from headgate.kernel import clock
from headgate.storage.local import BlobStore

_IDEMPOTENCY_AGE = timedelta(days=1)


@DBOS.dbos_class()
class UpkeepJobs(DBOSConfiguredInstance):
    """Cleans up."""

    def __init__(self, database: Database, store: BlobStore, jobs: JobService, turns: Turns) -> None:
        super().__init__(INSTANCE)
        self._jobs = jobs
        self._database = database
        self._store = store
        self._turns = turns

    @DBOS.workflow(name="collect-garbage")
    async def collect(self, request: UpkeepRequest) -> dict[str, int]:
        """Collect entries, then the shards only they named, then blobs, then old jobs; how many of each."""
        return {
            "entries": await self.entries(request),
            "shards": await self.shards(request),
            "blobs": await self.blobs(request),
            "jobs": await self.history(request),
        }

    @DBOS.step()
    async def entries(self, request: UpkeepRequest) -> int:
        """Entries that were superseded long ago, and answers kept for repeated requests."""
        async with self._database.write() as connection:
            columns = tables.idempotency.c
            await connection.execute(
                delete(tables.idempotency).where(columns.created_at < clock.now() - _IDEMPOTENCY_AGE)
            )
        return await collect_entries(self._database, timedelta(days=request["shard_age_days"]))

    @DBOS.step()
    async def shards(self, request: UpkeepRequest) -> int:
        """Shards that no map names."""
        return await collect_shards(self._database, timedelta(days=request["shard_age_days"]))

    @DBOS.step()
    async def blobs(self, request: UpkeepRequest) -> int:
        """Blobs that no artifact and no document names; not while a backup is being made, which may still need them."""
        async with self._turns.take(COLLECTING):
            return await collect_blobs(self._database, self._store, timedelta(hours=request["blob_age_hours"]))

    @DBOS.step()
    async def history(self, request: UpkeepRequest) -> int:
        """Jobs that ended long ago."""
        return await self._jobs.forget_old(clock.now() - timedelta(days=request["history_days"]))

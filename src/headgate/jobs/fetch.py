"""The workflow that brings files of a channel's mirrors here before anybody asks for them.

    count what is missing -> fetch, several at once, verified -> done

Everything is one step that may run twice: what is here by then is not missing, and is not fetched again. A file whose
bytes arrived but whose row did not, since the process was killed between the two, only gets its row.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import structlog
from dbos import DBOS, DBOSConfiguredInstance

from headgate.channels.catalog import get_channel
from headgate.channels.model import Channel
from headgate.channels.routes import Routes
from headgate.db.engine import Database
from headgate.delivery.ahead import iter_missing
from headgate.delivery.located import Located
from headgate.delivery.sources import Landing, StoredFile, WithPolicy
from headgate.jobs.engine import INSTANCE
from headgate.jobs.progress import Amount, JobProgress
from headgate.jobs.requests import FetchRequest
from headgate.kernel.errors import HeadgateError, Refused, Unavailable
from headgate.storage.local import BlobStore

_AT_ONCE = 8
# An upstream that gives nothing any more is not asked for each of a million files.
_MOST_IN_A_ROW = 50

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Tally:
    total: Amount = field(default_factory=Amount)
    done: Amount = field(default_factory=Amount)
    fetched: int = 0
    failures: list[str] = field(default_factory=list)
    failed: int = 0
    in_a_row: int = 0


@DBOS.dbos_class()
class FetchJobs(DBOSConfiguredInstance):
    """Fetches ahead."""

    def __init__(
        self, database: Database, routes: Routes, store: BlobStore, landing: Landing, delivery: WithPolicy
    ) -> None:
        super().__init__(INSTANCE)
        self._database = database
        self._routes = routes
        self._store = store
        self._landing = landing
        self._delivery = delivery

    @DBOS.workflow(name="fetch-artifacts")
    async def fetch(self, request: FetchRequest) -> dict[str, Any]:
        """Bring what is missing; how much that was. Fails when a file could not be brought, after the others."""
        return await self.bring(request)

    @DBOS.step(preemptible=True)
    async def bring(self, request: FetchRequest) -> dict[str, Any]:
        """Count, then fetch. Raises Unavailable `fetch-failed`."""
        async with self._database.read() as connection:
            await self._routes.load(connection)
            channel = await get_channel(connection, request["channel"])
        progress = JobProgress(self._database, DBOS.workflow_id or "")
        tally = await self._count(channel, request)
        try:
            async for batch in iter_missing(self._database, channel, request["files"]):
                await self._bring_all(batch, tally, progress)
        finally:
            await progress.flush()
        if tally.failed:
            raise Unavailable(
                "fetch-failed",
                f"{tally.failed} of {tally.total.items} files of {channel.name} could not be fetched: "
                f"{tally.failures[0]}",
                tally.failures,
            )
        return {"fetched": tally.fetched, "kept": tally.done.items - tally.fetched, "bytes": tally.done.bytes}

    async def _count(self, channel: Channel, request: FetchRequest) -> _Tally:
        items = size_bytes = 0
        async for batch in iter_missing(self._database, channel, request["files"]):
            items += len(batch)
            size_bytes += sum(one.size_bytes or 0 for one in batch)
        return _Tally(total=Amount(items, size_bytes))

    async def _bring_all(self, batch: list[Located], tally: _Tally, progress: JobProgress) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(wanted: Located) -> None:
            async with gate:
                if tally.in_a_row < _MOST_IN_A_ROW:
                    await self._bring_one(wanted, tally, progress)

        async with asyncio.TaskGroup() as group:
            for wanted in batch:
                group.create_task(one(wanted))
        if tally.in_a_row >= _MOST_IN_A_ROW:
            raise Unavailable("fetch-failed", f"{tally.in_a_row} files in a row failed: {tally.failures[-1]}")

    async def _bring_one(self, wanted: Located, tally: _Tally, progress: JobProgress) -> None:
        place = f"{wanted.subdir.name}/{wanted.artifact}"
        try:
            size_bytes, is_fetched = await self._land(wanted)
            tally.in_a_row = 0
        except Refused as error:
            await progress.say(f"{place}: {error.message}")
            return
        except HeadgateError as error:
            log.warning("fetch_ahead_failed", artifact=place, code=error.code, reason=error.message)
            tally.failed, tally.in_a_row = tally.failed + 1, tally.in_a_row + 1
            tally.failures = [*tally.failures, f"{place}: {error.message}"][-20:]
            await progress.say(f"{place}: {error.message}")
            return
        tally.fetched += is_fetched
        tally.done = Amount(tally.done.items + 1, tally.done.bytes + size_bytes)
        await progress.say(f"{place}: {'fetched' if is_fetched else 'was here'}, {size_bytes} bytes")
        await progress.report("files", "files", tally.done, tally.total)

    async def _land(self, wanted: Located) -> tuple[int, bool]:
        """See to it that the file is here and listed as being here; its size, and whether it was fetched."""
        body = await self._delivery.open(wanted)
        if isinstance(body, StoredFile):
            await self._landing(wanted, body.size_bytes)
            return body.size_bytes, False
        with body.in_use():
            await body.landed()
        return body.written, True

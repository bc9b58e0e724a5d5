"""The workflow that follows a mirror's upstreams.

    plan (which subdirs) -> follow (several at once, within a memory bound) -> done

`follow` may run twice after a crash: what it had finished is then answered by a conditional request.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import structlog
from dbos import DBOS, DBOSConfiguredInstance

from headgate.channels.catalog import get_channel
from headgate.channels.model import Channel, Source, SourceKind
from headgate.conda.names import KNOWN_SUBDIRS, Subdir
from headgate.db.engine import Database
from headgate.http.client import Outgoing
from headgate.intake.budget import MemoryBudget
from headgate.intake.sync import Outcome, sync_subdir
from headgate.intake.upstream import UpstreamReader
from headgate.jobs.engine import INSTANCE
from headgate.jobs.progress import JobProgress
from headgate.jobs.requests import SyncRequest
from headgate.kernel.errors import HeadgateError, NotFound, Unavailable

_SUBDIRS_AT_ONCE = 4
# Documents in memory at once: one of the largest subdirs, or several of the others.
_DOCUMENT_BYTES = 640 << 20
_SHARDS_AT_ONCE = 64

log = structlog.get_logger(__name__)


@DBOS.dbos_class()
class SyncJobs(DBOSConfiguredInstance):
    """Syncs mirrors. `announce` is called when one begins."""

    def __init__(
        self, database: Database, outgoing: Outgoing, scratch: Path, announce: Callable[[], Awaitable[object]]
    ) -> None:
        super().__init__(INSTANCE)
        self._announce = announce
        self._database = database
        self._outgoing = outgoing
        self._scratch = scratch
        self._budget = MemoryBudget(_DOCUMENT_BYTES)
        # Two jobs may name the same subdir; one that read an older listing must not write over the other's.
        self._turns: defaultdict[tuple[int, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    @DBOS.workflow(name="sync-mirror")
    async def sync(self, request: SyncRequest) -> dict[str, Any]:
        """Follow every upstream of the mirror; the outcome per subdir. Fails when a subdir failed, after the others."""
        plan = await self.plan(request)
        outcomes = await self.follow(request["channel"], plan)
        failures = [f"{one['subdir']}: {one['failure']}" for one in outcomes if one["failure"]]
        if failures:
            raise Unavailable("sync-failed", f"Sync of {request['channel']} failed for {'; '.join(failures)}")
        return {"subdirs": outcomes}

    @DBOS.step()
    async def plan(self, request: SyncRequest) -> list[list[Any]]:
        """Pairs of source id and subdir, in the order to follow them."""
        await self._announce()
        channel = await self._channel(request["channel"])
        wanted = request["subdirs"]
        return [
            [source.id, subdir]
            for source in channel.sources
            if source.kind is SourceKind.UPSTREAM
            for subdir in sorted(_subdirs(source, wanted), key=_order)
        ]

    @DBOS.step(preemptible=True)
    async def follow(self, channel_name: str, plan: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
        """Sync each subdir, a few at once; a failing one does not stop the rest."""
        progress = JobProgress(self._database, DBOS.workflow_id or "")
        gate = asyncio.Semaphore(_SUBDIRS_AT_ONCE)

        async def one(source_id: int, subdir: Subdir) -> dict[str, Any]:
            async with self._turns[source_id, subdir], gate:
                return await self._follow_one(channel_name, source_id, subdir, progress)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(source_id, Subdir(subdir))) for source_id, subdir in plan]
        return [task.result() for task in tasks]

    async def _follow_one(
        self, channel_name: str, source_id: int, subdir: Subdir, progress: JobProgress
    ) -> dict[str, Any]:
        outcome, failure = Outcome("failed"), None
        try:
            channel = await self._channel(channel_name)
            source = next((one for one in channel.sources if one.id == source_id), None)
            if source is None or source.url is None:
                raise NotFound("upstream-unknown", "The upstream was removed meanwhile.")
            reader = UpstreamReader(
                self._outgoing,
                source.url,
                subdir,
                self._scratch,
                concurrency=_SHARDS_AT_ONCE,
                budget=self._budget,
            )

            async def report(step: str, done: int, total: int) -> None:
                await progress.report(f"{source_id}/{subdir}", step, done, total)

            outcome = await sync_subdir(self._database, channel, source, subdir, reader, report)
        except HeadgateError as error:
            failure = error.message
            log.warning("sync_failed", channel=channel_name, subdir=subdir, code=error.code, reason=error.message)
        except Exception:
            log.exception("sync_failed", channel=channel_name, subdir=subdir, code="internal-error")
            failure = "It failed in a way that nobody foresaw; the server's log says how."
        return {
            "subdir": subdir,
            "state": outcome.state,
            "changed": outcome.changed,
            "removed": outcome.removed,
            "failure": failure,
        }

    async def _channel(self, name: str) -> Channel:
        async with self._database.read() as connection:
            return await get_channel(connection, name)


def _subdirs(source: Source, wanted: Sequence[str] | None) -> set[str]:
    offered = set(KNOWN_SUBDIRS if source.subdirs is None else source.subdirs)
    return offered if wanted is None else offered & set(wanted)


def _order(subdir: str) -> tuple[bool, str]:
    return subdir != "noarch", subdir

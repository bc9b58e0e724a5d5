"""The workflow that follows a channel's mirrors.

    plan (which subdirs) -> follow (several at once, within a memory bound)
         -> resolve (filters that name dependencies: solve for them) -> learn (of install scripts, where a policy asks)
         -> ask for files ahead, where wanted -> done

`follow` may run twice after a crash: what it had finished is then answered by a conditional request.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from dbos import DBOS, DBOSConfiguredInstance

from headgate.channels.catalog import get_channel
from headgate.channels.model import Channel, Source, SourceKind
from headgate.conda.names import KNOWN_SUBDIRS, Subdir
from headgate.db.turns import Turns
from headgate.intake.budget import MemoryBudget
from headgate.intake.closure import resolve_closure
from headgate.intake.failover import MirrorReader
from headgate.intake.scripts import learn_scripts
from headgate.intake.sync import Outcome, sync_subdir
from headgate.intake.upstream import UpstreamReader
from headgate.jobs.engine import INSTANCE
from headgate.jobs.parts import WorkerParts
from headgate.jobs.progress import Amount, JobProgress
from headgate.jobs.requests import SyncRequest
from headgate.kernel.errors import HeadgateError, NotFound, Unavailable

_SUBDIRS_AT_ONCE = 4
# Documents in memory at once: one of the largest subdirs, or several of the others.
_DOCUMENT_BYTES = 640 << 20
_SHARDS_AT_ONCE = 64

log = structlog.get_logger(__name__)


@DBOS.dbos_class()
class SyncJobs(DBOSConfiguredInstance):
    """Syncs mirrors. `announce` is called when a sync begins."""

    def __init__(self, parts: WorkerParts, turns: Turns, announce: Callable[[], Awaitable[object]]) -> None:
        super().__init__(INSTANCE)
        self._announce = announce
        self._root = parts.root
        self._database = parts.database
        self._routes = parts.routes
        self._jobs = parts.jobs
        self._scratch = parts.store.folder.scratch
        self._budget = MemoryBudget(_DOCUMENT_BYTES)
        # Two jobs may name the same subdir; one that read an older listing must not write over the other's.
        self._turns = turns

    @DBOS.workflow(name="sync-mirror")
    async def sync(self, request: SyncRequest) -> dict[str, Any]:
        """Follow the channel's mirrors; the outcome per subdir. Fails when a subdir failed, after the others."""
        plan = await self.plan(request)
        outcomes = await self.follow(request["channel"], plan)
        await self.resolve(request)
        await self.learn(request)
        is_news = request["subdirs"] is None or any(one["state"] == "changed" for one in outcomes)
        fetch = await self.ask_ahead(request) if is_news else None
        failures = [f"{one['subdir']}: {one['failure']}" for one in outcomes if one["failure"]]
        if failures:
            raise Unavailable("sync-failed", f"Sync of {request['channel']} failed for {'; '.join(failures)}")
        return {"subdirs": outcomes, "fetch": fetch}

    @DBOS.step()
    async def ask_ahead(self, request: SyncRequest) -> str | None:
        """The job that fetches what the mirrors want here ahead; None when they want nothing."""
        channel = await self._channel(request["channel"])
        if not any(source.settings.fetch.is_ahead for source in _meant(channel, request)):
            return None
        return await self._jobs.fetch(DBOS.authenticated_user or "headgate", channel.name)

    @DBOS.step(preemptible=True)
    async def resolve(self, request: SyncRequest) -> None:
        """Solve for the dependencies of what filters ask for, and publish them beside it."""
        channel = await self._channel(request["channel"])
        progress = JobProgress(self._database, DBOS.workflow_id or "")
        for source in _meant(channel, request):
            if source.settings.filters.include_dependencies:
                async with self._turns.take(f"resolve-{source.id}"):
                    for sentence in await resolve_closure(self._database, channel, source, self._scratch):
                        await progress.say(sentence)
                await progress.flush()

    @DBOS.step()
    async def learn(self, request: SyncRequest) -> None:
        """Read what upstreams say of install scripts, if a policy asks; one that cannot be read fails nothing."""
        channel = await self._channel(request["channel"])
        progress = JobProgress(self._database, DBOS.workflow_id or "")
        for source in _meant(channel, request):
            try:
                await learn_scripts(self._database, source, self._reader(source, Subdir("noarch")))
            except HeadgateError as error:
                log.warning("channeldata_unread", channel=channel.name, code=error.code, reason=error.message)
                await progress.say(f"channeldata.json: {error.message}")
                await progress.flush()

    @DBOS.step()
    async def plan(self, request: SyncRequest) -> list[list[Any]]:
        """Pairs of source id and subdir, in the order to follow them."""
        await self._announce()
        channel = await self._channel(request["channel"])
        wanted = request["subdirs"]
        return [
            [source.id, subdir]
            for source in _meant(channel, request)
            for subdir in sorted(_subdirs(source, wanted), key=_order)
        ]

    @DBOS.step(preemptible=True)
    async def follow(self, channel_name: str, plan: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
        """Sync each subdir, a few at once; a failing one does not stop the rest."""
        progress = JobProgress(self._database, DBOS.workflow_id or "")
        gate = asyncio.Semaphore(_SUBDIRS_AT_ONCE)

        async def one(source_id: int, subdir: Subdir) -> dict[str, Any]:
            async with gate, self._turns.take(f"sync-{source_id}-{subdir}"):
                return await self._follow_one(channel_name, source_id, subdir, progress)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(source_id, Subdir(subdir))) for source_id, subdir in plan]
        await progress.flush()
        return [task.result() for task in tasks]

    async def _follow_one(
        self, channel_name: str, source_id: int, subdir: Subdir, progress: JobProgress
    ) -> dict[str, Any]:
        outcome, failure = Outcome("failed"), None
        try:
            channel = await self._channel(channel_name)
            source = next((one for one in channel.sources if one.id == source_id), None)
            if source is None:
                raise NotFound("mirror-unknown", "The mirror was removed meanwhile.")
            reader = self._reader(source, subdir)

            async def report(step: str, done: int, total: int) -> None:
                await progress.report(f"{source_id}/{subdir}", step, Amount(done), Amount(total))

            outcome = await sync_subdir(self._database, channel, source, subdir, reader, report, self._root)
        except HeadgateError as error:
            failure = error.message
            log.warning("sync_failed", channel=channel_name, subdir=subdir, code=error.code, reason=error.message)
        except Exception:
            log.exception("sync_failed", channel=channel_name, subdir=subdir, code="internal-error")
            failure = "It failed in a way that nobody foresaw; the server's log says how."
        if failure is not None:
            await progress.say(f"{subdir}: {failure}")
        elif outcome.state == "changed":
            await progress.say(f"{subdir}: {outcome.changed} names changed, {outcome.removed} left")
        return {
            "subdir": subdir,
            "state": outcome.state,
            "changed": outcome.changed,
            "removed": outcome.removed,
            "failure": failure,
        }

    def _reader(self, source: Source, subdir: Subdir) -> MirrorReader:
        route = self._routes.of(source)
        for warning in source.settings.warnings():
            log.warning("mirror_unsafe", mirror=source.name, urls=source.urls, reason=warning)
        readers = [
            UpstreamReader(
                route.outgoing,
                url,
                subdir,
                self._scratch,
                concurrency=_SHARDS_AT_ONCE,
                budget=self._budget,
            )
            for url in route.urls
        ]
        if source.settings.signatures.is_signed:
            readers = [reader.of_documents() for reader in readers]
        return MirrorReader(readers, route.keep_base)

    async def _channel(self, name: str) -> Channel:
        async with self._database.read() as connection:
            await self._routes.load(connection)
            return await get_channel(connection, name)


def _meant(channel: Channel, request: SyncRequest) -> list[Source]:
    return [
        source
        for source in channel.sources
        if source.kind is SourceKind.UPSTREAM and request.get("mirror") in {None, source.name}
    ]


def _subdirs(source: Source, wanted: Sequence[str] | None) -> set[str]:
    offered = set(KNOWN_SUBDIRS if source.subdirs is None else source.subdirs)
    return offered if wanted is None else offered & set(wanted)


def _order(subdir: str) -> tuple[bool, str]:
    return subdir != "noarch", subdir

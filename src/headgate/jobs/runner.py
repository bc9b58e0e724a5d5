"""A worker's life: take over what the dead left, run what is asked for, and look around now and then."""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog
from dbos import DBOS

from headgate.channels.catalog import read_channels
from headgate.channels.documents import EAGER
from headgate.channels.mirror_service import reschedule
from headgate.channels.model import Channel
from headgate.channels.revising import find_stale
from headgate.channels.revisions import read_world
from headgate.intake.attesting import check_again
from headgate.jobs.airgap import look_across
from headgate.jobs.archives import ArchiveKeeper
from headgate.jobs.backups import BackupClock
from headgate.jobs.engine import declare_queues, open_worker
from headgate.jobs.executors import Executors
from headgate.jobs.ldap import LdapClock
from headgate.jobs.lost import LostJobs
from headgate.jobs.parts import WorkerParts
from headgate.jobs.polling import quieten
from headgate.jobs.promote import look_after_requests
from headgate.jobs.registry import make_jobs
from headgate.jobs.requests import UpkeepRequest
from headgate.kernel import clock
from headgate.kernel.errors import HeadgateError

_LOOK_S = 0.1
_FIRST_CLEAN_UP_S = 600.0
_CHECK_S = 5.0
_REST_AFTER_FAILURE_S = 5.0
_ATTESTATIONS_AT_ONCE = 50

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class UpkeepPlan:
    """How often to clean up, and what counts as old."""

    interval_s: float
    request: UpkeepRequest
    ldap_interval: timedelta


async def run_worker(jobs_url: str, parts: WorkerParts, upkeep: UpkeepPlan, stop: asyncio.Event) -> None:
    """Run jobs until `stop` is set; what is under way then goes on with another worker."""
    parts.store.sweep()
    executors = Executors(parts.database, parts.store.folder.workers)
    await executors.claim()
    worker = open_worker(jobs_url, executors.name)
    closing = make_jobs(parts)
    DBOS.launch()
    quieten(worker, jobs_url)
    _adopt_logs()
    await declare_queues()
    await parts.watch.start()
    log.info("worker_started", executor=executors.name)
    around = _Around(parts, upkeep, executors, LostJobs(worker, executors), stop)
    looking = asyncio.create_task(around.look())
    carrying = asyncio.create_task(look_across(parts.airgap, parts.jobs))
    recording = asyncio.create_task(parts.records.look())
    carding = asyncio.create_task(parts.cards.look())
    reading = asyncio.create_task(ArchiveKeeper(parts.database, parts.store, parts.watch).look())
    forwarding = asyncio.create_task(parts.records.forward())
    await stop.wait()
    besides = (carrying, looking, recording, forwarding, carding, reading)
    for task in besides:
        task.cancel()
    await asyncio.gather(*besides, return_exceptions=True)
    DBOS.destroy()
    await closing()
    await executors.let_go()


def _adopt_logs() -> None:
    """Put what DBOS says among our own lines; what a job failed with has been said by the job itself."""
    library = logging.getLogger("dbos")
    library.handlers.clear()
    library.propagate = True
    library.addFilter(lambda line: not (line.exc_info and isinstance(line.exc_info[1], HeadgateError)))


class _Around:
    """What a worker looks at now and then, besides its queues."""

    def __init__(
        self, parts: WorkerParts, upkeep: UpkeepPlan, executors: Executors, lost: LostJobs, stop: asyncio.Event
    ) -> None:
        self._parts = parts
        self._upkeep = upkeep
        self._executors = executors
        self._lost = lost
        self._stop = stop
        self._seen: int | None = None
        self._has_old_attestations = True
        self._checked_at = -_CHECK_S
        # Soon after a start, so that a server which is restarted every day is cleaned up at all.
        self._cleaned_at = time.monotonic() - upkeep.interval_s + _FIRST_CLEAN_UP_S
        self._ldap = LdapClock(parts.database, parts.jobs, upkeep.ldap_interval)
        self._backups = BackupClock(parts.backups, parts.jobs)

    async def look(self) -> None:
        """Look, for ever."""
        while True:
            try:
                await self._look_once()
            except HeadgateError as error:
                log.warning("look_failed", code=error.code, reason=error.message)
                self._seen = None
                await asyncio.sleep(_REST_AFTER_FAILURE_S)
            except Exception:
                # Nobody else would look again: a database that was away for a moment must not end it.
                log.exception("look_failed")
                self._seen = None
                await asyncio.sleep(_REST_AFTER_FAILURE_S)
            await asyncio.sleep(_LOOK_S)

    async def _look_once(self) -> None:
        if time.monotonic() - self._checked_at > _CHECK_S:
            # What failed is tried again though nothing changed.
            self._checked_at, self._seen = time.monotonic(), None
            if not await self._executors.beat():
                log.error("worker_taken_for_dead", executor=self._executors.name)
                self._stop.set()
                return
            await self._lost.resume()
            await self._parts.keeper.look()
            await look_after_requests(self._parts.database, self._parts.jobs)
        if self._has_old_attestations:
            # Another trust root is in the settings than the one that they were checked against.
            number = await check_again(self._parts.database, self._parts.root, _ATTESTATIONS_AT_ONCE)
            self._has_old_attestations = number > 0
        version = self._parts.watch.version()
        if version != self._seen:
            self._seen = version
            await self._parts.keeper.hand_on()
            async with self._parts.database.read() as connection:
                channels = await read_channels(connection)
            await self._render_what_fell_behind(channels)
            await self._start_what_is_due(channels)
            await _judge_what_is_stale(self._parts)
        if time.monotonic() - self._cleaned_at > self._upkeep.interval_s:
            self._cleaned_at = time.monotonic()
            await self._parts.jobs.collect("headgate", self._upkeep.request)
        await self._ldap.look()
        await self._backups.look()

    async def _render_what_fell_behind(self, channels: Iterable[Channel]) -> None:
        """Ask for the eager document of every subdir whose newest revision has none: the revision is the request."""
        for channel in channels:
            for subdir in _behind(channel):
                await self._parts.jobs.publish(channel.name, subdir, EAGER)

    async def _start_what_is_due(self, channels: Iterable[Channel]) -> None:
        """Ask for the syncs whose time has come; several workers ask for the same one, and it happens once."""
        now = clock.now()
        due = [(one, source) for one in channels for source in one.sources if (source.next_run_at or now) < now]
        for channel, source in due:
            moment_ms = clock.to_ms(source.next_run_at or now)
            job_id = f"schedule-{source.id}-{moment_ms}"
            await self._parts.jobs.sync("schedule", channel.name, mirror=source.name, job_id=job_id)
            async with self._parts.database.write() as connection:
                await reschedule(connection, channel, source)


async def _judge_what_is_stale(parts: WorkerParts) -> None:
    """Ask for what a changed policy has made stale, and for what time has: the state itself is the request."""
    async with parts.database.read() as connection:
        stale = await find_stale(connection, await read_world(connection), clock.now())
    for one in stale:
        await parts.jobs.revise(one.channel.name, one.subdir)


def _behind(channel: Channel) -> list[str]:
    revisions: Mapping[str, int] = {key[0]: doc.revision for key, doc in channel.documents.items() if key[1] == EAGER}
    return [name for name, state in channel.subdirs.items() if revisions.get(name, 0) < state.revision]

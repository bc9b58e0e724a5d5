"""A worker's life: take over what an earlier one left, run what is asked for, and look around now and then."""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from dbos import DBOS

from headgate.channels.catalog import read_channels
from headgate.channels.documents import EAGER, Renderer
from headgate.channels.model import Channel
from headgate.channels.revising import find_stale
from headgate.channels.revisions import read_world
from headgate.db.engine import Database
from headgate.db.watch import Watch
from headgate.http.client import Outgoing
from headgate.jobs.engine import declare_queues, open_worker
from headgate.jobs.gate import GateJobs
from headgate.jobs.lost import LostJobs
from headgate.jobs.publish import PublishJobs
from headgate.jobs.service import JobService
from headgate.jobs.sync import SyncJobs
from headgate.jobs.upkeep import UpkeepJobs
from headgate.kernel import clock
from headgate.kernel.errors import HeadgateError
from headgate.storage.local import BlobStore

_LOOK_S = 0.1
_FIRST_CLEAN_UP_S = 600.0
_CHECK_S = 5.0
_REST_AFTER_FAILURE_S = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What jobs work with."""

    database: Database
    watch: Watch
    store: BlobStore
    outgoing: Outgoing
    jobs: JobService


@dataclass(frozen=True, slots=True)
class UpkeepPlan:
    """How often to clean up, and what counts as old."""

    interval_s: float
    shard_age_days: int
    blob_age_hours: int


async def run_worker(jobs_url: str, executor: str, parts: WorkerParts, upkeep: UpkeepPlan, stop: asyncio.Event) -> None:
    """Run jobs until `stop` is set; what is under way then resumes with the next worker of the same name."""
    parts.store.sweep()
    worker = open_worker(jobs_url, executor)
    SyncJobs(parts.database, parts.outgoing, parts.store.folder.scratch)
    PublishJobs(Renderer(parts.database, parts.store))
    UpkeepJobs(parts.database, parts.store)
    GateJobs(parts.database)
    DBOS.launch()
    _adopt_logs()
    await declare_queues()
    await parts.watch.start()
    log.info("worker_started", executor=executor)
    looking = asyncio.create_task(_look_around(parts, upkeep, LostJobs(worker, executor)))
    await stop.wait()
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    DBOS.destroy()


def _adopt_logs() -> None:
    """Put what DBOS says among our own lines; what a job failed with has been said by the job itself."""
    library = logging.getLogger("dbos")
    library.handlers.clear()
    library.propagate = True
    library.addFilter(lambda line: not (line.exc_info and isinstance(line.exc_info[1], HeadgateError)))


async def _look_around(parts: WorkerParts, upkeep: UpkeepPlan, lost: LostJobs) -> None:
    seen: int | None = None
    checked_at = time.monotonic()
    # Soon after a start, so that a server which is restarted every day is cleaned up at all.
    cleaned_at = checked_at - upkeep.interval_s + _FIRST_CLEAN_UP_S
    while True:
        try:
            if time.monotonic() - checked_at > _CHECK_S:
                # What failed is tried again though nothing changed.
                checked_at, seen = time.monotonic(), None
                await lost.resume()
            version = parts.watch.version()
            if version != seen:
                seen = version
                await _render_what_fell_behind(parts)
                await _judge_what_is_stale(parts)
            if time.monotonic() - cleaned_at > upkeep.interval_s:
                cleaned_at = time.monotonic()
                await parts.jobs.collect("headgate", upkeep.shard_age_days, upkeep.blob_age_hours)
        except HeadgateError as error:
            log.warning("look_failed", code=error.code, reason=error.message)
            seen = None
            await asyncio.sleep(_REST_AFTER_FAILURE_S)
        except Exception:
            # Nobody else would look again: a database that was away for a moment must not end it.
            log.exception("look_failed")
            seen = None
            await asyncio.sleep(_REST_AFTER_FAILURE_S)
        await asyncio.sleep(_LOOK_S)


async def _render_what_fell_behind(parts: WorkerParts) -> None:
    """Ask for the eager document of every subdir whose newest revision has none: the revision is the request."""
    async with parts.database.read() as connection:
        channels = await read_channels(connection)
    for channel in channels:
        for subdir in _behind(channel):
            await parts.jobs.publish(channel.name, subdir, EAGER)


async def _judge_what_is_stale(parts: WorkerParts) -> None:
    """Ask for what a changed policy has made stale, and for what time has: the state itself is the request."""
    async with parts.database.read() as connection:
        stale = await find_stale(connection, await read_world(connection), clock.now())
    for one in stale:
        await parts.jobs.revise(one.channel.name, one.subdir)


def _behind(channel: Channel) -> list[str]:
    revisions: Mapping[str, int] = {key[0]: doc.revision for key, doc in channel.documents.items() if key[1] == EAGER}
    return [name for name, state in channel.subdirs.items() if revisions.get(name, 0) < state.revision]

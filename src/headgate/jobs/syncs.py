"""The report of syncs: how long each took, what it changed, and how it ended; as far back as jobs are remembered."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from headgate.jobs.kinds import SYNC_MIRROR
from headgate.jobs.service import Job, JobService
from headgate.reports.report import Report

_COLUMNS = (
    "channel", "mirror", "state", "asked_at", "started_at", "ended_at", "seconds", "subdirs", "changed", "removed",
    "failure", "job",
)  # fmt: skip
_AT_ONCE = 500


def syncs(jobs: JobService, *, since: datetime | None = None, channel: str | None = None) -> Report:
    """A row per sync that was asked for since a moment, the newest first; `changed` and `removed` count package names."""
    return Report("syncs", _COLUMNS, _iter(jobs, since, channel))


async def _iter(jobs: JobService, since: datetime | None, channel: str | None) -> AsyncIterator[Sequence[Any]]:
    offset, most = 0, _AT_ONCE
    while most == _AT_ONCE:
        found = await jobs.list_jobs(kind=SYNC_MIRROR.name, since=since, limit=_AT_ONCE, offset=offset)
        offset, most = offset + _AT_ONCE, len(found)
        for job in found:
            request = job.request or {}
            if channel in {None, request.get("channel")}:
                yield _row(job, request)


def _row(job: Job, request: dict[str, Any]) -> Sequence[Any]:
    subdirs = (job.result or {}).get("subdirs", [])
    started = job.started_at
    seconds = None if started is None or job.ended_at is None else round((job.ended_at - started).total_seconds(), 3)
    return (
        request.get("channel"), request.get("mirror"), job.state, job.created_at, started, job.ended_at, seconds,
        len(subdirs), sum(one["changed"] for one in subdirs), sum(one["removed"] for one in subdirs), job.failure, job.id,
    )  # fmt: skip

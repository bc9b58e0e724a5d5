"""Jobs of a page's own, followed as they run; whoever may see the page may see how far they are."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

from headgate.doors.words import size, span
from headgate.jobs.service import Job, JobService
from headgate.kernel.errors import HeadgateError

_LOOK_S = 0.3
_ID = re.compile(r"[!-~]{1,200}")


async def find_job(jobs: JobService, job_id: str | None, kinds: frozenset[str]) -> Job | None:
    """The job, if there is one of these kinds."""
    if not job_id or not _ID.fullmatch(job_id):
        return None
    try:
        found = await jobs.get_job(job_id)
    except HeadgateError:
        return None
    return found if found.kind in kinds else None


def is_of(job: Job, channel: str) -> bool:
    """Whether a job works for the channel."""
    return isinstance(job.request, Mapping) and job.request.get("channel") == channel


async def states(jobs: JobService, job_id: str) -> AsyncIterator[Mapping[str, Any]]:
    """How far it is, until it has ended."""
    while True:
        job = await jobs.get_job(job_id)
        yield state_of(job)
        if job.has_ended:
            return
        await asyncio.sleep(_LOOK_S)


def state_of(job: Job) -> dict[str, Any]:
    """A job as the bar shows it: how far, of how much, and in words with the time that is left."""
    progress = job.progress or {}
    done, most = int(progress.get("done_items", 0)), int(progress.get("total_items", 0))
    if job.has_ended:
        return {"value": most or 1, "most": most or 1, "text": job.failure or "Done.", "done": True}
    if not most:
        return {"value": None, "text": str(progress.get("step") or "Waiting for its turn")}
    text = f"{progress.get('step')}: {done} of {most}"
    if progress.get("done_bytes"):
        text += f", {size(int(progress['done_bytes']))}"
    if progress.get("remaining_seconds") is not None:
        text += f", about {span(timedelta(seconds=float(progress['remaining_seconds'])))} left"
    return {"value": done, "most": most, "text": text}

"""Jobs: watched, paused, stopped, tried again."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from headgate.doors.api.callers import JobManager, Services
from headgate.doors.api.idempotency import IdempotentRoute
from headgate.doors.api.models import JobAnswer, JobLineAnswer, JobLogAnswer
from headgate.doors.api.paging import Listing, Number, Paging
from headgate.jobs.progress import MAX_LINES

router = APIRouter(tags=["jobs"], route_class=IdempotentRoute)

JobPath = Annotated[str, Path(max_length=200, pattern=r"^[!-~]+$", examples=["4b0f6c1e-6d39-4c0f-9a55-0f2f5b3f4d11"])]
KindQuery = Annotated[
    str | None, Query(max_length=64, pattern=r"^[a-z-]+$", description="Of this kind only.", examples=["sync-mirror"])
]


@router.get("/jobs")
async def list_jobs(
    _caller: JobManager, services: Services, page: Paging, kind: KindQuery = None
) -> Listing[JobAnswer]:
    """The jobs, the newest first."""
    (offset,) = page.after(tuple[Number]) or (0,)
    found = await services.jobs.list_jobs(kind=kind, limit=page.limit + 1, offset=offset)
    jobs, following = page.cut(found, lambda _: (offset + page.limit,))
    return Listing(items=[JobAnswer.model_validate(job) for job in jobs], next=following)


@router.get("/jobs/{job_id}")
async def show_job(_caller: JobManager, services: Services, job_id: JobPath) -> JobAnswer:
    """One job, with how far it is."""
    return JobAnswer.model_validate(await services.jobs.get_job(job_id))


@router.get("/jobs/{job_id}/log")
async def read_log(
    _caller: JobManager,
    services: Services,
    job_id: JobPath,
    lines: Annotated[int, Query(ge=1, le=MAX_LINES, description="At most so many.")] = MAX_LINES,
) -> JobLogAnswer:
    """The last lines of what a job said, the oldest first."""
    found = await services.jobs.read_log(job_id, lines)
    return JobLogAnswer(lines=[JobLineAnswer.model_validate(line) for line in found])


@router.post("/jobs/{job_id}/pause")
async def pause_job(caller: JobManager, services: Services, job_id: JobPath) -> JobAnswer:
    """Let a job that has not ended rest until it is resumed."""
    return JobAnswer.model_validate(await services.jobs.pause(caller.actor, job_id))


@router.post("/jobs/{job_id}/resume")
async def resume_job(caller: JobManager, services: Services, job_id: JobPath) -> JobAnswer:
    """Let a paused or stopped job go on at its step."""
    return JobAnswer.model_validate(await services.jobs.resume(caller.actor, job_id))


@router.post("/jobs/{job_id}/stop")
async def stop_job(caller: JobManager, services: Services, job_id: JobPath) -> JobAnswer:
    """Stop a job that has not ended."""
    return JobAnswer.model_validate(await services.jobs.stop(caller.actor, job_id))


@router.post("/jobs/{job_id}/retry")
async def retry_job(caller: JobManager, services: Services, job_id: JobPath) -> JobAnswer:
    """Let a stopped job go on, or do a failed one again (as a new job)."""
    return JobAnswer.model_validate(await services.jobs.retry(caller.actor, job_id))

"""Backups: those that are there, and another one."""

from fastapi import APIRouter

from headgate.backups.service import Standing
from headgate.doors.api.callers import JobManager, Services
from headgate.doors.api.idempotency import IdempotentRoute
from headgate.doors.api.models import JobAnswer
from headgate.doors.api.models_backups import BackupAnswer, BackupsAnswer

router = APIRouter(tags=["backups"], route_class=IdempotentRoute)


@router.get("/backups")
async def list_backups(_caller: JobManager, services: Services) -> BackupsAnswer:
    """The backups of this server, the newest first, and what somebody should do about them."""
    return _shown(await services.core.backups.standing())


@router.post("/backups", status_code=202)
async def make_backup(caller: JobManager, services: Services) -> JobAnswer:
    """Make a backup now; answers with the job."""
    services.core.backups.check_on()
    job_id = await services.jobs.backup(caller.actor)
    return JobAnswer.model_validate(await services.jobs.get_job(job_id))


def _shown(standing: Standing) -> BackupsAnswer:
    items = [
        BackupAnswer.model_validate({"name": one.name, "folder": str(one.folder)} | one.paper.as_dict())
        for one in standing.backups
    ]
    return BackupsAnswer(
        items=items,
        is_on=standing.is_on,
        next_at=standing.next_at,
        concern=standing.concern,
        elsewhere=standing.elsewhere,
    )

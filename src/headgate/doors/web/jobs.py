"""Jobs: what runs, what ran, what it said; paused, stopped, tried again."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.doors.web.admin import admin_page
from headgate.doors.web.streams import stream
from headgate.doors.web.toasts import Undo
from headgate.doors.web.viewing import Viewer, change, signed_in
from headgate.jobs.service import Job, JobService
from headgate.kernel.errors import Invalid

_HERE = "/admin/jobs"
_LOOKED_THROUGH = 500
_SHOWN = 100
_LINES = 200
_POLL_S = 1.0


@signed_in
async def show_jobs(viewer: Viewer) -> Response:
    """The newest; filtered as one types, by kind, `is:`, `by:`, and what was asked for."""
    viewer.require(Permission.JOB_MANAGE)
    wanted = viewer.request.query_params.get("q", "")
    jobs = await viewer.services.jobs.list_jobs(limit=_LOOKED_THROUGH if wanted else _SHOWN)
    found = [job for job in jobs if all(_fits(job, term) for term in wanted.split())][:_SHOWN]
    return admin_page(viewer, "jobs.html", _HERE, part="jobs_found.html", wanted=wanted, jobs=found)


def _fits(job: Job, term: str) -> bool:
    key, colon, value = term.lower().partition(":")
    if colon and key in {"is", "by", "kind"}:
        return value in {"is": job.state, "by": (job.actor or "").lower(), "kind": job.kind}[key]
    return term.lower() in f"{job.kind} {job.id} {job.request}".lower()


@signed_in
async def show_job(viewer: Viewer) -> Response:
    """One: how far it is, and the last lines of what it said."""
    viewer.require(Permission.JOB_MANAGE)
    jobs, number = viewer.services.jobs, viewer.request.path_params["id"]
    job = await jobs.get_job(number)
    return admin_page(viewer, "job.html", _HERE, job=job, state=_state(job), lines=await jobs.read_log(number, _LINES))


@signed_in
async def follow_job(viewer: Viewer) -> Response:
    """How far it is, as long as it runs (server-sent events)."""
    viewer.require(Permission.JOB_MANAGE)
    number = viewer.request.path_params["id"]
    await viewer.services.jobs.get_job(number)
    return stream(_states(viewer.services.jobs, number))


async def _states(jobs: JobService, number: str) -> AsyncIterator[Mapping[str, Any]]:
    while True:
        job = await jobs.get_job(number)
        yield _state(job) | ({"done": True} if job.has_ended else {})
        if job.has_ended:
            return
        await asyncio.sleep(_POLL_S)


def _state(job: Job) -> dict[str, Any]:
    """Of all its steps together: done, of how many (bytes, where they are known), and in words."""
    shown = job.progress or {}
    unit = "bytes" if shown.get("total_bytes") else "items"
    done, total = (int(shown.get(f"{which}_{unit}") or 0) for which in ("done", "total"))
    return {"value": done, "most": max(total, done, 1), "text": shown.get("step") or job.state}


@change
async def change_job(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Pause, resume, stop, retry."""
    viewer.require(Permission.JOB_MANAGE)
    jobs, number, wish = viewer.services.jobs, viewer.request.path_params["id"], form.get("wish", "")
    acts = {"pause": jobs.pause, "resume": jobs.resume, "stop": jobs.stop, "retry": jobs.retry}
    if wish not in acts:
        raise Invalid("request-invalid", "A job can be paused, resumed, stopped or tried again.")
    job = await acts[wish](viewer.actor, number)
    back = {"pause": "resume", "resume": "pause", "stop": "retry"}.get(wish)
    path = f"{_HERE}/{number}"
    return viewer.go(path, f"The job is {job.state}.", Undo(f"{path}/change", {"wish": back}) if back else None)


ROUTES = [
    Route("/admin/jobs", show_jobs),
    Route("/admin/jobs/{id}", show_job),
    Route("/admin/jobs/{id}/events", follow_job),
    Route("/admin/jobs/{id}/change", change_job, methods=["POST"]),
]

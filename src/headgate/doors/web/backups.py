"""Backups: those that are there, another one now, and how to restore one."""

from collections.abc import Mapping

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.doors.web.admin import admin_page
from headgate.doors.web.viewing import Viewer, change, signed_in
from headgate.jobs.kinds import BACKUP

_HERE = "/admin/backups"


@signed_in
async def show_backups(viewer: Viewer) -> Response:
    """The newest first; and what somebody should do about them."""
    viewer.require(Permission.JOB_MANAGE)
    backups = viewer.services.core.backups
    asked = await viewer.services.jobs.list_jobs(kind=BACKUP.name, limit=1)
    return admin_page(
        viewer, "backups.html", _HERE, standing=await backups.standing(), plan=backups.plan,
        job=next((one for one in asked if not one.has_ended), None), settings=viewer.services.core.place.folder.settings,
    )  # fmt: skip


@change
async def make_backup(viewer: Viewer, _form: Mapping[str, str]) -> Response:
    """Make one now; a job."""
    viewer.require(Permission.JOB_MANAGE)
    viewer.services.core.backups.check_on()
    job = await viewer.services.jobs.backup(viewer.actor)
    return viewer.go(f"/admin/jobs/{job}", "A backup is being made.")


ROUTES = [
    Route(_HERE, show_backups),
    Route(f"{_HERE}/make", make_backup, methods=["POST"]),
]

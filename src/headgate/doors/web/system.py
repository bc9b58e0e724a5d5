"""The server itself: what it keeps, how it is, and how it is set up."""

import asyncio
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.channels.health import (
    Level,
    check_backups,
    check_failed,
    check_feeds,
    check_mirrors,
    check_signing,
    check_space,
    check_stale,
)
from headgate.channels.usage import read_usage
from headgate.doors.web.admin import admin_page
from headgate.doors.web.judging import world_of
from headgate.doors.web.viewing import Viewer, change, signed_in
from headgate.http.masking import mask_url
from headgate.jobs.requests import UpkeepRequest
from headgate.kernel import clock

_LAST_JOBS = 100


@signed_in
async def show_storage(viewer: Viewer) -> Response:
    """Bytes by channel, and what of the disk is left."""
    viewer.require(Permission.JOB_MANAGE)
    core = viewer.services.core
    disk = await asyncio.to_thread(shutil.disk_usage, core.place.folder.root)
    is_asked = "foresee" in viewer.request.query_params
    return admin_page(
        viewer, "storage.html", "/admin/storage", usage=await read_usage(core.database), disk=disk,
        upkeep=core.place.settings.upkeep, foreseen=await core.retention.foresee() if is_asked else None,
        ages=core.retention.ages,
    )  # fmt: skip


@change
async def collect(viewer: Viewer, _form: Mapping[str, str]) -> Response:
    """Remove now what nobody names any more; a job."""
    viewer.require(Permission.JOB_MANAGE)
    settings = viewer.services.core.place.settings
    request = UpkeepRequest(
        shard_age_days=settings.upkeep.shard_age_days,
        blob_age_hours=settings.upkeep.blob_age_hours,
        history_days=settings.jobs.history_days,
    )
    job = await viewer.services.jobs.collect(viewer.actor, request)
    return viewer.go(f"/admin/jobs/{job}", "Cleaning up.")


@signed_in
async def show_health(viewer: Viewer) -> Response:
    """What was looked at, the worst first."""
    viewer.require(Permission.JOB_MANAGE)
    services, core, now = viewer.services, viewer.services.core, clock.now()
    disk = await asyncio.to_thread(shutil.disk_usage, core.place.folder.root)
    jobs = await services.jobs.list_jobs(limit=_LAST_JOBS)
    standing = await core.backups.standing()
    signing = check_signing(await core.signing.read(), now)
    checks = [
        check_space(disk.free, disk.total),
        *await check_mirrors(core.database),
        *check_feeds(await services.advisories.feeds.list_feeds(), now),
        check_stale(len(await core.policies.pending(world_of(viewer)))),
        check_backups([one.paper.made_at for one in standing.backups], standing.concern, is_on=standing.is_on),
        check_failed(sum(job.state == "failed" for job in jobs)),
        *([] if signing is None else [signing]),
    ]
    order = [Level.FAIL, Level.WARN, Level.OK]
    checks.sort(key=lambda one: order.index(one.level))
    return admin_page(
        viewer, "health.html", "/admin/health", checks=checks, version=version("headgate"),
        database=core.database.url.render_as_string(hide_password=True),
    )  # fmt: skip


@signed_in
async def show_settings(viewer: Viewer) -> Response:
    """Every setting with its value; secrets in URLs are hidden. They are changed in the file, or by the environment."""
    viewer.require(Permission.NETWORK_MANAGE)
    place = viewer.services.core.place
    sections = [
        (section, [_shown(getattr(place.settings, section), key, field) for key, field in _fields(field_of_section)])
        for section, field_of_section in type(place.settings).model_fields.items()
    ]
    return admin_page(viewer, "settings.html", "/admin/settings", sections=sections, file=place.folder.settings)


def _fields(section: Any) -> list[tuple[str, Any]]:
    return list(getattr(section.annotation, "model_fields", {}).items())


def _shown(section: Any, key: str, field: Any) -> tuple[str, str, bool, str]:
    """Key, value in words, whether it is other than unless set, and what it is for."""
    value = getattr(section, key)
    return key, _word(value), value != field.default, field.description or ""


def _word(value: Any) -> str:
    if value is None or value == ():
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return ", ".join(_word(one) for one in value)
    return mask_url(str(value))


ROUTES = [
    Route("/admin/storage", show_storage),
    Route("/admin/storage/collect", collect, methods=["POST"]),
    Route("/admin/health", show_health),
    Route("/admin/settings", show_settings),
]

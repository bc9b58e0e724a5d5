"""What a channel follows: how each mirror stands, syncs as they run, filters with counts, the way there, the schedule."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import date, timedelta
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.audit.events import Action
from headgate.channels.mirror_service import find_mirror, mirror_of
from headgate.channels.mirrors import changed, new
from headgate.channels.model import Channel
from headgate.conda.names import Subdir
from headgate.doors.web.channel import frame
from headgate.doors.web.channels import lines_of
from headgate.doors.web.streams import stream
from headgate.doors.web.viewing import Viewer, anyone, change, large_change, require_typed
from headgate.doors.words import size, span
from headgate.intake.dry_run import dry_run
from headgate.intake.status import mirror_status
from headgate.intake.trial import try_mirror
from headgate.jobs.service import Job
from headgate.kernel.errors import HeadgateError, Invalid, NotFound

_LOOK_S = 0.3
_RECENT = 30
_SYNC = "sync-mirror"
_LISTS = ("only_specs", "exclude_specs", "include_specs", "include_licenses", "exclude_licenses")
_SWITCHES = ("include_dependencies", "dedupe_conda_legacy", "only_signed")
_DAYS = ("date_from", "date_to")


@anyone
async def show_mirrors(viewer: Viewer) -> Response:
    """How each mirror stands, and the sync that runs."""
    channel = viewer.channel()
    found = await mirror_status(viewer.services.core.database, channel)
    job = await _job(viewer, channel, viewer.request.query_params.get("job"))
    return viewer.page(
        "channel_mirrors.html",
        **frame(viewer, channel),
        mirrors=found,
        warnings={one.source.name: viewer.services.routes.warnings(one.source) for one in found},
        resting={one.source.name: viewer.services.routes.resting(one.source) for one in found},
        job=job,
        may_follow=viewer.may(Permission.MIRROR_MANAGE, channel),
    )


@change
async def sync(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Ask for a sync of one mirror, or of all; the page follows it."""
    channel = viewer.channel(Permission.MIRROR_MANAGE)
    mirror = form.get("mirror") or None
    if mirror is not None:
        find_mirror(channel, mirror)
    core = viewer.services.core
    await core.channels.note_wish(viewer.actor, Action.MIRROR_ASK_SYNC, channel.name, subdirs=None, mirror=mirror)
    job = await viewer.services.jobs.sync(viewer.actor, channel.name, mirror=mirror)
    return viewer.go(f"/channels/{channel.name}/mirrors?job={job}")


@anyone
async def follow_sync(viewer: Viewer) -> Response:
    """How far a sync is, as server-sent events."""
    channel = viewer.channel()
    job = await _job(viewer, channel, viewer.request.query_params.get("job", ""))
    if job is None:
        raise NotFound("job-unknown", f"Channel {channel.name} has no such sync.")
    return stream(_states(viewer, job.id))


@anyone
async def show_mirror(viewer: Viewer) -> Response:
    """The settings of one mirror."""
    channel = viewer.channel(Permission.MIRROR_MANAGE)
    source = find_mirror(channel, viewer.request.path_params["name"])
    bundles = await viewer.services.core.authorities.list_bundles()
    return viewer.page(
        "mirror.html",
        **frame(viewer, channel),
        source=source,
        network=source.settings.network,
        filters=source.settings.filters,
        trust=source.settings.signatures,
        schedule=source.settings.schedule,
        warnings=viewer.services.routes.warnings(source),
        bundles=[one.name for one in bundles],
    )


@anyone
async def count_filtered(viewer: Viewer) -> Response:
    """What the filters of a form would hold back, as one types."""
    channel = viewer.channel(Permission.MIRROR_MANAGE)
    source = find_mirror(channel, viewer.request.path_params["name"])
    found, wrong = None, None
    try:
        given = _filters(viewer.request.query_params)
        now = mirror_of(source)
        wanted = changed(now, now, {"settings": {"filters": given}}).settings.filters
        core = viewer.services.core
        found = await dry_run(core.database, source, wanted, None, core.store.folder.scratch)
    except Invalid as error:
        wrong = error.message
    return viewer.part("mirror_counts.html", found=found, wrong=wrong)


@change
async def set_filters(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Keep the filters, and sync, which makes them hold."""
    return await _set(viewer, {"filters": _filters(form)}, "The filters are kept; a sync applies them.", is_synced=True)


@change
async def set_network(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Keep the way there."""
    bundles = tuple(one for one in form if one.startswith("ca:"))
    network = {
        "proxy": form.get("proxy", "").strip() or None,
        "no_proxy": form.get("no_proxy", "").replace(",", " ").split() or None,
        "ca": [one.removeprefix("ca:") for one in bundles],
        "verify": "verify" in form,
    }
    return await _set(viewer, {"network": network}, "The way there is kept. Test it.")


@change
async def set_schedule(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Keep when it is synced by itself."""
    schedule = {"cron": form.get("cron", "").strip(), "timezone": form.get("timezone", "").strip() or "UTC"}
    return await _set(viewer, {"schedule": schedule}, "The schedule is kept.")


@large_change
async def set_trust(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Keep what is checked of its signatures and attestations; a root that is not given stays."""
    trust: dict[str, Any] = {
        key: form.get(key, "").strip() for key in ("content_trust", "attestations", "metadata_url")
    }
    trust["accept_expired"] = "accept_expired" in form
    if root := form.get("root", "").strip():
        trust["root"] = root
    said = "What is checked counts from this sync on."
    return await _set(viewer, {"signatures": trust}, said, is_synced=True)


@change
async def add_mirror(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Follow one more, behind those it has."""
    channel = viewer.channel(Permission.MIRROR_MANAGE)
    subdirs = [Subdir.parse(one) for one in lines_of(form.get("subdirs", ""))]
    wanted = new(form.get("name", "").strip() or None, lines_of(form.get("urls", "")), subdirs or None, {})
    name = await viewer.services.core.mirrors.add(viewer.actor, channel.name, wanted)
    await viewer.services.snapshots.reload()
    return viewer.go(f"/channels/{channel.name}/mirrors/{name}", f"{channel.name} follows {name}, too. Test the way.")


@change
async def remove_mirror(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """What only it has leaves the index: the name is asked for."""
    channel = viewer.channel(Permission.MIRROR_MANAGE)
    name = viewer.request.path_params["name"]
    require_typed(form, name)
    await viewer.services.core.mirrors.remove(viewer.actor, channel.name, name)
    await viewer.services.snapshots.reload()
    return viewer.go(f"/channels/{channel.name}/mirrors", f"{channel.name} follows {name} no longer.")


@change
async def test(viewer: Viewer, _form: Mapping[str, str]) -> Response:
    """Go the way step by step, and say what happened."""
    channel = viewer.channel(Permission.MIRROR_MANAGE)
    source = find_mirror(channel, viewer.request.path_params["name"])
    trials = await try_mirror(viewer.services.routes, source)
    if viewer.is_partial:
        return viewer.part("mirror_trial.html", trials=trials)
    return viewer.page("mirror_trial_alone.html", **frame(viewer, channel), source=source, trials=trials)


async def _set(viewer: Viewer, settings: Mapping[str, Any], said: str, *, is_synced: bool = False) -> Response:
    channel = viewer.channel(Permission.MIRROR_MANAGE)
    name = viewer.request.path_params["name"]
    services = viewer.services
    await services.core.mirrors.set(viewer.actor, channel.name, name, {"settings": settings})
    await services.snapshots.reload()
    path = f"/channels/{channel.name}/mirrors"
    if is_synced:
        job = await services.jobs.sync(viewer.actor, channel.name, mirror=name)
        return viewer.go(f"{path}?job={job}", said)
    return viewer.go(f"{path}/{name}", said)


def _filters(form: Mapping[str, str]) -> dict[str, Any]:
    """The filters of a form, as `mirrors.changed` takes them."""
    given: dict[str, Any] = {
        key: [line.strip() for line in form.get(key, "").splitlines() if line.strip()] for key in _LISTS
    }
    given |= {key: key in form for key in _SWITCHES}
    for key in _DAYS:
        text = form.get(key, "").strip()
        try:
            given[key] = date.fromisoformat(text).isoformat() if text else None
        except ValueError as error:
            raise Invalid("filter-invalid", f"{text[:20]!r} is not a day such as 2026-01-31.") from error
    return given


async def _job(viewer: Viewer, channel: Channel, wanted: str | None) -> Job | None:
    """The sync of this channel that was asked for by its id, or else the one that waits or runs."""
    jobs = viewer.services.jobs
    if wanted:
        try:
            found = await jobs.get_job(wanted)
        except HeadgateError:
            return None
        return found if _is_of(found, channel) else None
    recent = await jobs.list_jobs(kind=_SYNC, limit=_RECENT, offset=0)
    return next((one for one in recent if _is_of(one, channel) and not one.has_ended), None)


def _is_of(job: Job, channel: Channel) -> bool:
    return job.kind == _SYNC and isinstance(job.request, Mapping) and job.request.get("channel") == channel.name


async def _states(viewer: Viewer, job_id: str) -> AsyncIterator[Mapping[str, Any]]:
    while True:
        job = await viewer.services.jobs.get_job(job_id)
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


_MIRROR = "/channels/{channel:path}/mirrors/{name}"
ROUTES = [
    Route("/channels/{channel:path}/mirrors", show_mirrors),
    Route("/channels/{channel:path}/mirrors", add_mirror, methods=["POST"]),
    Route("/channels/{channel:path}/sync", sync, methods=["POST"]),
    Route("/channels/{channel:path}/sync", follow_sync),
    Route(f"{_MIRROR}/counts", count_filtered),
    Route(f"{_MIRROR}/filters", set_filters, methods=["POST"]),
    Route(f"{_MIRROR}/network", set_network, methods=["POST"]),
    Route(f"{_MIRROR}/schedule", set_schedule, methods=["POST"]),
    Route(f"{_MIRROR}/trust", set_trust, methods=["POST"]),
    Route(f"{_MIRROR}/remove", remove_mirror, methods=["POST"]),
    Route(f"{_MIRROR}/test", test, methods=["POST"]),
    Route(_MIRROR, show_mirror),
]

"""What a channel follows: how each mirror stands, syncs as they run, files fetched ahead, what filters hold back."""

from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.audit.events import Action
from headgate.channels.mirror_service import find_mirror
from headgate.channels.mirrors import new
from headgate.channels.model import Channel, Source
from headgate.conda.names import Subdir
from headgate.db.engine import Database
from headgate.doors.web.channel import frame
from headgate.doors.web.channels import lines_of
from headgate.doors.web.following import find_job, is_of, states
from headgate.doors.web.streams import stream
from headgate.doors.web.viewing import Viewer, anyone, change, large_change
from headgate.intake.dry_run import HeldBack, iter_held_back
from headgate.intake.status import mirror_status, require_mirror
from headgate.intake.wanted import find_wanted
from headgate.jobs.service import Job
from headgate.kernel.errors import Invalid, NotFound

_RECENT = 30
_SYNC, _FETCH = "sync-mirror", "fetch-artifacts"
_KINDS = frozenset({_SYNC, _FETCH})
_PACKAGES_AT_ONCE = 50


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
    return stream(states(viewer.services.jobs, job.id))


@large_change
async def fetch_ahead(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Ask for files ahead: those that a text or match specs name, or without them what the mirrors' settings want."""
    channel = viewer.channel(Permission.MIRROR_MANAGE)
    require_mirror(channel)
    specs = [line.strip() for line in form.get("specs", "").splitlines() if line.strip()]
    text = form.get("text", "").strip() or None
    files = await find_wanted(viewer.services.core.database, channel, text, specs)
    detail = {"files": None if files is None else len(files)}
    core = viewer.services.core
    await core.channels.note_wish(viewer.actor, Action.MIRROR_ASK_FETCH, channel.name, **detail)
    job = await viewer.services.jobs.fetch(viewer.actor, channel.name, files)
    return viewer.go(f"/channels/{channel.name}/mirrors?job={job}")


@anyone
async def show_filtered(viewer: Viewer) -> Response:
    """What a mirror's filters hold back, and why; whole packages at a time."""
    channel = viewer.channel()
    source = find_mirror(channel, viewer.request.path_params["name"])
    after = _place(viewer.request.query_params.get("after", ""))
    found, last = await _held_back(viewer.services.core.database, source, after)
    return viewer.page(
        "mirror_filtered.html",
        **frame(viewer, channel),
        source=source,
        found=found,
        is_first=after == ("", ""),
        next=None if last is None else "?" + urlencode({"after": "/".join(last)}),
        may_follow=viewer.may(Permission.MIRROR_MANAGE, channel),
    )


@change
async def add_mirror(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Follow one more, behind those it has."""
    channel = viewer.channel(Permission.MIRROR_MANAGE)
    subdirs = [Subdir.parse(one) for one in lines_of(form.get("subdirs", ""))]
    wanted = new(form.get("name", "").strip() or None, lines_of(form.get("urls", "")), subdirs or None, {})
    name = await viewer.services.core.mirrors.add(viewer.actor, channel.name, wanted)
    await viewer.services.snapshots.reload()
    return viewer.go(f"/channels/{channel.name}/mirrors/{name}", f"{channel.name} follows {name}, too. Test the way.")


async def _held_back(
    database: Database, source: Source, after: tuple[str, str]
) -> tuple[list[HeldBack], tuple[str, str] | None]:
    """The records of the next packages, and the last of these packages where there are more."""
    found: list[HeldBack] = []
    async for batch in iter_held_back(database, source, after):
        found += batch
        if len({(one.subdir, one.package) for one in found}) > _PACKAGES_AT_ONCE:
            break
    packages = list(dict.fromkeys((one.subdir, one.package) for one in found))
    shown = set(packages[:_PACKAGES_AT_ONCE])
    last = packages[_PACKAGES_AT_ONCE - 1] if len(packages) > _PACKAGES_AT_ONCE else None
    return [one for one in found if (one.subdir, one.package) in shown], last


def _place(text: str) -> tuple[str, str]:
    """The last package of the page before. Raises Invalid `cursor-invalid`."""
    subdir, slash, package = text.partition("/")
    if (text and not slash) or "\0" in text:
        raise Invalid("cursor-invalid", "This is no place in the list; begin at its first page.")
    return subdir, package


async def _job(viewer: Viewer, channel: Channel, wanted: str | None) -> Job | None:
    """What was asked for by its id, or else the sync of this channel that waits or runs."""
    jobs = viewer.services.jobs
    if wanted:
        found = await find_job(jobs, wanted, _KINDS)
        return found if found is not None and is_of(found, channel.name) else None
    recent = await jobs.list_jobs(kind=_SYNC, limit=_RECENT, offset=0)
    return next((one for one in recent if is_of(one, channel.name) and not one.has_ended), None)


_MIRRORS = "/channels/{channel:path}/mirrors"
ROUTES = [
    Route(_MIRRORS, show_mirrors),
    Route(_MIRRORS, add_mirror, methods=["POST"]),
    Route("/channels/{channel:path}/sync", sync, methods=["POST"]),
    Route("/channels/{channel:path}/sync", follow_sync),
    Route("/channels/{channel:path}/fetch", fetch_ahead, methods=["POST"]),
    Route(f"{_MIRRORS}/{{name}}/filtered", show_filtered),
]

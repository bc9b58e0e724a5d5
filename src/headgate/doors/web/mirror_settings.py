"""One mirror: its settings, section by section, each a form of its own; what filters would do; the way there, tried."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.channels.mirror_service import find_mirror, mirror_of
from headgate.channels.mirrors import changed
from headgate.channels.model import Channel, Source
from headgate.channels.modes import Mode
from headgate.doors.web import mirror_forms
from headgate.doors.web.channel import frame
from headgate.doors.web.mirror_forms import Change, Form
from headgate.doors.web.toasts import Undo
from headgate.doors.web.viewing import Endpoint, Viewer, anyone, change, large_change, require_typed
from headgate.http.masking import HIDDEN
from headgate.http.s3 import is_s3
from headgate.intake.dry_run import dry_run
from headgate.intake.trial import try_mirror
from headgate.kernel.errors import HeadgateError, Invalid, NotFound, Refused


@dataclass(frozen=True, slots=True)
class Section:
    """A form of the page: how it is read, and what is said once it is kept."""

    read: Callable[[Form, Source], Change]
    said: str
    is_synced: bool = False
    """Whether it takes effect through a sync alone, which is then asked for."""


SECTIONS: Final[Mapping[str, Section]] = {
    "source": Section(mirror_forms.source_of, "Where it is, is kept. Test the way."),
    "files": Section(mirror_forms.files_of, "What happens with files is kept.", is_synced=True),
    "filters": Section(mirror_forms.filters_of, "The filters are kept; a sync applies them.", is_synced=True),
    "network": Section(mirror_forms.network_of, "The way there is kept. Test it."),
    "credentials": Section(mirror_forms.credentials_of, "The credentials are kept. Test the way."),
    "certificate": Section(mirror_forms.certificate_of, "The certificate is kept. Test the way."),
    "s3": Section(mirror_forms.s3_of, "The bucket's settings are kept. Test the way."),
    "limits": Section(mirror_forms.limits_of, "The limits are kept."),
    "schedule": Section(mirror_forms.schedule_of, "The schedule is kept."),
    "trust": Section(mirror_forms.trust_of, "What is checked counts from this sync on.", is_synced=True),
}
MODES: Final[Mapping[Mode, tuple[str, str]]] = {
    Mode.PASSIVE: ("Passive", "A file comes here at the first request for it, and is kept."),
    Mode.ACTIVE: ("Active", "Every file that the index lists is fetched after the sync that brought it."),
    Mode.REDIRECT: ("Redirect", "Files stay upstream; what passes the gate is answered with the way there."),
}


@dataclass(frozen=True, slots=True)
class _Wrong:
    """The section whose form was not taken, what was typed there, and why."""

    section: str = ""
    form: Form | None = None
    error: HeadgateError | None = None


_NOTHING: Final = _Wrong()


@anyone
async def show_mirror(viewer: Viewer) -> Response:
    """The settings of one mirror."""
    channel, source = _found(viewer)
    return await _page(viewer, channel, source)


@anyone
async def count_filtered(viewer: Viewer) -> Response:
    """What the filters of a form would hold back, as one types."""
    _, source = _found(viewer)
    found, wrong = None, None
    try:
        now = mirror_of(source)
        wanted = changed(now, now, mirror_forms.filters_of(viewer.request.query_params, source)).settings.filters
        core = viewer.services.core
        found = await dry_run(core.database, source, wanted, None, core.store.folder.scratch)
    except Invalid as error:
        wrong = error.message
    return viewer.part("mirror_counts.html", found=found, wrong=wrong)


@change
async def remove_mirror(viewer: Viewer, form: Form) -> Response:
    """What only it has leaves the index: the name is asked for."""
    channel = viewer.channel(Permission.MIRROR_MANAGE)
    name = viewer.request.path_params["name"]
    require_typed(form, name)
    await viewer.services.core.mirrors.remove(viewer.actor, channel.name, name)
    await viewer.services.snapshots.reload()
    return viewer.go(f"/channels/{channel.name}/mirrors", f"{channel.name} follows {name} no longer.")


@change
async def test(viewer: Viewer, _form: Form) -> Response:
    """Go the way step by step, and say what happened."""
    channel, source = _found(viewer)
    trials = await try_mirror(viewer.services.routes, source)
    if viewer.is_partial:
        return viewer.part("mirror_trial.html", trials=trials)
    return viewer.page("mirror_trial_alone.html", **frame(viewer, channel), source=source, trials=trials)


def _setter(name: str) -> Endpoint:
    """Keep one section; what is wrong is said beside its form."""

    @large_change
    async def set_section(viewer: Viewer, form: Form) -> Response:
        channel, source = _found(viewer)
        try:
            return await _set(viewer, channel, source, name, form)
        except (Refused, NotFound):
            raise
        except HeadgateError as error:
            return await _page(viewer, channel, source, _Wrong(name, form, error))

    return set_section


async def _set(viewer: Viewer, channel: Channel, source: Source, name: str, form: Form) -> Response:
    services, section, old = viewer.services, SECTIONS[name], source.name or ""
    given = section.read(form, source)
    path = f"/channels/{channel.name}/mirrors"
    if not given:
        return viewer.go(f"{path}/{old}", "Nothing was changed.")
    await services.core.mirrors.set(viewer.actor, channel.name, old, given)
    await services.snapshots.reload()
    new = given.get("name", old)
    undo = _way_back(name, source, f"{path}/{new}")
    if section.is_synced:
        job = await services.jobs.sync(viewer.actor, channel.name, mirror=new)
        return viewer.go(f"{path}?job={job}", section.said, undo)
    return viewer.go(f"{path}/{new}", section.said, undo)


def _way_back(name: str, source: Source, path: str) -> Undo | None:
    """What takes a change back, where nothing secret is needed for it."""
    fetch, fields = source.settings.fetch, dict[str, str]()
    if name == "files":
        fields = {"mode": fetch.mode.value, "newest": str(fetch.newest)} | ({"in_use": "on"} if fetch.in_use else {})
    elif name == "source":
        urls, subdirs = " ".join(source.urls), " ".join(source.subdirs or ())
        fields = {"name": source.name or "", "urls": urls, "subdirs": subdirs}
        if HIDDEN in urls or len(urls) > 1000:
            return None
    return Undo(f"{path}/{name}", fields) if fields else None


def _found(viewer: Viewer) -> tuple[Channel, Source]:
    channel = viewer.channel(Permission.MIRROR_MANAGE)
    return channel, find_mirror(channel, viewer.request.path_params["name"])


async def _page(viewer: Viewer, channel: Channel, source: Source, wrong: _Wrong = _NOTHING) -> Response:
    services, settings = viewer.services, source.settings
    bundles = await services.core.authorities.list_bundles()
    network = settings.network
    return viewer.page(
        "mirror.html",
        200 if wrong.error is None else 422,
        **frame(viewer, channel),
        here=f"/channels/{channel.name}/mirrors/{source.name}",
        source=source,
        network=network,
        fetch=settings.fetch,
        filters=settings.filters,
        trust=settings.signatures,
        schedule=settings.schedule,
        modes=MODES,
        own=services.routes.network,
        signs_in_with=mirror_forms.signs_in_with(source),
        has_bucket=any(is_s3(url) for url in source.urls) or network.s3_endpoint is not None,
        warnings=services.routes.warnings(source),
        bundles=[one.name for one in bundles],
        wrong=wrong,
    )


_MIRROR = "/channels/{channel:path}/mirrors/{name}"
ROUTES = [
    Route(f"{_MIRROR}/counts", count_filtered),
    *(Route(f"{_MIRROR}/{name}", _setter(name), methods=["POST"]) for name in SECTIONS),
    Route(f"{_MIRROR}/remove", remove_mirror, methods=["POST"]),
    Route(f"{_MIRROR}/test", test, methods=["POST"]),
    Route(_MIRROR, show_mirror),
]

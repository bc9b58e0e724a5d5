"""A package in a channel: versions and platforms with their verdicts, what it needs, who needs it, what is known of it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.channels.model import Channel, Privacy
from headgate.channels.sheets import STATES, find_advisories, read_sheet
from headgate.conda.names import PackageName
from headgate.doors.places import package_path
from headgate.doors.web.judging import built_at, traces, world_of
from headgate.doors.web.viewing import Viewer, anyone
from headgate.doors.web.visits import go
from headgate.kernel import clock
from headgate.kernel.errors import NotFound

_MOST_VERSIONS = 20
_MOST_BUILDS = 60
_MONTHS = timedelta(days=90)
_SHOWS = ("passing", "held", "all")


@anyone
async def show_package(viewer: Viewer) -> Response:
    """The page of a package; `?version=` and `?show=held` choose the builds that are listed."""
    return await package_page(viewer)


async def package_page(
    viewer: Viewer, form: Mapping[str, str] | None = None, wrong: tuple[str, str] | None = None
) -> Response:
    """The same; with what was typed into a form of it, and (which form, what was wrong)."""
    channel, name = viewer.channel(), viewer.request.path_params["name"]
    services, world = viewer.services, world_of(viewer)
    sheet = await read_sheet(services.core.database, world, channel, name)
    version = viewer.request.query_params.get("version")
    show = viewer.request.query_params.get("show", "all")
    builds = [
        one
        for one in sheet.builds
        if (version is None or str(one.record.get("version")) == version)
        and (show == "all" or one.verdict.is_passing is (show == "passing"))
    ]
    everything = viewer.request.query_params.get("versions") == "all"
    advised = viewer.may(Permission.ADVISORY_READ, channel)
    return viewer.page(
        "package.html",
        422 if wrong else 200,
        **await _words(viewer, channel, name, form or {}, wrong),
        sheet=sheet,
        channel=channel,
        rows=sheet.versions if everything else sheet.versions[:_MOST_VERSIONS],
        builds=builds[:_MOST_BUILDS],
        found=len(builds),
        version=version,
        show=show if show in _SHOWS else "all",
        advisories=find_advisories(world, sheet) if advised else None,
        dependents=await services.search.list_dependents(channel, name),
        downloads=await _downloads(viewer, channel, name),
        install=install_lines(viewer, channel, name),
        beside=[one for one in await services.search.list_channels(viewer.channels(), name) if one.id != channel.id],
        needs_token=channel.privacy is not Privacy.PUBLIC,
        states=STATES,
        built=built_at,
        held=traces(one for one in sheet.builds[:1] if not one.verdict.is_passing),
    )


async def _words(
    viewer: Viewer, channel: Channel, name: str, form: Mapping[str, str], wrong: tuple[str, str] | None
) -> dict[str, Any]:
    """What people say of it, and what of that the viewer may change. The name is one that the channel has."""
    return {
        "words": await viewer.services.core.life.packages.get(channel, PackageName(name)),
        "may_deprecate": viewer.may(Permission.ARTIFACT_DELETE, channel, name),
        "may_annotate": viewer.may(Permission.ARTIFACT_UPLOAD, channel, name),
        "may_own": viewer.may(Permission.CHANNEL_MANAGE, channel),
        "may_grant": viewer.may(Permission.ACCESS_MANAGE),
        "form": form,
        "wrong": dict([wrong] if wrong else []),
    }


def install_lines(viewer: Viewer, channel: Channel, what: str) -> list[tuple[str, str]]:
    """(client, command) that install it from this channel; a private one with the place where the token goes."""
    token = "" if channel.privacy is Privacy.PUBLIC else "/t/<TOKEN>"
    url = viewer.url(f"{token}/conda/{channel.name}")
    plain = viewer.url(f"/conda/{channel.name}")
    return [
        ("conda", f"conda install --override-channels -c {url} {what}"),
        ("mamba", f"mamba install --override-channels -c {url} {what}"),
        ("pixi", f"pixi workspace channel add {plain} && pixi add {what}"),
    ]


async def _downloads(viewer: Viewer, channel: Channel, name: str) -> list[int]:
    """Per day, the last three months."""
    counts = await viewer.services.audit.downloads.daily(channel.name, clock.now() - _MONTHS, name=name)
    return [one.downloads for one in counts]


@anyone
async def find_package(viewer: Viewer) -> Response:
    """`/packages/numpy`: to its page in the first channel that has it."""
    name = viewer.request.path_params["name"]
    found = await viewer.services.search.list_channels(viewer.channels(), name)
    if not found:
        raise NotFound("package-unknown", f"No channel that you may read has a package {name[:80]}.")
    return go(package_path(found[0].name, name))


ROUTES = [
    Route("/packages/{name}", find_package),
    Route("/packages/{channel:path}/{name}", show_package),
]

"""Records of a channel that pass its policies and still cannot be installed: something that they need is held back."""

from starlette.responses import Response
from starlette.routing import Route

from headgate.channels.consistency import Broken
from headgate.channels.model import Channel
from headgate.channels.revisions import find_broken
from headgate.conda.names import Subdir
from headgate.doors.web.channel import frame
from headgate.doors.web.judging import world_of
from headgate.doors.web.viewing import Viewer, anyone

_MOST_SHOWN = 1_000
_FEW = 2_000
_NOARCH, _USUAL = "noarch", "linux-64"


@anyone
async def show_unsatisfiable(viewer: Viewer) -> Response:
    """Those of a platform and of noarch, each with what it lacks; of many names only when somebody asks."""
    channel = viewer.channel()
    platforms = sorted(name for name in channel.subdirs if name != _NOARCH)
    usual = _USUAL if _USUAL in platforms or not platforms else platforms[0]
    wanted = viewer.request.query_params.get("platform")
    platform = Subdir.parse(wanted or usual)
    has_gate = world_of(viewer).gate_of(channel) is not None
    names = await _names(viewer, channel, platform)
    is_looked = bool(wanted) or names <= _FEW
    found = await _found(viewer, channel, platform) if has_gate and is_looked else []
    return viewer.page(
        "channel_unsatisfiable.html",
        **frame(viewer, channel),
        platform=platform,
        platforms=platforms,
        names=names,
        has_gate=has_gate,
        is_looked=is_looked,
        count=len(found),
        found=found[:_MOST_SHOWN],
    )


async def _names(viewer: Viewer, channel: Channel, platform: str) -> int:
    states = [state for name, state in channel.subdirs.items() if name in {platform, _NOARCH}]
    return sum([len((await viewer.services.maps.get(one)).digests) for one in states])


async def _found(viewer: Viewer, channel: Channel, platform: str) -> list[Broken]:
    """As of the channel's revision and its policies; a look at 600,000 records takes ten seconds, so it is remembered."""
    services, world = viewer.services, world_of(viewer)

    async def look() -> list[Broken]:
        async with services.core.database.read() as connection:
            return await find_broken(connection, world, channel, platform)

    gate = world.gate_of(channel)
    key = ("not installable", channel.id, channel.revision, platform, None if gate is None else gate.digest)
    return await services.reports.recent.get(key, look)


ROUTES = [Route("/channels/{channel:path}/unsatisfiable", show_unsatisfiable)]

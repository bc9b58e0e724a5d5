"""Records of a channel that pass its policies and still cannot be installed: something that they need is held back."""

from starlette.responses import Response
from starlette.routing import Route

from headgate.channels.consistency import Broken
from headgate.channels.revisions import find_broken
from headgate.conda.names import Subdir
from headgate.doors.web.channel import frame
from headgate.doors.web.judging import world_of
from headgate.doors.web.viewing import Viewer, anyone

_MOST_SHOWN = 1_000
_NOARCH, _USUAL = "noarch", "linux-64"


@anyone
async def show_unsatisfiable(viewer: Viewer) -> Response:
    """Those of a platform and of noarch, each with what it lacks."""
    channel = viewer.channel()
    platforms = sorted(name for name in channel.subdirs if name != _NOARCH)
    usual = _USUAL if _USUAL in platforms or not platforms else platforms[0]
    platform = Subdir.parse(viewer.request.query_params.get("platform") or usual)
    world = world_of(viewer)
    gate = world.gate_of(channel)
    found: list[Broken] = []
    if gate is not None:
        async with viewer.services.core.database.read() as connection:
            found = await find_broken(connection, world, channel, platform)
    return viewer.page(
        "channel_unsatisfiable.html",
        **frame(viewer, channel),
        platform=platform,
        platforms=platforms,
        has_gate=gate is not None,
        count=len(found),
        found=found[:_MOST_SHOWN],
    )


ROUTES = [Route("/channels/{channel:path}/unsatisfiable", show_unsatisfiable)]

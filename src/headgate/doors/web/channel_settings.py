"""What is set of a channel: who may read it and what it is for, what it lists, and whom a virtual one shows in which order."""

from collections.abc import Mapping

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.channels.model import Channel
from headgate.conda.names import ChannelName
from headgate.doors.web.channel import flags_of
from headgate.doors.web.channels import lines_of, privacy_of
from headgate.doors.web.toasts import Undo
from headgate.doors.web.viewing import Viewer, change
from headgate.kernel.errors import Invalid


@change
async def set_channel(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Change who may read it, and what it is for; what the form leaves out stays."""
    channel = viewer.channel(Permission.CHANNEL_MANAGE)
    before = {"privacy": channel.privacy.value, "description": channel.settings.description}
    described = {"description": form["description"].strip()} if "description" in form else {}
    await viewer.services.core.channels.set(
        viewer.actor, channel.name, privacy=privacy_of(form, channel.privacy), settings=described
    )
    return await _done(viewer, channel, "Changed.", Undo(f"/channels/{channel.name}/set", before))


@change
async def set_flags(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Change what it lists and how: each box of the form, ticked or not."""
    channel = viewer.channel(Permission.CHANNEL_MANAGE)
    flags = [one.name for one in flags_of(channel)]
    before = {name: "on" for name in flags if getattr(channel.settings, name)}
    wanted = {name: form.get(name) == "on" for name in flags}
    await viewer.services.core.channels.set(viewer.actor, channel.name, settings=wanted)
    return await _done(viewer, channel, "What it lists is changed.", Undo(f"/channels/{channel.name}/flags", before))


@change
async def set_members(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Show these channels, the most trusted first: the order as it was with one moved, taken out, or added at the end."""
    channel = viewer.channel(Permission.CHANNEL_MANAGE)
    before = [one.member for one in channel.sources if one.member is not None]
    members = [ChannelName.parse(one) for one in lines_of(form.get("members", ""))]
    members += [ChannelName.parse(form["more"])] if form.get("more") else []
    if not members or len(set(members)) < len(members):
        raise Invalid("form-invalid", "A virtual channel shows at least one channel, and each once.")
    for one in members:
        viewer.channel(name=one)
    await viewer.services.core.channels.set(viewer.actor, channel.name, members=members)
    undo = Undo(f"/channels/{channel.name}/members", {"members": " ".join(before)})
    return await _done(viewer, channel, f"{channel.name} shows {', then '.join(members)}.", undo)


async def _done(viewer: Viewer, channel: Channel, said: str, undo: Undo) -> Response:
    await viewer.services.snapshots.reload()
    return viewer.go(f"/channels/{channel.name}", said, undo)


ROUTES = [
    Route("/channels/{channel:path}/set", set_channel, methods=["POST"]),
    Route("/channels/{channel:path}/flags", set_flags, methods=["POST"]),
    Route("/channels/{channel:path}/members", set_members, methods=["POST"]),
]

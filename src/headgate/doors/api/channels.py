"""Channels: listed, created, changed, deleted."""

from collections.abc import Iterable

from fastapi import APIRouter

from headgate.access.permissions import Permission
from headgate.access.principals import Principal
from headgate.channels.model import Channel, ChannelKind, ChannelSettings
from headgate.conda.names import ChannelName
from headgate.doors.api.callers import Caller, Managing, Reading, Services, SignedIn, may_read, require
from headgate.doors.api.idempotency import IdempotentRoute
from headgate.doors.api.models_channels import ChannelAnswer, ChannelBody, ChannelChange
from headgate.doors.api.paging import Listing, Paging
from headgate.doors.api.services import ApiServices
from headgate.kernel.errors import Invalid, NotFound

router = APIRouter(tags=["channels"], route_class=IdempotentRoute)


@router.get("/channels")
async def list_channels(caller: Caller, services: Services, page: Paging) -> Listing[ChannelAnswer]:
    """The channels that the caller may read, by name."""
    readable = (channel for channel in services.catalog.all() if may_read(caller, channel))
    channels, following = page.cut_whole(readable, lambda channel: (channel.name,))
    return Listing(items=[shown(channel) for channel in channels], next=following)


@router.post("/channels", status_code=201)
async def create_channel(body: ChannelBody, caller: SignedIn, services: Services) -> ChannelAnswer:
    """Create a channel; one of kind mirror with its mirrors at once."""
    name = ChannelName.parse(body.name)
    require(caller, Permission.CHANNEL_MANAGE, name)
    if body.mirrors and body.kind is not ChannelKind.MIRROR:
        raise Invalid("mirrors-misplaced", "Only a channel of kind mirror has mirrors.")
    await services.core.channels.create(
        caller.actor,
        name,
        body.kind,
        privacy=body.privacy,
        settings=ChannelSettings(**body.settings.given()),
        members=_members(caller, services, body.members),
        mirrors=[one.mirror() for one in body.mirrors],
    )
    await services.snapshots.reload()
    return shown(services.catalog.get(name))


@router.get("/channels/{channel:path}")
async def show_channel(visit: Reading) -> ChannelAnswer:
    """One channel."""
    return shown(visit.channel)


@router.patch("/channels/{channel:path}")
async def change_channel(body: ChannelChange, visit: Managing, services: Services) -> ChannelAnswer:
    """Change what is given."""
    await services.core.channels.set(
        visit.actor,
        visit.channel.name,
        privacy=body.privacy,
        settings=None if body.settings is None else body.settings.given(),
        members=None if body.members is None else _members(visit.principal, services, body.members),
    )
    await services.snapshots.reload()
    return shown(services.catalog.get(visit.channel.name))


@router.delete("/channels/{channel:path}", status_code=204)
async def delete_channel(visit: Managing, services: Services) -> None:
    """Delete a channel with all it lists."""
    await services.core.channels.delete(visit.actor, visit.channel.name)
    await services.snapshots.reload()


def shown(channel: Channel) -> ChannelAnswer:
    """A channel as the API shows it."""
    return ChannelAnswer.model_validate(channel.as_json())


def _members(caller: Principal, services: ApiServices, names: Iterable[str]) -> list[ChannelName]:
    """Only what the caller may read can be shown to others. Raises Refused, NotFound `channel-unknown`."""
    members = [ChannelName.parse(name) for name in names]
    for name in members:
        found = services.catalog.find(name)
        require(caller, Permission.CHANNEL_READ, name, "private" if found is None else found.privacy)
        if found is None:
            raise NotFound("channel-unknown", f"There is no channel {name}.")
    return members

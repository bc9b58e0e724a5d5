"""Who calls, and whether they may: every route asks for one of the types below, so none is open by oversight."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Request

from headgate.access.decisions import decide
from headgate.access.permissions import Permission
from headgate.access.principals import Principal
from headgate.channels.model import Channel
from headgate.doors.api.services import ApiServices
from headgate.kernel.errors import NotFound, Refused

ChannelPath = Annotated[
    str,
    Path(description="Name of a channel; a subchannel's name has a slash in it.", examples=["team", "team/dev"]),
]


def services_of(request: Request) -> ApiServices:
    """What the application was built with."""
    services: ApiServices = request.app.state.services
    return services


Services = Annotated[ApiServices, Depends(services_of)]


async def authenticate(request: Request) -> Principal:
    """The principal of `Authorization` or `X-API-Key`; anonymous without either. Raises BadCredentials."""
    services = services_of(request)
    if not services.snapshots.is_current():
        await services.snapshots.refresh()
    authorization = request.headers.get("authorization")
    if authorization is not None:
        return await services.authenticator.header(authorization)
    key = request.headers.get("x-api-key")
    return services.authenticator.nobody if key is None else services.authenticator.token(key)


Caller = Annotated[Principal, Depends(authenticate)]


def require(
    principal: Principal, permission: Permission, channel: str | None = None, privacy: str | None = None
) -> None:
    """Raises Refused `credentials-needed` or `permission-denied` unless the principal may do that."""
    decision = decide(principal, permission, channel, privacy)
    if not decision.is_allowed:
        raise Refused("credentials-needed" if decision.needs_credentials else "permission-denied", decision.reason)


def may_read(principal: Principal, channel: Channel) -> bool:
    """Whether a list shows the channel to the principal."""
    return decide(principal, Permission.CHANNEL_READ, channel.name, channel.privacy).is_allowed


async def _signed_in(principal: Caller) -> Principal:
    if principal.is_anonymous:
        raise Refused("credentials-needed", "This needs credentials.")
    return principal


SignedIn = Annotated[Principal, Depends(_signed_in)]
"""Somebody; for routes that decide with what is in the body."""


def _on_server(permission: Permission) -> Callable[[Principal], Awaitable[Principal]]:
    async def check(principal: Caller) -> Principal:
        require(principal, permission)
        return principal

    return check


JobManager = Annotated[Principal, Depends(_on_server(Permission.JOB_MANAGE))]
TokenManager = Annotated[Principal, Depends(_on_server(Permission.TOKEN_MANAGE))]


@dataclass(frozen=True, slots=True)
class Visit:
    """A principal at a channel, where they may do what the route is for."""

    principal: Principal
    channel: Channel

    @property
    def actor(self) -> str:
        """How audit events name the principal."""
        return self.principal.actor


def _at_channel(permission: Permission) -> Callable[[str, ApiServices, Principal], Awaitable[Visit]]:
    async def check(channel: ChannelPath, services: Services, principal: Caller) -> Visit:
        found = services.catalog.find(channel)
        # What does not exist is decided as if it were private, so that a refusal tells nobody which it is.
        require(principal, permission, channel, "private" if found is None else found.privacy)
        if found is None:
            raise NotFound("channel-unknown", f"There is no channel {channel}.")
        return Visit(principal, found)

    return check


Reading = Annotated[Visit, Depends(_at_channel(Permission.CHANNEL_READ))]
Managing = Annotated[Visit, Depends(_at_channel(Permission.CHANNEL_MANAGE))]
Mirroring = Annotated[Visit, Depends(_at_channel(Permission.MIRROR_MANAGE))]
Uploading = Annotated[Visit, Depends(_at_channel(Permission.ARTIFACT_UPLOAD))]
Deleting = Annotated[Visit, Depends(_at_channel(Permission.ARTIFACT_DELETE))]

"""Who calls, and whether they may: every route asks for one of the types below, so none is open by oversight."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Request

from headgate.access.authenticate import KEY_HEADERS
from headgate.access.decisions import Decision, decide, decide_for_some
from headgate.access.permissions import Permission
from headgate.access.principals import Principal
from headgate.channels.model import Channel
from headgate.doors.api.services import ApiServices
from headgate.doors.sessions import Visitor
from headgate.kernel.errors import NotFound, Refused

_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
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
    """The principal of the request's credentials; anonymous without any. Raises what `SignIn.principal` raises."""
    services = services_of(request)
    if not services.snapshots.is_current():
        await services.snapshots.refresh()
    return await services.sign_in.principal(request.scope, is_change=request.method not in _HARMLESS)


async def _authenticate_newcomer(request: Request) -> Principal:
    services = services_of(request)
    if not services.snapshots.is_current():
        await services.snapshots.refresh()
    return await services.sign_in.newcomer(request.scope, is_change=request.method not in _HARMLESS)


async def visitor_of(request: Request) -> Visitor | None:
    """Who sits at the browser, when its session alone says who calls."""
    if any(name in request.headers for name in ("authorization", *KEY_HEADERS)):
        return None
    return await services_of(request).cookies.find(request.scope)


Caller = Annotated[Principal, Depends(authenticate)]


def require(
    principal: Principal,
    permission: Permission,
    channel: str | None = None,
    privacy: str | None = None,
    package: str | None = None,
) -> None:
    """Raises Refused `credentials-needed` or `permission-denied` unless the principal may do that."""
    insist(decide(principal, permission, channel, privacy, package))


def insist(decision: Decision) -> None:
    """Raises Refused `credentials-needed` or `permission-denied` unless the decision is a yes."""
    if not decision.is_allowed:
        raise Refused("credentials-needed" if decision.needs_credentials else "permission-denied", decision.reason)


def require_administrator(principal: Principal) -> None:
    """Raises Refused `permission-denied` for others: `access:manage` alone moves no administrator."""
    if not principal.is_administrator:
        raise Refused("permission-denied", "Only an administrator makes, changes or deletes administrators.")


def may_read(principal: Principal, channel: Channel) -> bool:
    """Whether a list shows the channel to the principal."""
    return decide(principal, Permission.CHANNEL_READ, channel.name, channel.privacy).is_allowed


async def _signed_in(principal: Caller) -> Principal:
    if principal.is_anonymous:
        raise Refused("credentials-needed", "This needs credentials.")
    return principal


SignedIn = Annotated[Principal, Depends(_signed_in)]
"""Somebody; for routes that decide with what is in the body."""


async def _signed_in_newcomer(principal: Annotated[Principal, Depends(_authenticate_newcomer)]) -> Principal:
    return await _signed_in(principal)


Newcomer = Annotated[Principal, Depends(_signed_in_newcomer)]
"""Somebody, who may have to change their password first: for routes that let them."""


def _on_server(permission: Permission) -> Callable[[Principal], Awaitable[Principal]]:
    async def check(principal: Caller) -> Principal:
        require(principal, permission)
        return principal

    return check


AccessManager = Annotated[Principal, Depends(_on_server(Permission.ACCESS_MANAGE))]
AuditManager = Annotated[Principal, Depends(_on_server(Permission.AUDIT_MANAGE))]
AuditReader = Annotated[Principal, Depends(_on_server(Permission.AUDIT_READ))]
IncidentManager = Annotated[Principal, Depends(_on_server(Permission.INCIDENT_MANAGE))]
AccessReader = Annotated[Principal, Depends(_on_server(Permission.ACCESS_READ))]
AdvisoryCurating = Annotated[Principal, Depends(_on_server(Permission.ADVISORY_CURATE))]
AdvisoryKeeping = Annotated[Principal, Depends(_on_server(Permission.ADVISORY_MANAGE))]
AdvisoryReading = Annotated[Principal, Depends(_on_server(Permission.ADVISORY_READ))]
PolicyManager = Annotated[Principal, Depends(_on_server(Permission.POLICY_MANAGE))]
PolicyReader = Annotated[Principal, Depends(_on_server(Permission.POLICY_READ))]
Signer = Annotated[Principal, Depends(_on_server(Permission.SIGNING_MANAGE))]
BundleTruster = Annotated[Principal, Depends(_on_server(Permission.BUNDLE_TRUST))]
NetworkManager = Annotated[Principal, Depends(_on_server(Permission.NETWORK_MANAGE))]
JobManager = Annotated[Principal, Depends(_on_server(Permission.JOB_MANAGE))]


@dataclass(frozen=True, slots=True)
class Visit:
    """A principal at a channel, where they may do what the route is for."""

    principal: Principal
    channel: Channel

    @property
    def actor(self) -> str:
        """How audit events name the principal."""
        return self.principal.actor

    def require(self, permission: Permission, package: str | None = None) -> None:
        """Raises Refused unless the principal may do that here, with the package."""
        require(self.principal, permission, self.channel.name, self.channel.privacy, package)


def _at_channel(
    permission: Permission, decided: Callable[[Principal, Permission, str, str], Decision] = decide
) -> Callable[[str, ApiServices, Principal], Awaitable[Visit]]:
    async def check(channel: ChannelPath, services: Services, principal: Caller) -> Visit:
        return visit(services, principal, permission, channel, decided)

    return check


def visit(
    services: ApiServices,
    principal: Principal,
    permission: Permission,
    channel: str,
    decided: Callable[[Principal, Permission, str, str], Decision] = decide,
) -> Visit:
    """The principal at a channel. Raises Refused unless they may do that there, NotFound `channel-unknown`."""
    found = services.catalog.find(channel)
    # What does not exist is decided as if it were private, so that a refusal tells nobody which it is.
    insist(decided(principal, permission, channel, "private" if found is None else found.privacy))
    if found is None:
        raise NotFound("channel-unknown", f"There is no channel {channel}.")
    return Visit(principal, found)


Reading = Annotated[Visit, Depends(_at_channel(Permission.CHANNEL_READ))]
Advised = Annotated[Visit, Depends(_at_channel(Permission.ADVISORY_READ))]
Managing = Annotated[Visit, Depends(_at_channel(Permission.CHANNEL_MANAGE))]
Mirroring = Annotated[Visit, Depends(_at_channel(Permission.MIRROR_MANAGE))]
# With some package: the route asks again when it knows which.
Uploading = Annotated[Visit, Depends(_at_channel(Permission.ARTIFACT_UPLOAD, decide_for_some))]
Deleting = Annotated[Visit, Depends(_at_channel(Permission.ARTIFACT_DELETE, decide_for_some))]


async def _exporting(visit: Annotated[Visit, Depends(_at_channel(Permission.BUNDLE_EXPORT))]) -> Visit:
    # A bundle holds what its maker could have read and downloaded.
    visit.require(Permission.CHANNEL_READ)
    visit.require(Permission.ARTIFACT_DOWNLOAD)
    return visit


Exporting = Annotated[Visit, Depends(_exporting)]

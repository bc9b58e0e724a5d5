"""Why somebody may do something, or may not."""

from typing import Annotated

from fastapi import APIRouter, Query

from headgate.access.decisions import decide
from headgate.access.permissions import Permission
from headgate.access.principals import Principal
from headgate.conda.names import ChannelName, PackageName
from headgate.doors.api.callers import Services, SignedIn, require
from headgate.doors.api.models import Name
from headgate.doors.api.models_access import ExplainAnswer, shown_grant
from headgate.kernel.errors import NotFound

router = APIRouter(tags=["access"])


@router.get("/access/explain")
async def explain_access(
    caller: SignedIn,
    services: Services,
    permission: Permission,
    user: Annotated[Name | None, Query(description="Left out: the caller, with the token in use.")] = None,
    channel: Annotated[str | None, Query(description="Left out: the server itself.")] = None,
    package: Annotated[str | None, Query(description="Left out: whatever the package.")] = None,
) -> ExplainAnswer:
    """Whether a user may do something, and which grants say so. Everybody may ask about themselves."""
    principal = _subject(services, caller, user)
    place = None if channel is None else ChannelName.parse(channel)
    name = None if package is None else PackageName.parse(package)
    decision = decide(principal, permission, place, _privacy(services, place), name)
    return ExplainAnswer(
        user=principal.name,
        permission=permission,
        channel=place,
        package=name,
        is_allowed=decision.is_allowed,
        reason=decision.reason,
        decided_by=None if decision.decided_by is None else shown_grant(decision.decided_by),
        beaten=[shown_grant(grant) for grant in decision.beaten],
    )


def _subject(services: Services, caller: Principal, user: str | None) -> Principal:
    if user is None or user == caller.name:
        return caller
    require(caller, Permission.ACCESS_READ)
    found = services.authenticator.find(user)
    if found is None:
        raise NotFound("user-unknown", f"There is no user {user}.")
    return found


def _privacy(services: Services, channel: ChannelName | None) -> str | None:
    """What does not exist is decided as if it were private."""
    if channel is None:
        return None
    found = services.catalog.find(channel)
    return "private" if found is None else found.privacy

"""Tokens: listed, created, revoked."""

from datetime import timedelta

from fastapi import APIRouter

from headgate.access.decisions import decide_token
from headgate.access.principals import Principal
from headgate.conda.names import ChannelName
from headgate.doors.api.bodies import BoundedRoute
from headgate.doors.api.callers import Services, TokenManager
from headgate.doors.api.models import NewTokenAnswer, TokenAnswer, TokenBody
from headgate.doors.api.paging import Listing, Paging
from headgate.kernel import clock
from headgate.kernel.errors import Refused

# Not idempotent by key: the answer holds a secret, which is kept nowhere. A token's name is what it cannot have twice.
router = APIRouter(tags=["tokens"], route_class=BoundedRoute)


@router.get("/tokens")
async def list_tokens(_caller: TokenManager, services: Services, page: Paging) -> Listing[TokenAnswer]:
    """Every token by user and name, revoked ones included."""
    tokens, following = page.cut_whole(
        sorted(await services.core.access.list_tokens(), key=lambda one: (one.user, one.name)),
        lambda one: (one.user, one.name),
    )
    return Listing(items=[TokenAnswer.model_validate(one) for one in tokens], next=following)


@router.post("/tokens", status_code=201)
async def create_token(body: TokenBody, caller: TokenManager, services: Services) -> NewTokenAnswer:
    """Create a token. Its text is in this answer and nowhere else; a token makes none that allows more than itself."""
    lifetime = None if body.expires_days is None else timedelta(days=body.expires_days)
    channels = None if body.channels is None else [ChannelName.parse(name) for name in body.channels]
    _check_scope(caller, body, lifetime)
    token, text = await services.core.access.create_token(
        caller.actor,
        caller.name if body.user is None else body.user,
        body.name,
        permissions=body.permissions,
        channels=channels,
        lifetime=lifetime,
    )
    await services.snapshots.reload()
    return NewTokenAnswer(**TokenAnswer.model_validate(token).model_dump(), token=text)


@router.delete("/tokens/{user}/{name}", status_code=204)
async def revoke_token(caller: TokenManager, services: Services, user: str, name: str) -> None:
    """End a token at once; its name is free again."""
    await services.core.access.revoke_token(caller.actor, user, name)
    await services.snapshots.reload()


def _check_scope(caller: Principal, body: TokenBody, lifetime: timedelta | None) -> None:
    expires_at = None if lifetime is None else clock.now() + lifetime
    decision = decide_token(caller, body.permissions, body.channels, expires_at)
    if not decision.is_allowed:
        raise Refused("permission-denied", decision.reason)

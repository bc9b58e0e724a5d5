"""Tokens: listed, created, revoked."""

from datetime import timedelta

from fastapi import APIRouter

from headgate.access.decisions import Decision, decide_token, decide_tokens_of
from headgate.access.grants import parse_channel_pattern
from headgate.access.principals import Principal
from headgate.doors.api.bodies import BoundedRoute
from headgate.doors.api.callers import Services, SignedIn, insist
from headgate.doors.api.models import NewTokenAnswer, TokenAnswer, TokenBody
from headgate.doors.api.models_access import NamePath
from headgate.doors.api.paging import Listing, Paging
from headgate.doors.api.services import ApiServices
from headgate.kernel import clock

# Not idempotent by key: the answer holds a secret, which is kept nowhere. A token's name is what it cannot have twice.
router = APIRouter(tags=["tokens"], route_class=BoundedRoute)


@router.get("/tokens")
async def list_tokens(caller: SignedIn, services: Services, page: Paging) -> Listing[TokenAnswer]:
    """The caller's tokens, or everybody's for who may manage tokens; by user and name, revoked ones included."""
    insist(decide_tokens_of(caller, caller))
    owner = None if decide_tokens_of(caller, None).is_allowed else caller.name
    found = await services.core.access.list_tokens(user=owner)
    tokens, following = page.cut_whole(
        sorted(found, key=lambda one: (one.user, one.name)), lambda one: (one.user, one.name)
    )
    return Listing(items=[TokenAnswer.model_validate(one) for one in tokens], next=following)


@router.post("/tokens", status_code=201)
async def create_token(body: TokenBody, caller: SignedIn, services: Services) -> NewTokenAnswer:
    """Create a token, of one's own unless one may manage tokens. Its text is in this answer and nowhere else.

    Whatever it says, a token allows what its owner may when it is used; and one made with a token no more than that.
    """
    user = caller.name if body.user is None else body.user
    insist(_decide(services, caller, user))
    lifetime = None if body.expires_days is None else timedelta(days=body.expires_days)
    channels = None if body.channels is None else [parse_channel_pattern(name) for name in body.channels]
    _check_scope(caller, body, lifetime)
    token, text = await services.core.access.create_token(
        caller.actor,
        user,
        body.name,
        permissions=body.permissions,
        channels=channels,
        lifetime=lifetime,
    )
    await services.snapshots.reload()
    return NewTokenAnswer(**TokenAnswer.model_validate(token).model_dump(), token=text)


@router.delete("/tokens/{user}/{name:path}", status_code=204)
async def revoke_token(caller: SignedIn, services: Services, user: NamePath, name: NamePath) -> None:
    """End a token at once; its name is free again. Of others only for who may manage tokens."""
    insist(_decide(services, caller, user))
    await services.core.access.revoke_token(caller.actor, user, name)
    await services.snapshots.reload()


def _check_scope(caller: Principal, body: TokenBody, lifetime: timedelta | None) -> None:
    expires_at = None if lifetime is None else clock.now() + lifetime
    insist(decide_token(caller, body.permissions, body.channels, expires_at))


def _decide(services: ApiServices, caller: Principal, user: str) -> Decision:
    return decide_tokens_of(caller, services.authenticator.find(user))

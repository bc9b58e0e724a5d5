"""Tokens: listed, created, rotated, revoked."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query

from headgate.access.addresses import parse_ranges
from headgate.access.decisions import Decision, decide_token, decide_tokens_of
from headgate.access.grants import parse_channel_pattern
from headgate.access.permissions import ScopeAction
from headgate.access.principals import Principal
from headgate.access.tokens import Token, TokenWish
from headgate.doors.api.bodies import BoundedRoute
from headgate.doors.api.callers import Services, SignedIn, insist
from headgate.doors.api.models import Name, Text
from headgate.doors.api.models_access import NamePath
from headgate.doors.api.models_tokens import NewTokenAnswer, RotationBody, TokenAnswer, TokenBody
from headgate.doors.api.paging import Listing, Paging
from headgate.doors.api.services import ApiServices
from headgate.kernel.errors import NotFound

# Not idempotent by key: the answer holds a secret, which is kept nowhere. A token's name is what it cannot have twice.
router = APIRouter(tags=["tokens"], route_class=BoundedRoute)

TokenPath = Annotated[int, Path(alias="id", ge=1, lt=1 << 62, examples=[12])]


@router.get("/tokens")
async def list_tokens(
    caller: SignedIn,
    services: Services,
    page: Paging,
    user: Annotated[Name | None, Query(description="Only theirs.")] = None,
    name: Annotated[Name | None, Query(description="Only those of that name.")] = None,
    channel: Annotated[Text | None, Query(description="Only those that are limited to it.")] = None,
    is_live: Annotated[bool | None, Query(description="Only those that can be used, or that cannot.")] = None,
) -> Listing[TokenAnswer]:
    """The caller's tokens, or everybody's for who may manage tokens; by user and name, revoked ones included."""
    insist(decide_tokens_of(caller, caller))
    if not decide_tokens_of(caller, None).is_allowed:
        if user not in {None, caller.name}:
            insist(decide_tokens_of(caller, None))
        user = caller.name
    found = await services.core.access.tokens.list(user=user, name=name, channel=channel)
    chosen = (one for one in found if is_live is None or one.is_live is is_live)
    tokens, following = page.cut_whole(
        sorted(chosen, key=lambda one: (one.user, one.name)), lambda one: (one.user, one.name)
    )
    return Listing(items=[TokenAnswer.model_validate(one) for one in tokens], next=following)


@router.post("/tokens", status_code=201)
async def create_token(body: TokenBody, caller: SignedIn, services: Services) -> NewTokenAnswer:
    """Create a token, of one's own unless one may manage tokens. Its text is in this answer and nowhere else.

    Whatever it says, a token allows what its owner may when it is used; and one made with a token no more than that.
    """
    user = caller.name if body.user is None else body.user
    insist(_decide(services, caller, user))
    tokens = services.core.access.tokens
    wish = TokenWish(
        body.name,
        body.permissions,
        None if body.channels is None else [parse_channel_pattern(name) for name in body.channels],
        None if body.addresses is None else parse_ranges(body.addresses),
        days=body.expires_days if "expires_days" in body.model_fields_set else "usual",
        latest=_latest(caller),
        text=body.text,
    )
    expires_at = tokens.expiry(wish.days, wish.latest)
    insist(decide_token(caller, wish.permissions, wish.channels, expires_at, wish.addresses))
    return await _told(services, *await tokens.create(caller.actor, user, wish))


@router.post("/tokens/{id}/rotate")
async def rotate_token(body: RotationBody, caller: SignedIn, services: Services, number: TokenPath) -> NewTokenAnswer:
    """Give a token a new text and a new life, as long as its last; the old text is good until the overlap ends.

    Who rotates it gets its text, and so must be one who could make it.
    """
    token = await _managed(services, caller, number)
    latest = _latest(caller)
    actions = None if token.permissions is None else [ScopeAction(one) for one in token.permissions]
    expires_at = None if token.expires_at is None else latest or token.expires_at
    insist(decide_token(caller, actions, token.channels, expires_at, token.addresses))
    overlap = timedelta(hours=body.overlap_hours)
    return await _told(services, *await services.core.access.tokens.rotate(caller.actor, number, overlap, latest))


@router.delete("/tokens/{id}", status_code=204)
async def revoke_token_by_id(caller: SignedIn, services: Services, number: TokenPath) -> None:
    """End a token at once; its name is free again. Of others only for who may manage tokens."""
    await _managed(services, caller, number)
    await services.core.access.tokens.revoke_number(caller.actor, number)
    await services.snapshots.reload()


@router.delete("/tokens/{user}/{name:path}", status_code=204)
async def revoke_token(caller: SignedIn, services: Services, user: NamePath, name: NamePath) -> None:
    """End a token at once; its name is free again. Of others only for who may manage tokens."""
    insist(_decide(services, caller, user))
    await services.core.access.tokens.revoke(caller.actor, user, name)
    await services.snapshots.reload()


async def _managed(services: ApiServices, caller: Principal, number: int) -> Token:
    """A token that the caller manages. Who manages no others learns not whether it is there."""
    try:
        token = await services.core.access.tokens.get(number)
    except NotFound:
        insist(decide_tokens_of(caller, None))
        raise
    insist(_decide(services, caller, token.user))
    return token


async def _told(services: ApiServices, token: Token, text: str) -> NewTokenAnswer:
    await services.snapshots.reload()
    return NewTokenAnswer(**TokenAnswer.model_validate(token).model_dump(), token=text)


def _latest(caller: Principal) -> datetime | None:
    """When the token in use ends: what is made with it ends no later."""
    return None if caller.token is None else caller.token.expires_at


def _decide(services: ApiServices, caller: Principal, user: str) -> Decision:
    return decide_tokens_of(caller, services.authenticator.find(user))

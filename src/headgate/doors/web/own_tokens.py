"""One's own tokens: made, given a new text, revoked. A text is shown on the answer, and nowhere else."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.addresses import parse_ranges
from headgate.access.decisions import decide_token
from headgate.access.grants import parse_channel_pattern
from headgate.access.permissions import ScopeAction
from headgate.access.tokens import Token, TokenWish
from headgate.doors.web.fields import words_in
from headgate.doors.web.viewing import Viewer, change
from headgate.doors.web.visits import HOME
from headgate.kernel import clock
from headgate.kernel.errors import HeadgateError, Invalid, Refused

SAID: Mapping[ScopeAction, str] = {
    ScopeAction.VIEW: "read channels and download",
    ScopeAction.ADD: "upload",
    ScopeAction.PROMOTE: "promote, and decide on requests",
    ScopeAction.DELETE: "remove files",
    ScopeAction.ADMIN: "manage channels, mirrors and access",
}
_OVERLAP = timedelta(hours=24)
_MOST_DAYS = 3650


@change
async def create_token(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Make one; what is wrong is said beside the form."""
    try:
        made = await create_for(viewer, viewer.principal.name, form)
    except HeadgateError as error:
        return await account_page(viewer, form=form, wrong=error.message)
    return await account_page(viewer, made=made)


async def create_for(viewer: Viewer, user: str, form: Mapping[str, str]) -> tuple[Token, str]:
    """A token for somebody, with its text. Raises Refused unless the viewer may do all that it may, and Invalid."""
    tokens = viewer.services.core.access.tokens
    wish = token_wish(form)
    expires_at = tokens.expiry(wish.days)
    decision = decide_token(viewer.principal, wish.permissions, wish.channels, expires_at, wish.addresses)
    if not decision.is_allowed:
        raise Refused("permission-denied", decision.reason)
    made = await tokens.create(viewer.actor, user, wish)
    await viewer.services.snapshots.reload()
    return made


@change
async def rotate_token(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """A new text; the old one is good for another day."""
    token = await viewer.services.core.access.tokens.get_live(viewer.principal.name, form.get("name", ""))
    if token.expires_at is None and not viewer.principal.is_administrator:
        raise Refused("permission-denied", "Only an administrator renews tokens that never end.")
    made = await viewer.services.core.access.tokens.rotate(viewer.actor, token.id, _OVERLAP)
    await viewer.services.snapshots.reload()
    return await account_page(viewer, made=made)


@change
async def revoke_token(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """End one at once."""
    name, token = viewer.principal.name, form.get("name", "")
    await viewer.services.core.access.tokens.revoke(name, name, token)
    await viewer.services.snapshots.reload()
    return viewer.go(HOME, f"Token {token} is revoked.")


async def account_page(
    viewer: Viewer,
    *,
    made: tuple[Token, str] | None = None,
    form: Mapping[str, str] | None = None,
    wrong: str | None = None,
) -> Response:
    """The account; with a token that was just made, or what was wrong with one."""
    core, name = viewer.services.core, viewer.principal.name
    return viewer.page(
        "account.html",
        422 if wrong else 200,
        sessions=await core.sessions.list_sessions(name),
        tokens=[one for one in await core.access.tokens.list(user=name) if _is_open(one, clock.now())],
        actions=SAID,
        made=made,
        form=form or {},
        wrong=wrong,
    )


def _is_open(token: Token, now: datetime) -> bool:
    return token.revoked_at is None and (token.expires_at is None or token.expires_at > now)


def token_wish(form: Mapping[str, str]) -> TokenWish:
    """A token as a form describes it; no box ticked: whatever its owner may."""
    name = form.get("name", "").strip()
    if not 1 <= len(name) <= 64 or not name.isprintable():
        raise Invalid("form-invalid", "Give the token a name of 1 to 64 characters.")
    actions = [one for one in ScopeAction if form.get(f"may:{one}") == "on"]
    channels = [parse_channel_pattern(one) for one in words_in(form.get("channels", ""))]
    addresses = parse_ranges(words_in(form.get("addresses", "")))
    days = None if form.get("is_endless") == "on" else _days(form.get("days", ""))
    text = form.get("text", "").strip() or None
    return TokenWish(name, actions or None, channels or None, addresses or None, days=days, text=text)


def _days(text: str) -> int:
    text = text.strip() or "90"
    if not text.isascii() or not text.isdecimal() or len(text) > 5 or not 1 <= int(text) <= _MOST_DAYS:
        raise Invalid("form-invalid", f"A token lives from 1 to {_MOST_DAYS} days.")
    return int(text)


ROUTES = [
    Route("/account/tokens", create_token, methods=["POST"]),
    Route("/account/tokens/rotate", rotate_token, methods=["POST"]),
    Route("/account/tokens/revoke", revoke_token, methods=["POST"]),
]

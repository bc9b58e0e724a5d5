"""Everybody's tokens: whose, for what, until when, last used; made, given a new text, ended. A text is shown once."""

from collections.abc import Mapping
from datetime import timedelta

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.decisions import decide_token, decide_tokens_of
from headgate.access.permissions import Permission, ScopeAction
from headgate.access.tokens import Token
from headgate.doors.web.admin import admin_page
from headgate.doors.web.fields import id_of, number_in
from headgate.doors.web.own_tokens import SAID, create_for
from headgate.doors.web.viewing import Viewer, change, signed_in
from headgate.kernel.errors import HeadgateError, NotFound, Refused

_HERE = "/admin/tokens"
_USUAL_OVERLAP_HOURS, _MOST_OVERLAP_HOURS = 24, 24 * 30


@signed_in
async def show_tokens(viewer: Viewer) -> Response:
    """Those that can be used; filtered as one types, by user, name, prefix, `is:unused` and `is:endless`."""
    return await _page(viewer, {"user": viewer.request.query_params.get("for", "")})


def _fits(token: Token, term: str) -> bool:
    key, colon, value = term.lower().partition(":")
    if colon and key == "user":
        return value in token.user.lower()
    if colon and key == "is":
        return {"unused": token.used_at is None, "endless": token.expires_at is None}.get(value, False)
    return any(term.lower() in text.lower() for text in (token.user, token.name, token.prefix))


@signed_in
async def show_token(viewer: Viewer) -> Response:
    """One, without its text."""
    return _token_page(viewer, await _managed(viewer))


@change
async def create_token(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """For a person or a service account; what is wrong is said beside the form."""
    viewer.require(Permission.TOKEN_MANAGE)
    user = form.get("user", "").strip()
    _require_manager(viewer, user)
    try:
        made, text = await create_for(viewer, user, form)
    except HeadgateError as error:
        return await _page(viewer, form, error.message)
    return _token_page(viewer, made, text)


@change
async def rotate_token(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """A new text and a new life; the old text is good until the overlap ends."""
    token = await _managed(viewer)
    actions = None if token.permissions is None else [ScopeAction(one) for one in token.permissions]
    decision = decide_token(viewer.principal, actions, token.channels, token.expires_at, token.addresses)
    if not decision.is_allowed:
        raise Refused("permission-denied", decision.reason)
    try:
        hours = number_in(form, "overlap_hours", "Hours of overlap", 0, _MOST_OVERLAP_HOURS)
        overlap = timedelta(hours=hours)
        made, text = await viewer.services.core.access.tokens.rotate(viewer.actor, token.id, overlap)
    except HeadgateError as error:
        return _token_page(viewer, token, wrong=error.message)
    await viewer.services.snapshots.reload()
    return _token_page(viewer, made, text)


@change
async def revoke_token(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """At once, for good."""
    text = form.get("id", "")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise NotFound("token-unknown", f"There is no live token {text[:20]!r}.")
    tokens = viewer.services.core.access.tokens
    viewer.require(Permission.TOKEN_MANAGE)
    token = await tokens.get(int(text))
    _require_manager(viewer, token.user)
    await tokens.revoke_number(viewer.actor, token.id)
    await viewer.services.snapshots.reload()
    then = form.get("then", "")
    return viewer.go(then if then.startswith("/admin/") else _HERE, f"Token {token.name} of {token.user} is revoked.")


async def _managed(viewer: Viewer) -> Token:
    """The token that the path names, where they manage it."""
    viewer.require(Permission.TOKEN_MANAGE)
    token = await viewer.services.core.access.tokens.get(id_of(viewer.request.path_params["id"]))
    _require_manager(viewer, token.user)
    return token


def _require_manager(viewer: Viewer, user: str) -> None:
    decision = decide_tokens_of(viewer.principal, viewer.services.authenticator.find(user))
    if not decision.is_allowed:
        raise Refused("permission-denied", decision.reason)


async def _page(viewer: Viewer, form: Mapping[str, str], wrong: str | None = None) -> Response:
    viewer.require(Permission.TOKEN_MANAGE)
    wanted = viewer.request.query_params.get("q", "")
    access = viewer.services.core.access
    found = [
        token
        for token in await access.tokens.list()
        if token.is_live and all(_fits(token, term) for term in wanted.split())
    ]
    users = await access.users.list_users() if viewer.may(Permission.ACCESS_READ) else []
    return admin_page(
        viewer,
        "tokens.html",
        _HERE,
        status=422 if wrong else 200,
        part="tokens_found.html",
        wanted=wanted,
        tokens=found,
        users=users,
        actions=SAID,
        form=form,
        wrong=wrong,
    )


def _token_page(viewer: Viewer, token: Token, text: str | None = None, wrong: str | None = None) -> Response:
    status, hours = 422 if wrong else 200, _USUAL_OVERLAP_HOURS
    return admin_page(
        viewer, "token.html", _HERE, status=status, token=token, text=text, wrong=wrong, hours=hours,
        most_hours=_MOST_OVERLAP_HOURS,
    )  # fmt: skip


ROUTES = [
    Route(_HERE, show_tokens),
    Route(_HERE, create_token, methods=["POST"]),
    Route(f"{_HERE}/revoke", revoke_token, methods=["POST"]),
    Route(f"{_HERE}/{{id:int}}", show_token),
    Route(f"{_HERE}/{{id:int}}/rotate", rotate_token, methods=["POST"]),
]

"""Everybody's tokens: whose, for what, until when, last used; and their end."""

from collections.abc import Mapping

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.decisions import decide_tokens_of
from headgate.access.permissions import Permission
from headgate.access.tokens import Token
from headgate.doors.web.admin import admin_page
from headgate.doors.web.viewing import Viewer, change, signed_in
from headgate.kernel.errors import NotFound, Refused

_HERE = "/admin/tokens"


@signed_in
async def show_tokens(viewer: Viewer) -> Response:
    """Those that can be used; filtered as one types, by user, name, prefix, `is:unused` and `is:endless`."""
    viewer.require(Permission.TOKEN_MANAGE)
    wanted = viewer.request.query_params.get("q", "")
    found = [
        token
        for token in await viewer.services.core.access.tokens.list()
        if token.is_live and all(_fits(token, term) for term in wanted.split())
    ]
    return admin_page(viewer, "tokens.html", _HERE, part="tokens_found.html", wanted=wanted, tokens=found)


def _fits(token: Token, term: str) -> bool:
    key, colon, value = term.lower().partition(":")
    if colon and key == "user":
        return value in token.user.lower()
    if colon and key == "is":
        return {"unused": token.used_at is None, "endless": token.expires_at is None}.get(value, False)
    return any(term.lower() in text.lower() for text in (token.user, token.name, token.prefix))


@change
async def revoke_token(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """At once, for good."""
    text = form.get("id", "")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise NotFound("token-unknown", f"There is no live token {text[:20]!r}.")
    tokens = viewer.services.core.access.tokens
    viewer.require(Permission.TOKEN_MANAGE)
    token = await tokens.get(int(text))
    decision = decide_tokens_of(viewer.principal, viewer.services.authenticator.find(token.user))
    if not decision.is_allowed:
        raise Refused("permission-denied", decision.reason)
    await tokens.revoke_number(viewer.actor, token.id)
    await viewer.services.snapshots.reload()
    then = form.get("then", "")
    return viewer.go(then if then.startswith("/admin/") else _HERE, f"Token {token.name} of {token.user} is revoked.")


ROUTES = [Route("/admin/tokens", show_tokens), Route("/admin/tokens/revoke", revoke_token, methods=["POST"])]

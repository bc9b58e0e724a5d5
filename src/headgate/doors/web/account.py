"""One's own account: who is signed in, where else, and with which tokens."""

from collections.abc import Mapping

from starlette.responses import Response
from starlette.routing import Route

from headgate.doors.web.viewing import Viewer, change, signed_in
from headgate.doors.web.visits import HOME
from headgate.kernel import clock


@signed_in
async def show_account(viewer: Viewer) -> Response:
    """Name, sessions, tokens."""
    core, name = viewer.services.core, viewer.principal.name
    now = clock.now()
    tokens = [
        token
        for token in await core.access.tokens.list(user=name)
        if token.revoked_at is None and (token.expires_at is None or token.expires_at > now)
    ]
    sessions = await core.sessions.list_sessions(name)
    return viewer.page("account.html", sessions=sessions, tokens=tokens)


@change
async def end_own_session(viewer: Viewer, _form: Mapping[str, str]) -> Response:
    """End one of one's own sessions."""
    name = viewer.principal.name
    await viewer.services.core.sessions.end(name, name, viewer.request.path_params["id"])
    await viewer.services.snapshots.reload()
    return viewer.go(HOME, "The session has ended; that browser has to sign in again.")


@change
async def revoke_own_token(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Revoke one of one's own tokens."""
    name, token = viewer.principal.name, form.get("name", "")
    await viewer.services.core.access.tokens.revoke(name, name, token)
    await viewer.services.snapshots.reload()
    return viewer.go(HOME, f"Token {token} is revoked.")


ROUTES = [
    Route("/account", show_account),
    Route("/account/sessions/{id:int}/end", end_own_session, methods=["POST"]),
    Route("/account/tokens/revoke", revoke_own_token, methods=["POST"]),
]

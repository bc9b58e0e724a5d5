"""One's own account: who is signed in, where else, and with which tokens."""

from starlette.requests import Request
from starlette.responses import Response

from headgate.doors.web.visits import HOME, find_visitor, go, go_sign_in, page_of, read_change, services_of
from headgate.kernel import clock


async def show_account(request: Request) -> Response:
    """Name, sessions, tokens."""
    visitor = await find_visitor(request)
    if visitor is None:
        return go_sign_in(HOME)
    core, name = services_of(request).core, visitor.principal.name
    now = clock.now()
    tokens = [
        token
        for token in await core.access.tokens.list(user=name)
        if token.revoked_at is None and (token.expires_at is None or token.expires_at > now)
    ]
    sessions = await core.sessions.list_sessions(name)
    return page_of(request, visitor, "account.html", sessions=sessions, tokens=tokens)


async def end_own_session(request: Request) -> Response:
    """End one of one's own sessions."""
    change = await read_change(request)
    if change is None:
        return go_sign_in(HOME)
    services, name = services_of(request), change[0].principal.name
    await services.core.sessions.end(name, name, request.path_params["id"])
    await services.snapshots.reload()
    return go(HOME)


async def revoke_own_token(request: Request) -> Response:
    """Revoke one of one's own tokens."""
    change = await read_change(request)
    if change is None:
        return go_sign_in(HOME)
    (visitor, form), services = change, services_of(request)
    await services.core.access.tokens.revoke(visitor.principal.name, visitor.principal.name, form.get("name", ""))
    await services.snapshots.reload()
    return go(HOME)

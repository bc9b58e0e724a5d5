"""Signing in with a password, and signing out."""

from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from headgate.access.authenticate import BadCredentials
from headgate.access.lockout import SignInLocked
from headgate.doors.problems import status_of
from headgate.doors.web.password import password_form
from headgate.doors.web.visits import (
    beginning_of,
    end_session,
    find_visitor,
    go,
    let_in,
    local_path,
    own_url,
    page,
    read_change,
    read_form,
    services_of,
)


async def show_sign_in(request: Request) -> Response:
    """The sign-in page; `?next=` is where to go on, `?provider=` leads to that provider without a click."""
    path = local_path(request.query_params.get("next"))
    if await find_visitor(request) is not None:
        return go(path)
    names = await services_of(request).oidc.providers.list_names()
    wanted = request.query_params.get("provider")
    if wanted in names:
        return go(f"/oidc/{wanted}/sign-in?next={quote(path, safe='')}")
    return await _form(request, path)


async def sign_in(request: Request) -> Response:
    """Check name and password."""
    services = services_of(request)
    services.cookies.check_origin(request.scope)
    if not services.snapshots.is_current():
        await services.snapshots.refresh()
    form = await read_form(request)
    path, name, password = local_path(form.get("next")), form.get("name", "").strip(), form.get("password", "")
    if not name or not password:
        return await _form(request, path, name, "Give a name and a password.", 422)
    try:
        principal = await services.sign_in.password(request.scope, name, password)
    except SignInLocked as error:
        answer = await _form(request, path, name, error.message, status_of(error))
        answer.headers["retry-after"] = str(error.retry_after_s)
        return answer
    except BadCredentials as error:
        return await _form(request, path, name, error.message, 403)
    if principal.must_change_password:
        return password_form(path, name, "This password was chosen by somebody else. Choose one of your own.", 403)
    return await let_in(request, principal.name, beginning_of(request), path)


async def sign_out(request: Request) -> Response:
    """End the session, and say how to sign out of the provider, too."""
    change = await read_change(request)
    if change is None:
        return go("/sign-in")
    services, (visitor, _) = services_of(request), change
    session = visitor.session
    id_token = await services.core.sessions.find_id_token(session.id)
    farewell = await services.oidc.farewell(session.method, id_token, own_url(request, "/sign-in"))
    await end_session(request, visitor.principal.name, session)
    await services.snapshots.reload()
    answer = page("signed_out.html", farewell=farewell, provider=session.method.partition(":")[2])
    answer.headers.append("set-cookie", services.cookies.no_session_cookie(request.scope))
    return answer


async def _form(request: Request, path: str, name: str = "", wrong: str | None = None, status: int = 200) -> Response:
    host = urlsplit(own_url(request, "")).netloc
    providers = await services_of(request).oidc.providers.list_names()
    return page("sign_in.html", status, host=host, providers=providers, next=path, name=name, wrong=wrong)


ROUTES = [
    Route("/sign-in", show_sign_in),
    Route("/sign-in", sign_in, methods=["POST"]),
    Route("/sign-out", sign_out, methods=["POST"]),
]

"""To an identity provider and back, and what the provider itself calls."""

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from headgate.access.oidc import PATIENCE, Return
from headgate.doors.web.failures import wrong
from headgate.doors.web.visits import beginning_of, go, let_in, local_path, own_url, read_form, services_of
from headgate.kernel.errors import HeadgateError, Invalid, Refused

_NO_STORE = {"cache-control": "no-store"}


async def leave(request: Request) -> Response:
    """Send the browser to the provider, with a cookie that ties the answer to this browser."""
    services, name = services_of(request), request.path_params["name"]
    path = local_path(request.query_params.get("next"))
    departure = await services.oidc.begin(name, _callback(request, name), path)
    answer = go(departure.url)
    cookie = services.cookies.sign_in_cookie(request.scope, departure.cookie, int(PATIENCE.total_seconds()))
    answer.headers.append("set-cookie", cookie)
    return answer


async def come_back(request: Request) -> Response:
    """Let in who comes back, once."""
    services, name = services_of(request), request.path_params["name"]
    cookie = services.cookies.find_sign_in(request.scope)
    back = Return(dict(request.query_params), cookie, _callback(request, name))
    try:
        who = await services.oidc.finish(name, back)
        beginning = replace(beginning_of(request), method=who.method, sid=who.sid, id_token=who.id_token)
        await services.snapshots.reload()
        answer = await let_in(request, who.user, beginning, who.path)
    except HeadgateError as error:
        answer = await wrong(request, error)
    answer.headers.append("set-cookie", services.cookies.sign_in_cookie(request.scope, "", 0))
    return answer


async def log_out(request: Request) -> Response:
    """The provider says that sessions have ended (OpenID Connect Back-Channel Logout 1.0, 2.5 to 2.8)."""
    services, name = services_of(request), request.path_params["name"]
    try:
        token = (await read_form(request)).get("logout_token")
        if not token:
            raise Invalid("logout-token-missing", "The form has no logout_token.")
        await services.oidc.log_out(name, token)
    except (Invalid, Refused) as error:
        said = {"error": "invalid_request", "error_description": error.message, "code": error.code}
        return JSONResponse(said, 400, _NO_STORE)
    await services.snapshots.reload()
    return Response(status_code=200, headers=_NO_STORE)


def _callback(request: Request, name: str) -> str:
    return own_url(request, f"/oidc/{name}/callback")


ROUTES = [
    Route("/oidc/{name}/sign-in", leave),
    Route("/oidc/{name}/callback", come_back),
    Route("/oidc/{name}/back-channel-logout", log_out, methods=["POST"]),
]

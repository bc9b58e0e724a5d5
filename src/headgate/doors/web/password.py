"""Changing one's own password, also one that opens nothing else until it is changed."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from headgate.access.authenticate import BadCredentials
from headgate.access.lockout import SignInLocked
from headgate.doors.problems import status_of
from headgate.doors.web.visits import beginning_of, find_visitor, let_in, local_path, page, read_form, services_of
from headgate.kernel.errors import HeadgateError


async def show_password(request: Request) -> Response:
    """The form, with the name of whoever is signed in."""
    visitor = await find_visitor(request)
    return password_form(request.query_params.get("next"), "" if visitor is None else visitor.principal.name)


async def change_password(request: Request) -> Response:
    """Check the old password, set the new one, and sign in with it: every session before has ended."""
    services = services_of(request)
    services.cookies.check_origin(request.scope)
    if not services.snapshots.is_current():
        await services.snapshots.refresh()
    form = await read_form(request)
    path, name, new = form.get("next"), form.get("name", "").strip(), form.get("new", "")
    if new != form.get("again"):
        return password_form(path, name, "The new password was typed in two ways. Type it again.", 422)
    users = services.core.access.users
    try:
        principal = await services.sign_in.password(request.scope, name, form.get("password", ""))
        await users.check_has_password(principal.name)
        await users.change_own_password(principal.name, principal.name, form.get("password", ""), new)
    except SignInLocked as error:
        answer = password_form(path, name, error.message, status_of(error))
        answer.headers["retry-after"] = str(error.retry_after_s)
        return answer
    except BadCredentials as error:
        return password_form(path, name, error.message, 403)
    except HeadgateError as error:
        return password_form(path, name, error.message, status_of(error))
    await services.snapshots.reload()
    return await let_in(request, principal.name, beginning_of(request), local_path(path))


def password_form(path: str | None, name: str = "", wrong: str | None = None, status: int = 200) -> Response:
    """The page with the form; `wrong` is why it is shown again."""
    return page("password.html", status, next=local_path(path), name=name, wrong=wrong)


ROUTES = [
    Route("/sign-in/password", show_password),
    Route("/sign-in/password", change_password, methods=["POST"]),
]

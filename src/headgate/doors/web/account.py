"""One's own account: who is signed in, where else, and with which tokens."""

from collections.abc import Mapping

from starlette.responses import Response
from starlette.routing import Route

from headgate.doors.web.fields import id_of
from headgate.doors.web.own_tokens import account_page
from headgate.doors.web.viewing import Viewer, change, signed_in
from headgate.doors.web.visits import HOME


@signed_in
async def show_account(viewer: Viewer) -> Response:
    """Name, sessions, tokens."""
    return await account_page(viewer)


@change
async def end_own_session(viewer: Viewer, _form: Mapping[str, str]) -> Response:
    """End one of one's own sessions."""
    name = viewer.principal.name
    await viewer.services.core.sessions.end(name, name, id_of(viewer.request.path_params["id"]))
    await viewer.services.snapshots.reload()
    return viewer.go(HOME, "The session has ended; that browser has to sign in again.")


ROUTES = [
    Route("/account", show_account),
    Route("/account/sessions/{id:int}/end", end_own_session, methods=["POST"]),
]

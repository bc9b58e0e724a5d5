"""Which page is where."""

from typing import Final

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from headgate.doors.web import account, device, oidc, password, sign_in
from headgate.doors.web.services import WebServices
from headgate.doors.web.visits import wrong
from headgate.kernel.errors import HeadgateError, Invalid, NotFound, Unavailable

PATHS: Final = (b"/sign-in", b"/sign-out", b"/account", b"/device", b"/oidc/")
"""What the paths below begin with."""

log = structlog.get_logger(__name__)

_ROUTES = [
    Route("/sign-in", sign_in.show_sign_in),
    Route("/sign-in", sign_in.sign_in, methods=["POST"]),
    Route("/sign-in/password", password.show_password),
    Route("/sign-in/password", password.change_password, methods=["POST"]),
    Route("/sign-out", sign_in.sign_out, methods=["POST"]),
    Route("/oidc/{name}/sign-in", oidc.leave),
    Route("/oidc/{name}/callback", oidc.come_back),
    Route("/oidc/{name}/back-channel-logout", oidc.log_out, methods=["POST"]),
    Route("/account", account.show_account),
    Route("/account/sessions/{id:int}/end", account.end_own_session, methods=["POST"]),
    Route("/account/tokens/revoke", account.revoke_own_token, methods=["POST"]),
    Route("/device", device.show_device),
    Route("/device", device.confirm_device, methods=["POST"]),
    Route("/device/answer", device.answer_device, methods=["POST"]),
]


class WebDoor:
    """Answers with pages, also when something goes wrong."""

    def __init__(self, services: WebServices) -> None:
        self.services = services
        self._router = Router(_ROUTES, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry."""
        scope["app"] = self
        try:
            await self._router(scope, receive, send)
        except ClientDisconnect:
            log.info("client_left", path=scope["path"])
        except HeadgateError as error:
            await wrong(error)(scope, receive, send)
        except HTTPException as error:
            await wrong(_of_framework(scope, error))(scope, receive, send)
        except Exception:
            log.exception("request_failed", path=scope["path"])
            failure = Unavailable("internal-error", "The server failed to answer; its log says why.")
            await wrong(failure)(scope, receive, send)


def _of_framework(scope: Scope, error: HTTPException) -> HeadgateError:
    if error.status_code == 405:
        return Invalid("method-not-allowed", f"{scope['method']} is not possible here.")
    return NotFound("path-unknown", "Nothing is served at this path.")

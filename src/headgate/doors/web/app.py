"""Which page is where: each module has its routes, and stands here in one line."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Router
from starlette.types import Receive, Scope, Send

from headgate.channels.file_sheets import FileSheets
from headgate.doors.web import (
    account,
    admin,
    advisories,
    advisory_imports,
    advisory_names,
    api_docs,
    asking,
    audit,
    backups,
    bundles,
    bundles_in,
    channel,
    channel_settings,
    channels,
    device,
    directories,
    exemptions,
    feeds,
    files,
    grants,
    groups,
    holdings,
    home,
    incidents,
    jobs,
    judgements,
    mirror_settings,
    mirrors,
    network,
    oidc,
    own_tokens,
    package_words,
    packages,
    password,
    patches,
    pipelines,
    policies,
    policy_drafts,
    promoting,
    promotions,
    providers,
    reports,
    request_rules,
    requests,
    roles,
    search,
    sign_in,
    signing,
    system,
    tokens,
    unsatisfiable,
    uploading,
    users,
    views,
)
from headgate.doors.web.failures import problem_answer, wrong, wrong_alone
from headgate.doors.web.services import WebServices
from headgate.kernel.errors import HeadgateError, Invalid, NotFound, Unavailable

log = structlog.get_logger(__name__)

ROUTES: Final = [
    *home.ROUTES,
    *search.ROUTES,
    *packages.ROUTES,
    *package_words.ROUTES,
    *files.ROUTES,
    *asking.ROUTES,
    *requests.ROUTES,
    *channels.ROUTES,
    *mirrors.ROUTES,
    *mirror_settings.ROUTES,
    *request_rules.ROUTES,
    *holdings.ROUTES,
    *uploading.ROUTES,
    *patches.ROUTES,
    *pipelines.ROUTES,
    *promoting.ROUTES,
    *promotions.ROUTES,
    *bundles.ROUTES,
    *bundles_in.ROUTES,
    *channel_settings.ROUTES,
    *unsatisfiable.ROUTES,
    *channel.ROUTES,
    *sign_in.ROUTES,
    *password.ROUTES,
    *oidc.ROUTES,
    *api_docs.ROUTES,
    *account.ROUTES,
    *views.ROUTES,
    *own_tokens.ROUTES,
    *device.ROUTES,
    *policy_drafts.ROUTES,
    *policies.ROUTES,
    *exemptions.ROUTES,
    *feeds.ROUTES,
    *advisory_imports.ROUTES,
    *advisory_names.ROUTES,
    *judgements.ROUTES,
    *advisories.ROUTES,
    *incidents.ROUTES,
    *reports.ROUTES,
    *audit.ROUTES,
    *admin.ROUTES,
    *users.ROUTES,
    *groups.ROUTES,
    *roles.ROUTES,
    *grants.ROUTES,
    *tokens.ROUTES,
    *providers.ROUTES,
    *directories.ROUTES,
    *network.ROUTES,
    *signing.ROUTES,
    *jobs.ROUTES,
    *backups.ROUTES,
    *system.ROUTES,
]
_PLACES: Final = {route.path.split("/")[1] for route in ROUTES}


class WebDoor:
    """Answers with pages, also when something goes wrong."""

    def __init__(self, services: WebServices, files: FileSheets, describe: Callable[[], dict[str, Any]]) -> None:
        self.services = services
        self.files = files
        self.describe = describe
        self._router = Router(ROUTES, redirect_slashes=False)

    def has_page(self, path: str) -> bool:
        """Whether there is a page at the path, for things that are there."""
        return _has_page(path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry."""
        scope["app"] = self
        try:
            await self._router(scope, receive, send)
        except ClientDisconnect:
            log.info("client_left", path=scope["path"])
        except HeadgateError as error:
            await _told(scope, receive, send, error)
        except HTTPException as error:
            await _told(scope, receive, send, _of_framework(scope, error))
        except Exception:
            log.exception("request_failed", path=scope["path"])
            failure = Unavailable("internal-error", "The server failed to answer; its log says why.")
            await _told(scope, receive, send, failure)


@lru_cache(maxsize=10_000)
def _has_page(path: str) -> bool:
    asked = {"type": "http", "method": "GET", "path": path, "headers": []}
    return any(route.matches(asked)[0] is Match.FULL for route in ROUTES)


async def _told(scope: Scope, receive: Receive, send: Send, error: HeadgateError) -> None:
    answer: Response
    try:
        request = Request(scope, receive)
        is_for_people = "text/html" in request.headers.get("accept", "") or scope["path"].split("/")[1] in _PLACES
        answer = await wrong(request, error) if is_for_people else problem_answer(error)
    except Exception:
        log.exception("error_page_failed", path=scope["path"])
        answer = wrong_alone(error)
    await answer(scope, receive, send)


def _of_framework(scope: Scope, error: HTTPException) -> HeadgateError:
    if error.status_code == 405:
        return Invalid("method-not-allowed", f"{scope['method']} is not possible here.")
    return NotFound("path-unknown", "Nothing is served at this path.")

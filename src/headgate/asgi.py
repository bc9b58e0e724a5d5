"""The application that every web worker runs: who answers which path.

/conda /get /t /api/repo   -> doors/conda      /health /metrics   -> here
/api                       -> doors/api        /assets            -> what pages load
                                               everything else    -> doors/web

The API and the pages are read in when the first of their requests comes: a worker that only delivers packages does
without their 25 MB, and starts sooner.
"""

import asyncio
import contextlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import structlog
from starlette.types import ASGIApp

from headgate.approvals.requests import read_counts
from headgate.bootstrap import Services, build_services, open_place
from headgate.channels.file_sheets import FileSheets
from headgate.channels.proofs import count_attestations
from headgate.channels.revising import read_standing
from headgate.doors.assets import PREFIX, send_asset
from headgate.doors.conda.app import CondaDoor
from headgate.doors.conda.artifacts import ArtifactDoor
from headgate.doors.conda.logged import LoggedDoor
from headgate.doors.counting import Counted
from headgate.doors.http import Receive, Scope, Send, finish, start
from headgate.doors.metrics import (
    observe_advisories,
    render_backups,
    render_held,
    render_metrics,
    render_proofs,
    render_requests,
    render_streams,
)
from headgate.doors.problems import send_problem
from headgate.http.masking import mask_url
from headgate.kernel.errors import HeadgateError, NotFound, Unavailable
from headgate.kernel.memory import steady_collector
from headgate.logs import set_up_logs
from headgate.reports.recent import Recent

_CONDA = (b"/conda/", b"/get/", b"/t/", b"/api/repo/")
_SMALL = (b"/assets/", b"/health/", b"/metrics")
_PLAIN = MappingProxyType({"content-type": "text/plain; charset=utf-8"})

log = structlog.get_logger(__name__)


class Application:
    """Sends each request to its door, and turns errors into problem documents."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._conda = build_conda_door(services)
        self._people = Recent(math.inf)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """The ASGI entry."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._services.start()
        steady_collector()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._services.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: bytes = scope["raw_path"]
        if path.startswith(_CONDA):
            await self._guarded(scope, send, "conda")
        elif path.startswith(_SMALL):
            await self._guarded(scope, send, "web")
        else:
            try:
                doors = await self._open()
            except Exception:
                log.exception("doors_unopened", path=mask_url(scope["path"]))
                what = "The API and the pages could not be read in; the log says why. Packages are delivered."
                await _answer_error(scope, Counted(send, "web"), Unavailable("internal-error", what))
                return
            if path.startswith(b"/api/"):
                await doors.api(dict(scope), receive, cast(Any, Counted(send, "api")))
            else:
                await doors.web(dict(scope), receive, cast(Any, Counted(send, "web")))

    async def _open(self) -> "_PeopleDoors":
        return await self._people.get("doors", lambda: asyncio.to_thread(_open_people_doors, self._services))

    async def _guarded(self, scope: Scope, send: Send, door: str) -> None:
        counted = Counted(send, door)
        try:
            if door == "conda":
                await self._conda.answer(scope, counted)
            else:
                await self._answer_small(scope, counted)
        except HeadgateError as error:
            await _answer_error(scope, counted, error)
        except Exception:
            log.exception("request_failed", path=mask_url(scope["path"]))
            await _answer_error(
                scope, counted, Unavailable("internal-error", "The server failed to answer; its log says why.")
            )

    async def _answer_small(self, scope: Scope, send: Send) -> None:
        if scope["path"].startswith(PREFIX):
            await send_asset(scope, send)
            return
        match scope["path"]:
            case "/health/live":
                await _send_text(scope, send, "alive\n")
            case "/health/ready":
                await self._services.snapshots.reload()
                await _send_text(scope, send, "ready\n")
            case "/metrics":
                observe_advisories(self._services.advisories.book.knowledge)
                standing = await read_standing(self._services.core.database)
                text = render_metrics() + render_held(standing.held, standing.stale)
                streams = await self._services.audit.streams.list_streams()
                text += render_streams({one.name: one.behind for one in streams})
                text += render_requests(await read_counts(self._services.core.database))
                text += render_proofs(
                    await count_attestations(self._services.core.database),
                    (await self._services.core.signing.read()).ends_by_kind,
                )
                backups = (await self._services.core.backups.standing()).backups
                text += render_backups(backups[0].paper.made_at if backups else None)
                await _send_text(scope, send, text.decode())
            case _:
                raise NotFound("path-unknown", "Nothing is served at this path.")


@dataclass(frozen=True, slots=True)
class _PeopleDoors:
    """The doors that people and their tools come to; conda clients have one of their own."""

    api: ASGIApp
    web: ASGIApp


def _open_people_doors(services: Services) -> _PeopleDoors:
    from headgate.doors.api.app import build_api  # noqa: PLC0415 - see above
    from headgate.doors.web.app import WebDoor  # noqa: PLC0415

    api = build_api(services)
    return _PeopleDoors(api, WebDoor(services, FileSheets(services.core.database, services.core.store), api.openapi))


async def _answer_error(scope: Scope, send: Counted, error: HeadgateError) -> None:
    """A problem document; or, once an answer has begun, its end, which the client sees to come too early."""
    if send.has_begun:
        log.warning("answer_cut", path=mask_url(scope["path"]), code=error.code, reason=error.message)
        with contextlib.suppress(Exception):
            await finish(send)
        return
    await send_problem(scope, send, error)


async def _send_text(scope: Scope, send: Send, text: str, headers: Mapping[str, str] = _PLAIN) -> None:
    body = text.encode()
    await start(send, 200, {**headers, "content-length": str(len(body)), "cache-control": "no-store"})
    await finish(send, b"" if scope["method"] == "HEAD" else body)


def build_conda_door(services: Services) -> LoggedDoor:
    """The conda door on these services."""
    settings = services.core.place.settings
    door = CondaDoor(
        database=services.core.database,
        snapshots=services.snapshots,
        catalog=services.catalog,
        sign_in=services.sign_in,
        maps=services.maps,
        shards=services.shards,
        store=services.core.store,
        gatekeeper=services.gatekeeper,
        patches=services.core.life.patches,
        freshness=services.freshness,
        artifacts=ArtifactDoor(services.locator, services.delivery, services.upstream, settings.server.x_accel_prefix),
        sidecars=services.sidecars,
        index_max_age_s=settings.server.index_max_age_seconds,
        public_url=settings.server.public_url,
    )
    return LoggedDoor(door, services.audit.log, services.catalog, services.sign_in.proxies)


def build() -> Application:
    """What granian calls in each worker; HEADGATE_DATA says which data folder."""
    place = open_place(Path(os.environ["HEADGATE_DATA"]))
    set_up_logs(place.settings.log.level, place.settings.log.format)
    return Application(build_services(place))

"""Home: what waits for whoever looks, what broke, what changed; and the channels that are theirs to use."""

import asyncio
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.approvals.request_rows import Request
from headgate.approvals.states import RequestState
from headgate.doors.web.viewing import Viewer, anyone
from headgate.kernel import clock

_FEED_AGE = timedelta(days=2)
_CERTIFICATE_DAYS = timedelta(days=30)
_LATELY = timedelta(days=2)
_MOST = 8
_TIGHT = 0.1


@dataclass(frozen=True, slots=True)
class Matter:
    """One line of a queue: what it is, since when or until when, and where to act on it."""

    title: str
    sentence: str
    path: str | None = None
    act: str = "Look"
    at: datetime | None = None
    state: str = "warned"


@anyone
async def show_home(viewer: Viewer) -> Response:
    """Queues by what the viewer may do; nobody in particular sees the channels that are open to all."""
    channels = viewer.channels()
    ids = [one.id for one in channels]
    waiting: list[Matter] = []
    broken: list[Matter] = []
    if viewer.visitor is not None:
        waiting = await _requests(viewer)
        broken = [*await _mirrors(viewer), *await _feeds(viewer), *await _jobs(viewer)]
        broken += [*await _backups(viewer), *_disk(viewer), *await _certificates(viewer), *await _tokens(viewer)]
    return viewer.page(
        "home.html",
        channels=channels,
        waiting=waiting,
        broken=broken,
        changes=await viewer.services.reports.attention.changes(ids) if ids else [],
        url=viewer.url(),
    )


async def _requests(viewer: Viewer) -> list[Matter]:
    """What others ask of the viewer, the oldest first; then their own that want something of them."""
    targets = [str(one.name) for one in viewer.services.catalog.all() if viewer.may(Permission.PROMOTION_APPROVE, one)]
    found = await viewer.services.requests.list_waiting_for(viewer.principal.name, targets, _MOST)
    return [
        *(
            _matter(one, "Decide", f"asked by {', '.join(sorted(asker.name for asker in one.askers))}", "held")
            for one in found
            if one.state is RequestState.REQUESTED
        ),
        *(
            _matter(one, "Answer", "sent back to you", "warned")
            for one in found
            if one.state is not RequestState.REQUESTED
        ),
    ]


def _matter(request: Request, act: str, sentence: str, state: str) -> Matter:
    what = ", ".join(request.wanted.texts[:3])
    more = f" and {len(request.wanted.texts) - 3} more" if len(request.wanted.texts) > 3 else ""
    title = f"{what}{more} into {request.wanted.target}"
    return Matter(title, sentence, f"/requests/{request.id}", act, request.created_at, state)


async def _mirrors(viewer: Viewer) -> list[Matter]:
    managed = [one.id for one in viewer.services.catalog.all() if viewer.may(Permission.MIRROR_MANAGE, one)]
    if not managed:
        return []
    return [
        Matter(
            f"{one.channel}/{one.subdir} cannot follow {one.mirror}",
            one.failure,
            f"/channels/{one.channel}",
            at=one.synced_at,
            state="blocked",
        )
        for one in await viewer.services.reports.attention.failing_mirrors(managed)
    ]


async def _feeds(viewer: Viewer) -> list[Matter]:
    if not viewer.may(Permission.ADVISORY_MANAGE):
        return []
    late = clock.now() - _FEED_AGE
    return [
        Matter(
            f"Feed {one.name} is {'failing' if one.failure else 'stale'}",
            one.failure or "It was not read for more than two days: what is published since is not known here.",
            "/advisories/feeds",
            at=one.read_at,
            state="blocked" if one.failure else "warned",
        )
        for one in await viewer.services.advisories.feeds.list_feeds()
        if one.failure or one.read_at is None or one.read_at < late
    ][:_MOST]


async def _jobs(viewer: Viewer) -> list[Matter]:
    if not viewer.may(Permission.JOB_MANAGE):
        return []
    since = clock.now() - _LATELY
    return [
        Matter(f"{one.kind} failed", one.failure or "It ended without a word.", f"/admin/jobs/{one.id}", at=one.ended_at,
               state="blocked")
        for one in await viewer.services.jobs.list_jobs(limit=50)
        if one.state == "failed" and one.created_at > since
    ][:_MOST]  # fmt: skip


async def _backups(viewer: Viewer) -> list[Matter]:
    if not viewer.may(Permission.JOB_MANAGE):
        return []
    concern = (await viewer.services.core.backups.standing()).concern
    return [] if concern is None else [Matter("A backup is missing", concern, "/admin/backups", state="blocked")]


def _disk(viewer: Viewer) -> list[Matter]:
    if not viewer.may(Permission.JOB_MANAGE):
        return []
    usage = shutil.disk_usage(viewer.services.core.store.folder.root)
    if usage.free > usage.total * _TIGHT:
        return []
    left = f"{usage.free / 1e9:.1f} of {usage.total / 1e9:.1f} GB are left."
    return [Matter("The disk is nearly full", left, "/admin/storage", state="blocked")]


async def _certificates(viewer: Viewer) -> list[Matter]:
    if not viewer.may(Permission.NETWORK_MANAGE):
        return []
    soon, found = clock.now() + _CERTIFICATE_DAYS, []
    for bundle in await viewer.services.core.authorities.list_bundles():
        certificates = await asyncio.to_thread(bundle.certificates)
        found += [
            Matter(f"Certificate in {bundle.name} ends", one.subject, "/admin/network", at=one.expires_at)
            for one in certificates
            if one.expires_at < soon
        ]
    return found[:_MOST]


async def _tokens(viewer: Viewer) -> list[Matter]:
    whose = None if viewer.may(Permission.ACCESS_MANAGE) else viewer.principal.name
    found = await viewer.services.reports.attention.expiring_tokens(whose)
    return [
        Matter(
            f"Token {one.name} of {one.user} ends", "Whatever uses it stops then.", "/account", "Renew", one.expires_at
        )
        for one in found
    ]


ROUTES = [Route("/", show_home)]

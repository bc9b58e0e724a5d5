"""Audit: what was changed and by whom, who downloaded what, and the proof that the record is whole."""

import difflib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.access.views import Place
from headgate.audit.chain import Event
from headgate.audit.downloads import DayCount
from headgate.audit.requests import Sought
from headgate.audit.streams import Stream
from headgate.audit.trail import Proof, Wanted
from headgate.doors.web.plots import Line, Plot
from headgate.doors.web.terms import Terms, parse_terms
from headgate.doors.web.viewing import Viewer, change, large_change, require_typed, signed_in
from headgate.doors.web.views import saved_views
from headgate.kernel import clock
from headgate.kernel.errors import Invalid, NotFound

_AT_ONCE = 50
_EVENT_KEYS = {
    "actor:": "who did it, by whatever token",
    "action:": "policy:set, or policy for all of them",
    "channel:": "in this channel",
    "subject:": "done to this",
    "since:": "2026-11-01, or 30d",
    "until:": "likewise",
}
_REQUEST_KEYS = {
    "user:": "who asked",
    "channel:": "of this channel",
    "package:": "for this package",
    "file:": "for files of this name",
    "client:": "conda, mamba, pixi …",
    "sha256:": "for this file",
    "is:": "refused, or download, index, shard",
    "since:": "2026-11-01, or 30d",
    "until:": "likewise",
}
_VIEWS = (
    ("Everything", ""),
    ("Policies", "action:policy"),
    ("Exemptions", "action:exemption"),
    ("Approvals", "action:promotion"),
    ("Access", "action:grant"),
    ("Tokens", "action:token"),
    ("Incidents", "action:incident"),
)
_PLOTTED = timedelta(days=29)
_MOST_DIFFERENCES = 400


@signed_in
async def show_events(viewer: Viewer) -> Response:
    """Audit events, the newest first."""
    viewer.require(Permission.AUDIT_READ)
    typed = viewer.request.query_params.get("q", "")
    terms = parse_terms(typed, [key[:-1] for key in _EVENT_KEYS])
    wanted = _wanted(terms)
    before = _number(viewer.request.query_params.get("before"))
    found = await viewer.services.audit.trail.list_events(wanted, before=before, limit=_AT_ONCE + 1)
    events = found[:_AT_ONCE]
    following = None
    if len(found) > _AT_ONCE:
        following = "/audit?" + urlencode({"q": typed, "before": str(events[-1].number)})
    return viewer.page(
        "audit.html",
        part="audit_found.html",
        typed=typed,
        keys=_EVENT_KEYS,
        views=_VIEWS,
        saved=await saved_views(viewer, Place.AUDIT, typed),
        events=events,
        following=following,
        exports=_exports(wanted),
    )


@signed_in
async def show_event(viewer: Viewer) -> Response:
    """One event: all that it says, and what it changed where that is kept."""
    viewer.require(Permission.AUDIT_READ)
    number = _number(viewer.request.path_params["number"])
    trail = viewer.services.audit.trail
    event = await trail.get_event(number or 0)
    try:
        previous = await trail.get_event(event.number - 1)
    except NotFound:
        previous = None
    return viewer.page(
        "audit_event.html",
        event=event,
        previous=previous,
        difference=await _difference(viewer, event),
        detail=json.dumps(event.detail, indent=2, ensure_ascii=False),
    )


@signed_in
async def show_requests(viewer: Viewer) -> Response:
    """The access log, the newest first, below the downloads of the last thirty days."""
    viewer.require(Permission.AUDIT_READ)
    query = viewer.request.query_params
    typed = query.get("q", "")
    terms = parse_terms(typed, [key[:-1] for key in _REQUEST_KEYS])
    kind = terms.get("is")
    sought = Sought(
        channel=terms.get("channel"), package=terms.get("package") or terms.text or None, sha256=terms.get("sha256"), filename=terms.get("file"),
        who=terms.get("user"), client=terms.get("client"), is_refused=True if kind == "refused" else None,
        kind=kind if kind in {"download", "index", "shard"} else None,
        since=terms.moment("since"), until=terms.moment("until"),
    )  # fmt: skip
    part, number = query.get("part"), _number(query.get("before"))
    before = None if part is None or number is None else (part, number)
    found = await viewer.services.audit.requests.list_requests(sought, before=before, limit=_AT_ONCE + 1)
    requests = found[:_AT_ONCE]
    following = None
    if len(found) > _AT_ONCE:
        last_part, last = requests[-1].place
        following = "/audit/requests?" + urlencode({"q": typed, "part": last_part, "before": str(last)})
    days = [] if viewer.is_partial else await _lately(viewer)
    return viewer.page(
        "audit_requests.html",
        part="audit_requests_found.html",
        typed=typed,
        keys=_REQUEST_KEYS,
        requests=requests,
        following=following,
        saved=await saved_views(viewer, Place.DOWNLOADS, typed),
        plot=Plot(
            "Downloads of the last 30 days",
            "Day",
            [one.day.isoformat() for one in days],
            [Line("downloads", [one.downloads for one in days], "--plot-1")],
        ),
    )


async def _lately(viewer: Viewer) -> list[DayCount]:
    since = clock.now() - _PLOTTED
    services = viewer.services
    return await services.reports.recent.get(
        ("downloads a day", since.date()), lambda: services.audit.downloads.daily(None, since)
    )


@signed_in
async def show_proof(viewer: Viewer) -> Response:
    """The chain, checked when asked; evidence to take away; and where events are sent on to."""
    viewer.require(Permission.AUDIT_READ)
    audit = viewer.services.audit
    is_asked = "check" in viewer.request.query_params
    proof = await audit.trail.verify() if is_asked else None
    streams = await audit.streams.list_streams()
    return _proof_page(viewer, streams, proof=proof)


@signed_in
async def fetch_evidence(viewer: Viewer) -> Response:
    """An evidence pack of whole days: the API makes it."""
    viewer.require(Permission.AUDIT_READ)
    days = {key: _day(viewer.request.query_params.get(key, "")) for key in ("since", "until")}
    if days["until"] is not None:
        days["until"] += timedelta(days=1, microseconds=-1)
    period = {key: day.isoformat() for key, day in days.items() if day is not None}
    return viewer.go("/api/v1/audit/evidence" + (f"?{urlencode(period)}" if period else ""))


@large_change
async def add_stream(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Send events on; a webhook's secret is shown on the answer, and nowhere else."""
    viewer.require(Permission.AUDIT_MANAGE)
    audit = viewer.services.audit
    ca = form.get("ca", "").strip() or None
    made, secret = await audit.streams.add(
        viewer.actor, form.get("name", "").strip(), form.get("url", "").strip(), ca=ca, is_whole="is_whole" in form
    )
    if secret is None:
        return viewer.go("/audit/proof", f"Events are sent on to {made.url}.")
    return _proof_page(viewer, await audit.streams.list_streams(), made=(made, secret))


@change
async def remove_stream(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Where it had come to is forgotten: the name is asked for."""
    viewer.require(Permission.AUDIT_MANAGE)
    require_typed(form, form.get("name", ""))
    await viewer.services.audit.streams.remove(viewer.actor, form["name"])
    return viewer.go("/audit/proof", f"Nothing is sent to {form['name']} any more.")


def _proof_page(
    viewer: Viewer, streams: Sequence[Stream], *, proof: Proof | None = None, made: tuple[Stream, str] | None = None
) -> Response:
    key, may_manage = viewer.services.audit.signer.public_key, viewer.may(Permission.AUDIT_MANAGE)
    return viewer.page(
        "audit_proof.html", public_key=key, may_manage=may_manage, streams=streams, proof=proof, made=made
    )


def _wanted(terms: Terms) -> Wanted:
    """Words without a key are what was done to."""
    return Wanted(
        actor=terms.get("actor"), action=terms.get("action"), channel=terms.get("channel"),
        subject=terms.get("subject") or terms.text or None, since=terms.moment("since"), until=terms.moment("until"),
    )  # fmt: skip


def _exports(wanted: Wanted) -> dict[str, str]:
    """The same events whole, by format."""
    named = {key: getattr(wanted, key) for key in ("actor", "action", "channel", "subject")}
    moments = {key: value.isoformat() for key in ("since", "until") if (value := getattr(wanted, key)) is not None}
    chosen = {key: value for key, value in named.items() if value is not None} | moments
    return {form: "/api/v1/audit/export?" + urlencode({**chosen, "format": form}) for form in ("csv", "json")}


def _day(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None
    except ValueError:
        raise Invalid("filter-invalid", f"{text[:20]!r} is not a day such as 2026-01-31.") from None


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise Invalid("filter-invalid", f"{text[:40]!r} is not the number of an event.")
    return int(text)


async def _difference(viewer: Viewer, event: Event) -> list[str]:
    """What a new version of a policy changed, line by line."""
    version = event.detail.get("version")
    if event.action != "policy:set" or event.subject is None or not isinstance(version, int):
        return []
    policies = viewer.services.core.policies
    try:
        old, new = [await policies.get(event.subject, number) for number in (version - 1, version)]
    except NotFound:
        return []
    before, after = _lines(old.policy.document), _lines(new.policy.document)
    lines = difflib.unified_diff(before, after, f"version {version - 1}", f"version {version}", lineterm="")
    return list(lines)[:_MOST_DIFFERENCES]


def _lines(document: Mapping[str, Any]) -> list[str]:
    return json.dumps(document, indent=2, ensure_ascii=False, default=str).splitlines()


ROUTES = [
    Route("/audit", show_events),
    Route("/audit/events/{number}", show_event),
    Route("/audit/requests", show_requests),
    Route("/audit/proof", show_proof),
    Route("/audit/evidence", fetch_evidence),
    Route("/audit/streams/add", add_stream, methods=["POST"]),
    Route("/audit/streams/remove", remove_stream, methods=["POST"]),
]

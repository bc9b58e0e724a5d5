"""Advisories: by what matters here, all of them, one with what it means here and how it was judged; and coverage."""

from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.access.views import Place
from headgate.advisories.catalogue import AdvisoryFilter
from headgate.advisories.curating import CurationFilter
from headgate.advisories.findings import AdvisoryStatus
from headgate.advisories.vex import JUSTIFICATIONS
from headgate.channels.incidents import IncidentKind
from headgate.doors.web.terms import Terms, parse_terms
from headgate.doors.web.viewing import Viewer, signed_in
from headgate.doors.web.views import saved_views
from headgate.kernel.errors import Invalid, NotFound
from headgate.reports.overview import Matter, Overview

_AT_ONCE = 50
_MOST_FILES = 100
_SEVERITIES = ("low", "medium", "high", "critical")
_KEYS = {
    "severity:": "low, medium, high or critical",
    "cvss:": "at least: cvss:7",
    "epss:": "at least: epss:0.5",
    "package:": "of this package",
    "channel:": "in this channel",
    "is:": "kev, malicious, uncurated or harmless",
}


@signed_in
async def show_advisories(viewer: Viewer) -> Response:
    """Those that affect a file of a channel that the viewer may read, the most important first."""
    viewer.require(Permission.ADVISORY_READ)
    typed = viewer.request.query_params.get("q", "")
    overview, is_under_way = look(viewer)
    matters = matters_of(viewer, overview, typed)
    start = min(_number(viewer.request.query_params.get("start")), len(matters))
    following = None
    if start + _AT_ONCE < len(matters):
        following = "/advisories?" + urlencode({"q": typed, "start": str(start + _AT_ONCE)})
    return viewer.page(
        "advisories.html",
        part="advisories_found.html",
        typed=typed,
        keys=_KEYS,
        saved=await saved_views(viewer, Place.ADVISORIES, typed),
        matters=matters[start : start + _AT_ONCE],
        total=len(matters),
        following=following,
        is_under_way=is_under_way,
        overview=overview,
        names={one.name for one in viewer.channels()},
        **judging(viewer),
        feed_at=viewer.services.advisories.book.newest_feed_at(),
    )


@signed_in
async def show_all(viewer: Viewer) -> Response:
    """Every advisory, whether it means anything here or not."""
    viewer.require(Permission.ADVISORY_READ)
    query = viewer.request.query_params
    typed = query.get("q", "")
    wanted = filter_of(typed)
    after = query.get("after", "")[:200].replace("\0", "")
    found = await viewer.services.advisories.catalogue.list_advisories(wanted, after=after, limit=_AT_ONCE + 1)
    following = None
    if len(found) > _AT_ONCE:
        following = "/advisories/all?" + urlencode({"q": typed, "after": found[_AT_ONCE - 1].advisory.id})
    return viewer.page(
        "advisories_all.html",
        part="advisories_all_found.html",
        typed=typed,
        keys={key: _KEYS[key] for key in ("severity:", "cvss:")} | {"is:": "kev or malicious"},
        found=found[:_AT_ONCE],
        following=following,
        **judging(viewer),
    )


@signed_in
async def show_coverage(viewer: Viewer) -> Response:
    """What was checked, and what nobody could check."""
    viewer.require(Permission.ADVISORY_READ)
    overview, is_under_way = look(viewer)
    names = {one.name for one in viewer.channels()}
    rows = [] if overview is None else [(name, one) for name, some in overview.coverage.items() for one in some]
    return viewer.page(
        "advisory_coverage.html",
        rows=[(name, one) for name, one in sorted(rows, key=lambda row: (row[0], row[1].subdir)) if name in names],
        is_under_way=is_under_way,
        overview=overview,
    )


@signed_in
async def show_advisory(viewer: Viewer) -> Response:
    """One of them: what it says, what it means here, how it was judged."""
    viewer.require(Permission.ADVISORY_READ)
    listed = await viewer.services.advisories.catalogue.get_advisory(viewer.request.path_params["id"][:200])
    name = listed.advisory.id
    curations = await viewer.services.advisories.curations.list_curations(
        CurationFilter(advisory=name, with_ended=True), limit=_MOST_FILES
    )
    found = await viewer.services.reports.blast.find(IncidentKind.ADVISORY, name, viewer.channels())
    return viewer.page(
        "advisory.html",
        listed=listed,
        one=listed.advisory,
        curations=curations,
        affected=found,
        files=sorted(found.listed)[:_MOST_FILES],
        **judging(viewer),
        may_see_takers=viewer.may(Permission.AUDIT_READ),
        may_see_incidents=viewer.may(Permission.POLICY_READ),
        report="/api/v1/reports/affected?" + urlencode({"target": name, "kind": "advisory", "format": "csv"}),
    )


def look(viewer: Viewer) -> tuple[Overview | None, bool]:
    """The newest overview of all channels, if there is one yet, and whether a round is under way."""
    services = viewer.services
    return services.reports.overviews.find(list(services.catalog.all()), services.advisories.book.knowledge)


def matters_of(viewer: Viewer, overview: Overview | None, typed: str) -> list[Matter]:
    """Of what they may see, what fits a filter, the most important first. Raises Invalid `filter-invalid`."""
    terms = parse_terms(typed, [key[:-1] for key in _KEYS])
    seen = [] if overview is None else overview.seen_by(viewer.channels())
    return [one for one in seen if _fits(one, terms)]


def filter_of(typed: str) -> AdvisoryFilter:
    """The filter of the list of all. Raises Invalid `filter-invalid`."""
    terms = parse_terms(typed, ["severity", "cvss", "is"])
    severity = terms.get("severity")
    return AdvisoryFilter(
        text=terms.text[:200] or None,
        severities=None if severity is None else [severity],
        least_cvss=_figure(terms, "cvss"),
        is_known_exploited=True if terms.get("is") == "kev" else None,
        is_malicious=True if terms.get("is") == "malicious" else None,
    )


def judging(viewer: Viewer) -> dict[str, Any]:
    """What the forms need that judge advisories."""
    return {
        "may_curate": viewer.may(Permission.ADVISORY_CURATE),
        "statuses": list(AdvisoryStatus),
        "justifications": JUSTIFICATIONS,
    }


def _fits(one: Matter, terms: Terms) -> bool:
    finding, text = one.finding, terms.text.lower()
    said = " ".join([finding.advisory, *finding.aliases, *one.packages]).lower()
    least = {"cvss": finding.cvss, "epss": finding.epss}
    channel, package, kind = terms.get("channel"), terms.get("package"), terms.get("is")
    states = {
        "kev": finding.is_known_exploited,
        "malicious": finding.is_malicious,
        "uncurated": not one.curated,
        "harmless": not one.standing,
    }
    return (
        text in said
        and terms.get("severity") in {None, finding.severity}
        and all((value or 0.0) >= (_figure(terms, key) or 0.0) for key, value in least.items())
        and (channel is None or channel in one.files)
        and (package is None or package in one.packages)
        and (kind is None or states.get(kind, False))
    )


def _figure(terms: Terms, key: str) -> float | None:
    value = terms.get(key)
    try:
        return None if value is None else float(value.lstrip(">="))
    except ValueError:
        raise Invalid("filter-invalid", f"{key}:{value} is no number: write {key}:7.") from None


def _number(text: str | None) -> int:
    """A number of a form or an address; 0 where there is none. Raises NotFound `page-unknown`."""
    if not text:
        return 0
    if not text.isascii() or not text.isdecimal() or len(text) > 12:
        raise NotFound("path-unknown", "Nothing is served at this path.")
    return int(text)


ROUTES = [
    Route("/advisories", show_advisories),
    Route("/advisories/all", show_all),
    Route("/advisories/coverage", show_coverage),
    Route("/advisories/{id}", show_advisory),
]

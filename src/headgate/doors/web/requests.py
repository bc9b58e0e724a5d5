"""The approval inbox: everything that waits for somebody, the evidence beside it, and what to do about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from headgate.advisories.findings import HARMLESS, Finding
from headgate.approvals.answers import answers_of, changes_of
from headgate.approvals.plans import Item, ItemState
from headgate.approvals.request_rows import Limits, Request, Vote
from headgate.approvals.requests import Look
from headgate.approvals.states import RequestState
from headgate.doors.desk import Desk
from headgate.doors.queue import Queue, ordered
from headgate.doors.web.viewing import Viewer, change, signed_in
from headgate.kernel import clock
from headgate.kernel.errors import HeadgateError, Invalid, NotFound
from headgate.policy.verdicts import Outcome
from headgate.reports.waiting import WaitingKind, Waits

_MOST_LISTED = 60
_MOST_SCANNED = 1_000
_MOST_ROWS = 200
_OPEN = (RequestState.REQUESTED, RequestState.CHANGES_WANTED)
_KEYS = {
    "is:": "open, mine, or a state such as approved",
    "into:": "into that channel",
    "by:": "asked for by that person",
}
_TITLES = {
    WaitingKind.COOLDOWN: "Cooldowns", WaitingKind.EXEMPTION: "Exemptions ending",
    WaitingKind.APPROVAL: "Approvals ending", WaitingKind.MALWARE: "Malware", WaitingKind.BROKEN: "Broken",
}  # fmt: skip
_STATES = {one.value: [one] for one in RequestState} | {"open": list(_OPEN), "all": list(RequestState)}
_LOOKS = {
    Outcome.ALLOW: "passes", Outcome.WARN: "warned", Outcome.HOLD: "held", Outcome.BLOCK: "blocked",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One file of the evidence. `look` is a verdict as `ui.verdict` shows it; `changes`: since what is there."""

    item: Item
    look: str
    reasons: Sequence[str]
    findings: Sequence[Finding]
    changes: Sequence[str]

    @property
    def license(self) -> str:
        """As the record says; empty when it does not."""
        return str(self.item.record.get("license") or "")

    @property
    def weight(self) -> tuple[int, float, bool, str]:
        """What troubles most stands first."""
        worst = max((one.cvss or 0.0 for one in self.findings), default=0.0)
        order = ("blocked", "held", "warned", "unknown", "passes").index(self.look)
        return order, -worst, not self.item.is_asked, self.item.filename


@dataclass(frozen=True, slots=True)
class Listed:
    """What the list is filtered by."""

    words: str
    states: Sequence[RequestState]
    target: str | None = None
    asker: str | None = None
    is_mine: bool = False

    @classmethod
    def parse(cls, text: str) -> "Listed":
        """Read `is:open into:team by:ada numpy`."""
        states: Sequence[RequestState] = _OPEN
        found: dict[str, str] = {}
        words, is_mine = [], False
        for word in text.split():
            key, colon, value = word.partition(":")
            if colon and key == "is" and value == "mine":
                is_mine, states = True, list(RequestState)
            elif colon and key == "is" and value in _STATES:
                states = _STATES[value]
            elif colon and key in {"into", "by"}:
                found[key] = value
            else:
                words.append(word.lower())
        return cls(" ".join(words), states, found.get("into"), found.get("by"), is_mine)

    def fits(self, request: Request) -> bool:
        """What the database was not asked."""
        if self.asker is not None and self.asker not in request.standing.requesters:
            return False
        return not self.words or any(self.words in want.lower() for want in request.wanted.texts)


@signed_in
async def show_inbox(viewer: Viewer) -> Response:
    """The list, and the evidence of the first that waits for the viewer."""
    desk = Desk(viewer.services, viewer.principal)
    found = _ordered(desk, await _found(viewer))
    first = next((one for one in found if one.state is RequestState.REQUESTED and desk.may_decide(one)), None)
    known = None if viewer.request.query_params.get("q") else found
    waits = await Queue(viewer.services, viewer.principal).read(known)
    return _page(viewer, found, None if first is None else await desk.get(first.id), waits)


@signed_in
async def show_waiting(viewer: Viewer) -> Response:
    """Everything that waits, or one kind of it."""
    text = viewer.request.query_params.get("kind", "")
    kind = WaitingKind(text) if text in set(WaitingKind) else None
    waits = await Queue(viewer.services, viewer.principal).read()
    return viewer.page("waiting.html", kind=kind, rows=ordered(waits, kind), tabs=tabs_of(waits), now=clock.now())


def tabs_of(waits: Mapping[WaitingKind, Waits]) -> list[tuple[str, str]]:
    """(title with its number, address) of every kind, for the head of the page."""
    counts = {kind: f"{one.number}{'+' if one.is_more else ''}" for kind, one in waits.items()}
    found = [("Everything", "/requests/waiting"), (f"Requests {counts[WaitingKind.REQUEST]}", "/requests")]
    found += [(f"{title} {counts[kind]}", f"/requests/waiting?kind={kind}") for kind, title in _TITLES.items()]
    return found


@signed_in
async def show_request(viewer: Viewer) -> Response:
    """The list, and the evidence of one."""
    desk = Desk(viewer.services, viewer.principal)
    return _page(viewer, _ordered(desk, await _found(viewer)), await desk.get(_number(viewer)), None)


@signed_in
async def show_beside(viewer: Viewer) -> Response:
    """One request beside the list, for whoever walks it by keys."""
    chosen = await Desk(viewer.services, viewer.principal).get(_number(viewer))
    is_mine = viewer.principal.name in chosen.standing.requesters
    return viewer.part("request.html", chosen=chosen, is_mine=is_mine, wanted="", now=clock.now())


@signed_in
async def show_evidence(viewer: Viewer) -> Response:
    """What would pass and what is known of it: a solve may take its seconds, so the page asks for it afterwards."""
    desk = Desk(viewer.services, viewer.principal)
    found = await desk.get(_number(viewer))
    may_part = desk.may_decide(found) and found.state is RequestState.REQUESTED and len(found.wanted.texts) > 1
    parts: dict[str, Any] = {"request": found, "may_part": may_part, "voted": _voted_part(found)}
    left_out = viewer.request.query_params.getlist("without")
    try:
        look = await desk.look(found, left_out)
    except HeadgateError as error:
        return viewer.part("request_evidence.html", failure=error.message, **parts)
    return viewer.part("request_evidence.html", failure=None, **(evidence_of(look) | parts))


def _voted_part(request: Request) -> Vote | None:
    """The newest approval that leaves something out: others who approve should know of it."""
    return next((one for one in reversed(request.votes) if one.limits.left_out), None)


def evidence_of(look: Look) -> dict[str, Any]:
    """What templates show of a look."""
    plan = look.plan
    rows = sorted(
        (_row(item, look) for item in plan.items if item.state is not ItemState.PRESENT), key=lambda one: one.weight
    )
    return {
        "look": look,
        "may_part": False,
        "is_direct": False,
        "answers": answers_of(plan),
        "rows": rows[:_MOST_ROWS],
        "tomorrow": (clock.now() + timedelta(days=1)).date().isoformat(),
        "more": max(len(rows) - _MOST_ROWS, 0),
        "new_bytes": sum(item.size_bytes for item in plan.new),
        "present": sum(item.state is ItemState.PRESENT for item in plan.items),
        "denied": len(plan.hindrances),
        "affected": sum(bool(one.findings) for one in rows),
        "is_ready": not plan.is_empty and not (plan.hindrances or plan.problems or plan.failures),
    }


def _row(item: Item, look: Look) -> Row:
    verdict = item.opinion.verdict
    known = look.known.get(str(item.record.get("name")), ())
    broken = {ItemState.CONFLICT: "other bytes have this name", ItemState.UNVERIFIABLE: "its record has no sha256"}
    reasons = [one.sentence for one in verdict.reasons if one.outcome is not Outcome.ALLOW]
    if item.ends_at is not None:
        reasons.append(f"It is there until {item.ends_at:%Y-%m-%d %H:%M} UTC; approved again, it stays.")
    return Row(
        item=item,
        look="blocked" if item.state in broken else _LOOKS[verdict.outcome],
        reasons=[broken[item.state], *reasons] if item.state in broken else reasons,
        findings=sorted(
            (one for one in item.opinion.assessment.findings if one.status not in HARMLESS),
            key=lambda one: one.cvss or 0.0,
            reverse=True,
        ),
        changes=changes_of(item, known),
    )


@change
async def approve(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Approve what was seen; on to the next that waits."""
    number = _number(viewer)
    desk = Desk(viewer.services, viewer.principal)
    limits = Limits(form.get("without", "").splitlines(), form.get("why-without", ""), _day(form.get("until", "")))
    request, _ = await desk.approve(number, form.get("digest", ""), form.get("comment", ""), limits)
    said = f"Request {number} is {request.state}."
    if request.rest is not None:
        said += f" What was left out is request {request.rest}."
    if request.state is RequestState.REQUESTED:
        said = f"Request {number} has your approval, and waits for others."
    return viewer.go(await _next(viewer, number), said)


@change
async def approve_ticked(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Approve several, each on the facts that the list showed; those whose facts changed stay."""
    desk = Desk(viewer.services, viewer.principal)
    done, left = [], []
    for key, digest in form.items():
        if key.startswith("ticked-") and key.removeprefix("ticked-").isdecimal():
            number = int(key.removeprefix("ticked-"))
            try:
                await desk.approve(number, digest, form.get("comment", ""))
                done.append(number)
            except HeadgateError as error:
                left.append(f"{number}: {error.message}")
    said = f"Approved: {', '.join(map(str, done)) or 'none'}."
    return viewer.go("/requests", f"{said} {' '.join(left)}".strip())


@change
async def reject(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Reject; on to the next."""
    number = _number(viewer)
    await Desk(viewer.services, viewer.principal).reject(number, form.get("comment", ""))
    return viewer.go(await _next(viewer, number), f"Request {number} is rejected.")


@change
async def ask_changes(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Send it back; on to the next."""
    number = _number(viewer)
    await Desk(viewer.services, viewer.principal).ask_changes(number, form.get("comment", ""))
    return viewer.go(await _next(viewer, number), f"Request {number} went back to those who asked.")


@change
async def withdraw(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Ask no longer."""
    number = _number(viewer)
    await Desk(viewer.services, viewer.principal).withdraw(number, form.get("comment", ""))
    return viewer.go("/requests?q=is:mine", f"You no longer ask for what request {number} asks for.")


@change
async def comment(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Say something."""
    number = _number(viewer)
    await Desk(viewer.services, viewer.principal).comment(number, form.get("comment", ""))
    return viewer.go(f"/requests/{number}", "Your comment is there.")


@change
async def submit(viewer: Viewer, _form: Mapping[str, str]) -> Response:
    """Ask with a draft, or again."""
    request, _ = await Desk(viewer.services, viewer.principal).submit(_number(viewer), None)
    return viewer.go(f"/requests/{request.id}", f"Request {request.id} is {request.state}.")


async def _found(viewer: Viewer) -> list[Request]:
    listed = Listed.parse(viewer.request.query_params.get("q", ""))
    desk = Desk(viewer.services, viewer.principal)
    found = await desk.list_requests(
        states=listed.states,
        target=listed.target,
        is_mine=listed.is_mine,
        limit=_MOST_SCANNED if listed.words or listed.asker else _MOST_LISTED,
        is_oldest_first=listed.states is _OPEN,
    )
    return [one for one in found if listed.fits(one)][:_MOST_LISTED]


def _ordered(desk: Desk, found: Sequence[Request]) -> list[Request]:
    """Whoever waits longest stands first; what the viewer cannot decide stands below."""
    return sorted(found, key=lambda one: (not desk.may_decide(one), one.state is not RequestState.REQUESTED, one.id))


def _page(
    viewer: Viewer, found: Sequence[Request], chosen: Request | None, waits: Mapping[WaitingKind, Waits] | None
) -> Response:
    desk = Desk(viewer.services, viewer.principal)
    wanted = viewer.request.query_params.get("q", "")
    return viewer.page(
        "requests.html",
        part="requests_found.html",
        wanted=wanted,
        keys=_KEYS,
        tabs=None if waits is None else tabs_of(waits),
        requests=found,
        is_more=len(found) == _MOST_LISTED,
        chosen=chosen,
        desk=desk,
        now=clock.now(),
        clean={one.id for one in found if desk.may_decide(one) and is_clean(one)},
        is_mine=chosen is not None and viewer.principal.name in chosen.standing.requesters,
    )


def is_clean(request: Request) -> bool:
    """Whether several like it may be approved in one go: all of it passes, nothing is known against it."""
    said = request.summary
    troubles = ("hindrances", "problems", "affected", "is_known_exploited", "has_scripts")
    return request.state is RequestState.REQUESTED and not any(said.get(one) for one in troubles)


async def _next(viewer: Viewer, number: int) -> str:
    """The next request that waits for the viewer."""
    desk = Desk(viewer.services, viewer.principal)
    found = await desk.list_requests(
        states=[RequestState.REQUESTED], target=None, is_mine=False, limit=_MOST_LISTED, is_oldest_first=True
    )
    waiting = [
        one.id for one in found
        if one.id != number and desk.may_decide(one) and viewer.principal.name not in one.standing.votes
    ]  # fmt: skip
    return f"/requests/{min(waiting)}" if waiting else "/requests"


def _day(text: str) -> datetime | None:
    """The beginning of a day, in UTC; None for no word. Raises Invalid `request-invalid`."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None
    except ValueError as error:
        raise Invalid("request-invalid", f"{text[:40]!r} is no date such as 2027-01-31.") from error


def _number(viewer: Viewer) -> int:
    text: str = viewer.request.path_params["number"]
    if not text.isdecimal() or len(text) > 18:
        raise NotFound("request-unknown", f"There is no request {text[:20]}.")
    return int(text)


ROUTES = [
    Route("/requests", show_inbox),
    Route("/requests/waiting", show_waiting),
    Route("/requests/approve", approve_ticked, methods=["POST"]),
    Route("/requests/{number}", show_request),
    Route("/requests/{number}/beside", show_beside),
    Route("/requests/{number}/evidence", show_evidence),
    Route("/requests/{number}/approve", approve, methods=["POST"]),
    Route("/requests/{number}/reject", reject, methods=["POST"]),
    Route("/requests/{number}/ask-changes", ask_changes, methods=["POST"]),
    Route("/requests/{number}/withdraw", withdraw, methods=["POST"]),
    Route("/requests/{number}/comments", comment, methods=["POST"]),
    Route("/requests/{number}/submit", submit, methods=["POST"]),
]

"""What we say of advisories: of one, of many at once after a look at which, listed, taken back."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.advisories.curating import CurationFilter, check_claim, new_claim
from headgate.advisories.findings import AdvisoryStatus
from headgate.advisories.statements import Claim
from headgate.doors.web.advisories import filter_of, look, matters_of
from headgate.doors.web.fields import lines_in, words_in
from headgate.doors.web.terms import Terms, parse_terms
from headgate.doors.web.toasts import Undo
from headgate.doors.web.viewing import Viewer, change, large_change, signed_in
from headgate.kernel.errors import Invalid, NotFound

_HERE, _JUDGED = "/advisories", "/advisories/judged"
_MOST_AT_ONCE = 1_000
_MOST_SHOWN = 200
_AT_ONCE = 50
_LONGEST_UNDO = 1_500
_SAID = ("status", "justification", "note", "expires", "name", "version", "build", "sha256", "score")
_KEYS = {"advisory:": "of this advisory", "package:": "for this package", "is:": "a status", "by:": "by this person"}


@change
async def curate(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Say how one stands; the toast ends that again."""
    viewer.require(Permission.ADVISORY_CURATE)
    name = viewer.request.path_params["id"]
    ids = await viewer.services.advisories.curations.curate(viewer.actor, [_claim(name, form)])
    await viewer.services.snapshots.reload()
    undo = Undo(f"{_HERE}/{quote(name, safe='')}/end", {"curation": str(ids[0])}) if ids else None
    return viewer.go(f"{_HERE}/{quote(name, safe='')}", f"{name} is {form['status']} here.", undo)


@change
async def end_curation(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Take one back; it stays as history."""
    await _end(viewer, form)
    return viewer.go(f"{_HERE}/{quote(viewer.request.path_params['id'], safe='')}", "The curation is ended.")


@large_change
async def preview(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Which ones would be judged, and how; changes nothing."""
    viewer.require(Permission.ADVISORY_CURATE)
    chosen = await _chosen(viewer, form)
    check_claim(_claim(chosen[0], form))
    listed = await viewer.services.advisories.catalogue.get_many(chosen[:_MOST_SHOWN])
    overview, _ = look(viewer)
    matters = {one.finding.advisory: one for one in matters_of(viewer, overview, "")}
    here = [matters[one] for one in chosen if one in matters]
    return viewer.page(
        "judge_preview.html",
        chosen=chosen,
        shown=[(one, listed.get(one), matters.get(one)) for one in chosen[:_MOST_SHOWN]],
        here=here,
        files=sum(sum(one.files.values()) for one in here),
        judged=sum(bool(one.curated) for one in here),
        said={key: form.get(key, "") for key in _SAID},
        back=_back(form),
        typed=form.get("q", "")[:400],
    )


@large_change
async def judge(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Say it of all that were looked at; the toast ends it again, unless they are too many for it."""
    viewer.require(Permission.ADVISORY_CURATE)
    chosen = await _chosen(viewer, form)
    claims = [_claim(one, form) for one in chosen]
    ids = await viewer.services.advisories.curations.curate(viewer.actor, claims)
    await viewer.services.snapshots.reload()
    numbers = " ".join(map(str, ids))
    undo = Undo(f"{_JUDGED}/end", {"curation": numbers}) if len(numbers) < _LONGEST_UNDO else None
    count = "1 advisory is" if len(chosen) == 1 else f"{len(chosen)} advisories are"
    return viewer.go(_back(form), f"{count} {form['status']} here.", undo)


@signed_in
async def show_judged(viewer: Viewer) -> Response:
    """The curations in force, the newest first."""
    viewer.require(Permission.ADVISORY_READ)
    query = viewer.request.query_params
    typed = query.get("q", "")
    wanted = _filter(parse_terms(typed, [key[:-1] for key in _KEYS]), _number(query.get("before")))
    found = await viewer.services.advisories.curations.list_curations(wanted, limit=_AT_ONCE + 1)
    following = None
    if len(found) > _AT_ONCE:
        following = f"{_JUDGED}?" + urlencode({"q": typed, "before": found[_AT_ONCE - 1].id})
    chosen = urlencode({"advisory": wanted.advisory or "", "name": wanted.name or ""})
    return viewer.page(
        "judged.html",
        part="judged_found.html",
        typed=typed,
        keys=_KEYS,
        curations=found[:_AT_ONCE],
        known=await viewer.services.advisories.catalogue.get_many([one.advisory for one in found[:_AT_ONCE]]),
        following=following,
        export=f"?{chosen}" if wanted.advisory or wanted.name else "",
        may_curate=viewer.may(Permission.ADVISORY_CURATE),
        may_manage=viewer.may(Permission.ADVISORY_MANAGE),
    )


@change
async def end_curations(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Take some back; they stay as history."""
    ended = await _end(viewer, form)
    return viewer.go(_JUDGED, "The curation is ended." if ended == 1 else f"{ended} curations are ended.")


async def _end(viewer: Viewer, form: Mapping[str, str]) -> int:
    viewer.require(Permission.ADVISORY_CURATE)
    numbers = [_number(one) or 0 for one in words_in(form.get("curation", "")) or [""]]
    await viewer.services.advisories.curations.end(viewer.actor, numbers)
    await viewer.services.snapshots.reload()
    return len(numbers)


async def _chosen(viewer: Viewer, form: Mapping[str, str]) -> Sequence[str]:
    """The ids that a form means: those of its lines, those that are ticked, or all of its filter."""
    typed = form.get("q", "")[:400]
    if form.get("ids"):
        found = lines_in(form["ids"])
    elif form.get("which") != "all":
        found = [key.removeprefix("advisory:") for key in form if key.startswith("advisory:")]
    elif form.get("of") == "all":
        catalogue = viewer.services.advisories.catalogue
        found = await catalogue.list_ids(filter_of(typed), _MOST_AT_ONCE + 1)
    else:
        found = [one.finding.advisory for one in matters_of(viewer, look(viewer)[0], typed)]
    if not found:
        raise Invalid("curation-invalid", "Tick advisories, or choose all that fit the filter.")
    if len(found) > _MOST_AT_ONCE:
        raise Invalid("curation-invalid", f"More than {_MOST_AT_ONCE} advisories would be judged. Narrow the filter.")
    return list(dict.fromkeys(found))


def _claim(advisory: str, form: Mapping[str, str]) -> Claim:
    """What a form says. Raises Invalid `curation-invalid`."""
    status = form.get("status", "")
    if status not in set(AdvisoryStatus):
        raise Invalid("curation-invalid", "Choose a status.")
    texts = ("name", "version", "build", "sha256", "justification", "note")
    given: dict[str, Any] = {key: form.get(key, "").strip() or None for key in texts}
    claim = new_claim(
        advisory, AdvisoryStatus(status), **given, score=_score(form), expires=_end_of(form.get("expires", ""))
    )
    check_claim(claim)
    return claim


def _score(form: Mapping[str, str]) -> float | None:
    text = form.get("score", "").strip()
    try:
        return float(text) if text else None
    except ValueError:
        raise Invalid("curation-invalid", f"{text[:40]!r} is no score.") from None


def _end_of(text: str) -> str | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).isoformat()
    except ValueError:
        raise Invalid("curation-invalid", f"{text[:40]!r} is no date.") from None


def _filter(terms: Terms, before: int | None) -> CurationFilter:
    status = terms.get("is")
    if status not in {None, *AdvisoryStatus}:
        raise Invalid("filter-invalid", f"is:{status} is not one of {', '.join(AdvisoryStatus)}.")
    return CurationFilter(
        advisory=terms.get("advisory") or terms.text[:200] or None,
        name=terms.get("package"),
        status=None if status is None else AdvisoryStatus(status),
        author=terms.get("by"),
        before=before,
    )


def _back(form: Mapping[str, str]) -> str:
    """The list that was come from, as it was filtered."""
    path = f"{_HERE}/all" if form.get("of") == "all" else _HERE
    typed = form.get("q", "")[:400]
    return f"{path}?{urlencode({'q': typed})}" if typed else path


def _number(text: str | None) -> int | None:
    """Raises NotFound `curation-unknown`."""
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise NotFound("curation-unknown", f"There is no curation {text[:20]!r}.")
    return int(text)


ROUTES = [
    Route(_JUDGED, show_judged),
    Route(f"{_JUDGED}/end", end_curations, methods=["POST"]),
    Route(f"{_HERE}/judge", judge, methods=["POST"]),
    Route(f"{_HERE}/judge/preview", preview, methods=["POST"]),
    Route("/advisories/{id}/curate", curate, methods=["POST"]),
    Route("/advisories/{id}/end", end_curation, methods=["POST"]),
]

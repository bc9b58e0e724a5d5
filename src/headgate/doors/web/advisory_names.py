"""Which upstream package each conda name is: said by the mapping, by packages themselves, or set here."""

from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.advisories.identities import Origin, choose
from headgate.advisories.names import KnownName
from headgate.doors.web.fields import words_in
from headgate.doors.web.terms import parse_terms
from headgate.doors.web.toasts import Undo
from headgate.doors.web.viewing import Viewer, change, signed_in
from headgate.kernel.errors import HeadgateError, Invalid, Refused

_HERE = "/advisories/names"
_AT_ONCE = 50
_KEYS = {"by:": "curated, purl, mapping or source-url"}
_SAID = {
    Origin.CURATED: "set here",
    Origin.PURL: "its own purl",
    Origin.MAPPING: "the mapping",
    Origin.SOURCE_URL: "its source URL",
}


@signed_in
async def show_names(viewer: Viewer) -> Response:
    """By name; a word is a whole name."""
    return await _page(viewer)


@change
async def set_name(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Say what one is; no purl at all: no PyPI package."""
    viewer.require(Permission.ADVISORY_MANAGE)
    names, name, purls = viewer.services.advisories.names, form.get("name", "").strip(), words_in(form.get("purls", ""))
    before = await _set_here(viewer, name)
    try:
        await names.set_name(viewer.actor, name, purls)
    except Refused:
        raise
    except HeadgateError as error:
        return await _page(viewer, form, error.message)
    await viewer.services.snapshots.reload()
    undo = Undo(f"{_HERE}/unset", {"name": name}) if before is None else Undo(_HERE, {"name": name, "purls": before})
    return viewer.go(_HERE, f"{name} is {', '.join(purls)}." if purls else f"{name} is no PyPI package.", undo)


@change
async def unset_name(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """What was set here goes; the mapping counts again."""
    viewer.require(Permission.ADVISORY_MANAGE)
    name = form.get("name", "").strip()
    before = await _set_here(viewer, name)
    await viewer.services.advisories.names.set_name(viewer.actor, name, None)
    await viewer.services.snapshots.reload()
    undo = None if before is None else Undo(_HERE, {"name": name, "purls": before})
    return viewer.go(_HERE, f"For {name}, the mapping counts again.", undo)


async def _set_here(viewer: Viewer, name: str) -> str | None:
    """The purls that were set here, if any were."""
    found = await viewer.services.advisories.names.list_names(name=name)
    own = [one for known in found for one in known.identities if one.origin is Origin.CURATED]
    return " ".join(str(one.package) for one in own if one.package.name) if own else None


async def _page(viewer: Viewer, form: Mapping[str, str] | None = None, wrong: str | None = None) -> Response:
    viewer.require(Permission.ADVISORY_READ)
    query = viewer.request.query_params
    typed, after = query.get("q", ""), query.get("after", "")[:64].replace("\0", "")
    terms = parse_terms(typed, ["by"])
    by = terms.get("by")
    if by not in {None, *Origin}:
        raise Invalid("filter-invalid", f"by:{by} is not one of {', '.join(Origin)}.")
    found = await viewer.services.advisories.names.list_names(
        name=terms.text[:64] or None, origin=None if by is None else Origin(by), after=after, limit=_AT_ONCE + 1
    )
    following = None
    if len(found) > _AT_ONCE:
        following = f"{_HERE}?" + urlencode({"q": typed, "after": found[_AT_ONCE - 1].name})
    return viewer.page(
        "advisory_names.html",
        422 if wrong else 200,
        part="advisory_names_found.html",
        typed=typed,
        keys=_KEYS,
        names=[(one.name, _rows(one), _is_set(one)) for one in found[:_AT_ONCE]],
        said=_SAID,
        following=following,
        may_manage=viewer.may(Permission.ADVISORY_MANAGE),
        form=form or {},
        wrong=wrong,
    )


def _rows(known: KnownName) -> list[tuple[str | None, str, str, bool]]:
    used = choose(known.identities)
    return [
        (str(one.package) if one.package.name else None, _SAID[one.origin], one.sureness.value, one in used)
        for one in known.identities
    ]


def _is_set(known: KnownName) -> bool:
    return any(one.origin is Origin.CURATED for one in known.identities)


ROUTES = [
    Route(_HERE, show_names),
    Route(_HERE, set_name, methods=["POST"]),
    Route(f"{_HERE}/unset", unset_name, methods=["POST"]),
]

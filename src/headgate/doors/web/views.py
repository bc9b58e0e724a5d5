"""Saved views: kept below a filter bar, listed and removed on a page of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.access.views import LONGEST_NAME, NEEDED, Place, View, ViewWish
from headgate.doors.web.toasts import Undo
from headgate.doors.web.viewing import Viewer, change, signed_in
from headgate.kernel.errors import NotFound

_PAGES: Mapping[Place, tuple[str, str]] = {
    Place.SEARCH: ("Search", "/search"),
    Place.ADVISORIES: ("Advisories", "/advisories"),
    Place.AUDIT: ("Audit", "/audit"),
    Place.DOWNLOADS: ("Downloads", "/audit/requests"),
}
_LONGEST_ID = 18


@dataclass(frozen=True, slots=True)
class SavedViews:
    """What a page offers below its filter bar: the views that are there, and to keep what is typed."""

    place: Place
    typed: str
    views: Sequence[View]
    may_share: bool

    @property
    def is_known(self) -> bool:
        """Whether what is typed is a view already, or nothing."""
        return not self.typed.strip() or any(one.query == self.typed.strip() for one in self.views)

    @property
    def longest_name(self) -> int:
        """How many letters a name may have."""
        return LONGEST_NAME


async def saved_views(viewer: Viewer, place: Place, typed: str) -> SavedViews | None:
    """None for those who are nobody in particular: they have nowhere to keep a view."""
    owner = viewer.principal.user_id
    if viewer.visitor is None or owner is None:
        return None
    views = await viewer.services.core.access.views.list_views(owner, [place])
    return SavedViews(place, typed, views, viewer.may(Permission.VIEW_SHARE))


def view_path(place: Place, query: str) -> str:
    """The page of a view: its filter is in the address."""
    return f"{_PAGES[place][1]}?{urlencode({'q': query})}"


@signed_in
async def show_views(viewer: Viewer) -> Response:
    """One's own, and those that others share, by page."""
    places = [one for one in Place if _may_see(viewer, one)]
    found = await viewer.services.core.access.views.list_views(viewer.principal.user_id or 0, places)
    rows = [(one, _PAGES[one.place][0], view_path(one.place, one.query)) for one in found]
    return viewer.page("views.html", rows=rows, may_share=viewer.may(Permission.VIEW_SHARE))


@change
async def save_view(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Keep what is typed; the toast removes it again, unless it took the place of another."""
    place, is_shared = _place(form.get("place", "")), form.get("is_shared") == "yes"
    needed = NEEDED[place]
    if needed is not None:
        viewer.require(needed)
    if is_shared:
        viewer.require(Permission.VIEW_SHARE)
    owner = viewer.principal.user_id or 0
    wish = ViewWish(place, form.get("name", ""), form.get("query", ""), is_shared)
    views, mine = viewer.services.core.access.views, viewer.principal.name
    known = {one.id for one in await views.list_views(owner, [place]) if one.owner == mine}
    made = await views.save(viewer.actor, owner, wish)
    undo = None if made.id in known else Undo("/views/remove", {"id": str(made.id)})
    said = f"The view {made.name} is saved{', for everybody who may see this page' if is_shared else ''}."
    return viewer.go(view_path(place, made.query), said, undo)


@change
async def remove_view(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Remove one; the toast saves one's own again."""
    text, owner = form.get("id", ""), viewer.principal.user_id or 0
    if not text.isascii() or not text.isdecimal() or len(text) > _LONGEST_ID:
        raise NotFound("view-unknown", "There is no such saved view.")
    may_share = viewer.may(Permission.VIEW_SHARE)
    views = viewer.services.core.access.views
    gone = await views.remove(viewer.actor, owner, int(text), may_manage_shared=may_share)
    fields = {
        "place": str(gone.place),
        "name": gone.name,
        "query": gone.query,
        "is_shared": "yes" if gone.is_shared else "",
    }
    undo = Undo("/views/save", fields) if gone.owner == viewer.principal.name else None
    return viewer.go("/views", f"The view {gone.name} is removed.", undo)


def _place(text: str) -> Place:
    try:
        return Place(text)
    except ValueError:
        raise NotFound("view-unknown", "There is no such page with saved views.") from None


def _may_see(viewer: Viewer, place: Place) -> bool:
    needed = NEEDED[place]
    return needed is None or viewer.may(needed)


ROUTES = [
    Route("/views", show_views),
    Route("/views/save", save_view, methods=["POST"]),
    Route("/views/remove", remove_view, methods=["POST"]),
]

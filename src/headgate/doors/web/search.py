"""Search: the page, and what the command palette offers while one types."""

from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.views import Place
from headgate.channels.search import MOST
from headgate.channels.search_found import Found
from headgate.channels.search_query import KEYS, parse_query
from headgate.doors.web.navigation import entries_for
from headgate.doors.web.viewing import Viewer, anyone
from headgate.doors.web.views import saved_views
from headgate.kernel.errors import Invalid

_MOST_OFFERED = 8
_LONGEST = 400


@anyone
async def show_search(viewer: Viewer) -> Response:
    """What is found in all channels that the viewer may read."""
    text = viewer.request.query_params.get("q", "").strip()[:_LONGEST]
    start = _number(viewer.request.query_params.get("start"))
    mistake, found = None, Found()
    try:
        query = parse_query(text)
        found = await viewer.services.search.search(query, viewer.channels(), start=start)
    except Invalid as error:
        mistake = error.message
    channels = [one for one in viewer.channels() if text and text.lower() in one.name]
    return viewer.page(
        "search.html",
        part="search_found.html",
        wanted=text,
        keys=KEYS,
        saved=await saved_views(viewer, Place.SEARCH, text),
        found=found,
        mistake=mistake,
        channels=channels[:_MOST_OFFERED] if start == 0 else [],
        start=start,
        forward=_page(text, start + MOST) if start + MOST < found.total else None,
        back=_page(text, max(start - MOST, 0)) if start else None,
    )


@anyone
async def suggest(viewer: Viewer) -> Response:
    """Pages, channels and packages whose names hold what is typed."""
    wanted = viewer.request.query_params.get("q", "").strip()[:_LONGEST]
    pages = [entry for entry in entries_for(viewer) if wanted.lower() in entry.title.lower()]
    channels = [one.name for one in viewer.channels() if wanted and wanted.lower() in one.name]
    packages = await viewer.services.search.suggest(wanted, viewer.channels(), _MOST_OFFERED) if wanted else []
    return viewer.part(
        "suggestions.html",
        wanted=wanted,
        pages=pages,
        channels=channels[:_MOST_OFFERED],
        packages=packages,
    )


def _page(text: str, start: int) -> str:
    return "/search?" + urlencode({"q": text, **({"start": start} if start else {})})


def _number(text: str | None) -> int:
    return min(int(text), 1_000_000) if text and text.isascii() and text.isdecimal() and len(text) < 8 else 0


ROUTES = [
    Route("/search", show_search),
    Route("/search/suggestions", suggest),
]

"""Search: the page, and what the command palette offers while one types."""

from starlette.responses import Response
from starlette.routing import Route

from headgate.doors.web.navigation import entries_for
from headgate.doors.web.viewing import Viewer, anyone

_MOST_OFFERED = 8


@anyone
async def show_search(viewer: Viewer) -> Response:
    """What is found in all channels that the viewer may read."""
    wanted = viewer.request.query_params.get("q", "").strip()
    return viewer.page("search.html", part="search_found.html", wanted=wanted, channels=_channels(viewer, wanted))


@anyone
async def suggest(viewer: Viewer) -> Response:
    """Pages and channels whose names hold what is typed."""
    wanted = viewer.request.query_params.get("q", "").strip()
    pages = [entry for entry in entries_for(viewer) if wanted.lower() in entry.title.lower()]
    return viewer.part("suggestions.html", wanted=wanted, pages=pages, channels=_channels(viewer, wanted))


def _channels(viewer: Viewer, wanted: str) -> list[str]:
    if not wanted:
        return []
    return [str(one.name) for one in viewer.channels() if wanted.lower() in one.name][:_MOST_OFFERED]


ROUTES = [
    Route("/search", show_search),
    Route("/search/suggestions", suggest),
]

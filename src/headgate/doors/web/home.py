"""The server's front page."""

from starlette.responses import Response
from starlette.routing import Route

from headgate.doors.web.viewing import Viewer, anyone


@anyone
async def show_home(viewer: Viewer) -> Response:
    """The channels that the viewer may read."""
    return viewer.page("home.html", channels=viewer.channels(), url=viewer.url())


ROUTES = [Route("/", show_home)]

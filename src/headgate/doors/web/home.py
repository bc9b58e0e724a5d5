"""The server's front page."""

from collections.abc import Sequence

from headgate.channels.model import Channel
from headgate.doors.pages import render_page


def render_home(channels: Sequence[Channel], url: str, name: str | None) -> bytes:
    """The channels that the visitor (None: whoever) may read, on the server whose address is `url`."""
    return render_page("home.html", channels=channels, url=url, name=name)

"""The page that a person sees at a channel's root: what the channel is, and how to use it."""

from headgate.channels.model import Channel
from headgate.doors.pages import render_page


def render_listing(channel: Channel, url: str) -> bytes:
    """The page of a channel whose address is `url`."""
    subdirs = sorted(channel.subdirs.values(), key=lambda state: state.name)
    return render_page("channel.html", channel=channel, subdirs=subdirs, url=url)

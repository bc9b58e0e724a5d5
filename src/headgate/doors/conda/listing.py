"""The page that a person sees at a channel's root: what the channel is, and how to use it."""

from jinja2 import Environment, PackageLoader

from headgate.channels.model import Channel

_ENVIRONMENT = Environment(loader=PackageLoader("headgate.doors", "templates"), autoescape=True)


def render_listing(channel: Channel, url: str) -> bytes:
    """An HTML page that loads nothing from anywhere."""
    subdirs = sorted(channel.subdirs.values(), key=lambda state: state.name)
    return _ENVIRONMENT.get_template("channel.html").render(channel=channel, subdirs=subdirs, url=url).encode()


def render_home(channels: list[Channel], url: str) -> bytes:
    """The server's front page: the channels that the visitor may read."""
    return _ENVIRONMENT.get_template("home.html").render(channels=channels, url=url).encode()

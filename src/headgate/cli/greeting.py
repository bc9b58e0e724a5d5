"""What a person needs first: the page, and the lines to paste into a client."""

import socket
from typing import Any

from headgate.cli.folder import ADMINISTRATOR, HOSTED, MIRROR, Founding
from headgate.settings import ServerSettings

_WILDCARDS = {"0.0.0.0", "::", ""}  # noqa: S104 - compared, not bound


def page_url(server: ServerSettings) -> str:
    """Where people and clients find the server, without a slash at the end."""
    if server.public_url:
        return server.public_url.rstrip("/")
    host = socket.gethostname() if server.host in _WILDCARDS else server.host
    return f"http://{f'[{host}]' if ':' in host else host}:{server.port}"


def greeting(founding: Founding, url: str) -> dict[str, Any]:
    """The same for machines."""
    channels = {name: f"{url}/conda/{name}" for name in (MIRROR, HOSTED)}
    return {
        "created": founding.is_new,
        "page": f"{url}/",
        "administrator": {"name": ADMINISTRATOR, "password": founding.password},
        "channels": channels,
        "conda": [f"conda config --add channels {channel}" for channel in channels.values()],
        "pixi": [f"pixi init -c {channels[HOSTED]}", f'channels = ["{channels[HOSTED]}"]'],
    }


def sign_in_lines(founding: Founding) -> list[str]:
    """How the administrator signs in, when that was just decided."""
    if not founding.is_new:
        return []
    if founding.password is None:
        return [f"Administrator: {ADMINISTRATOR}, with the password in HEADGATE_ADMIN_PASSWORD"]
    return [f"Administrator: {ADMINISTRATOR}", f"Password (shown this once): {founding.password}"]


def client_lines(document: dict[str, Any]) -> list[str]:
    """The lines to paste."""
    return [
        "conda and mamba:",
        *(f"  {line}" for line in document["conda"]),
        "pixi, for a new project, or in pixi.toml:",
        *(f"  {line}" for line in document["pixi"]),
    ]

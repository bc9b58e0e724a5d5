"""Where the pages of things are. Names may hold slashes: the last parts of a path say what of a channel is meant."""

from urllib.parse import quote


def package_path(channel: str, name: str) -> str:
    """The page of a package in a channel."""
    return f"/packages/{quote(channel)}/{quote(name, safe='')}"


def file_path(channel: str, subdir: str, filename: str) -> str:
    """The page of a file."""
    return f"/files/{quote(channel)}/{quote(subdir, safe='')}/{quote(filename, safe='')}"


def channel_path(channel: str) -> str:
    """The page of a channel."""
    return f"/channels/{quote(channel)}"


def advisory_path(advisory: str) -> str:
    """The page of an advisory."""
    return f"/advisories/{quote(advisory, safe='')}"

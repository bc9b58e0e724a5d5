"""What jobs are asked to do, as they are written down: plain JSON values."""

from typing import TypedDict


class SyncRequest(TypedDict):
    """Follow the upstreams of a mirror. `subdirs` None: those its sources name, else every known one."""

    channel: str
    subdirs: list[str] | None


class PublishRequest(TypedDict):
    """Render a document of a subdir (`""`: of the whole channel)."""

    channel: str
    subdir: str
    document: str


class ReviseRequest(TypedDict):
    """Judge again what a changed policy, or time, makes stale in a subdir."""

    channel: str
    subdir: str


class UpkeepRequest(TypedDict):
    """Collect what nobody names any more."""

    shard_age_days: int
    blob_age_hours: int

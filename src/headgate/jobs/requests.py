"""What jobs are asked to do, as they are written down: plain JSON values."""

from typing import NotRequired, TypedDict


class SyncRequest(TypedDict):
    """Follow the mirrors of a channel. `mirror` None: all. `subdirs` None: those they name, else every known one."""

    channel: str
    mirror: NotRequired[str | None]
    subdirs: list[str] | None


class LdapRequest(TypedDict):
    """Follow an LDAP directory; `is_forced` disables leavers however many they are."""

    directory: str
    is_forced: bool


class FetchRequest(TypedDict):
    """Bring artifacts of a mirror here. `files` None: those its settings name, else every file of these names."""

    channel: str
    files: list[str] | None


class PublishRequest(TypedDict):
    """Render a document of a subdir (`""`: of the whole channel)."""

    channel: str
    subdir: str
    document: str


class FeedRequest(TypedDict):
    """Ask the URL of an advisory feed for what is new."""

    actor: str
    feed: str


class AdvisoriesRequest(TypedDict):
    """Read an uploaded file, by its sha256, into an advisory feed."""

    actor: str
    feed: str
    sha256: str
    is_whole: bool


class ReviseRequest(TypedDict):
    """Judge again what a changed policy, or time, makes stale in a subdir."""

    channel: str
    subdir: str


class PromoteRequest(TypedDict):
    """Carry out a promotion that was decided on."""

    promotion: int


class BatchRequest(TypedDict):
    """Change files of a hosted channel together; `digest` is that of the preview that was decided on."""

    actor: str
    action: str
    channel: str
    wants: list[str]
    target: str | None
    subdirs: list[str]
    digest: str
    comment: str


class ExpireRequest(TypedDict):
    """End the requests on which nobody decided in time."""

    actor: str


class BackupRequest(TypedDict):
    """Make a backup."""

    actor: str


class UpkeepRequest(TypedDict):
    """Collect what nobody names any more."""

    shard_age_days: int
    blob_age_hours: int
    history_days: int


class ExportRequest(TypedDict):
    """Prepare a bundle; what it shall hold is written down in the folder of `export`."""

    channel: str
    export: str
    actor: str


class ImportRequest(TypedDict):
    """Take the bundle at `path` in. `trusted`: the key to trust; None: those kept on the server."""

    channel: str
    path: str
    trusted: str | None
    actor: str


class ScanRequest(TypedDict):
    """Look through the drop folder."""

    actor: str

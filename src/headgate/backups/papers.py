"""`backup.json`: what a backup says of itself. A folder without one is none of ours."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

PAPER = "backup.json"
PART = ".part"
LEFT_OUT = ("incoming/", "scratch/", "exports/", "outgoing/", "workers/", "metrics/")
ELSEWHERE = (
    "The databases are in PostgreSQL, so that no backup of ours has them: run pg_dump before each, for a file is stored "
    "before the database names it."
)
_NAME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{6}Z")
_FORMAT = "%Y-%m-%dT%H%M%SZ"


class Paper(msgspec.Struct, frozen=True, kw_only=True):
    """Who made a backup when, and what is in it; sizes in bytes. `is_whole` is False until all of it is there."""

    format: int = 1
    is_whole: bool
    made_at: datetime
    by: str
    job: str
    version: str
    schema_revision: str | None
    databases: tuple[str, ...] = ()
    """Files of SQLite in it; none with PostgreSQL."""
    files: int = 0
    bytes: int = 0
    linked_files: int = 0
    """Of `files`, those that share their bytes with the backup before."""
    linked_bytes: int = 0
    missing_files: int = 0
    """That the database names, and that the data folder did not have either."""
    left_out: tuple[str, ...] = LEFT_OUT
    said: str | None = None
    """What has to be backed up elsewhere."""

    def as_dict(self) -> dict[str, Any]:
        """What a list shows of it."""
        shown = msgspec.structs.asdict(self)
        return {key: shown[key] for key in shown if key not in {"format", "is_whole", "said"}}


def name_of(moment: datetime) -> str:
    """The folder of a backup that was begun at a moment, such as `2026-11-21T183000Z`."""
    return moment.astimezone(UTC).strftime(_FORMAT)


def is_name(text: str) -> bool:
    """True for what a folder of ours may be called."""
    return _NAME.fullmatch(text) is not None


def read_paper(folder: Path) -> Paper | None:
    """What a folder says of itself; None where it says nothing that we understand."""
    try:
        return msgspec.json.decode((folder / PAPER).read_bytes(), type=Paper)
    except (OSError, msgspec.MsgspecError):
        return None


def render_paper(paper: Paper) -> bytes:
    """The text of the file."""
    return msgspec.json.format(msgspec.json.encode(paper)) + b"\n"

"""The files that channels hold: uploaded ones, and those kept after a client asked for them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, tuple_

from headgate.channels.model import Channel
from headgate.conda.names import ArtifactName, PackageName, Sha256, Subdir
from headgate.db import tables
from headgate.db.engine import Database
from headgate.kernel.errors import NotFound
from headgate.policy.verdicts import Outcome, Reason, Verdict

DELETED = "deleted"
LAPSED = "lapsed"
"""Of a file whose approval has ended: out of the index and out of reach until it is approved again."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file of a channel. `status`: active, yanked, lapsed or deleted; `origin`: upload or cache."""

    subdir_id: int
    subdir: Subdir
    filename: str
    package: str
    status: str
    origin: str
    sha256: Sha256
    size_bytes: int
    created_at: datetime
    created_by: str
    ends_at: datetime | None
    """Until when it may stay; None: for good."""


@dataclass(frozen=True, slots=True)
class ArtifactFilter:
    """Which files to list; without a status, all but the deleted ones."""

    subdir: Subdir | None = None
    package: PackageName | None = None
    status: str | None = None


async def list_artifacts(
    database: Database, channel: Channel, chosen: ArtifactFilter, *, after: tuple[int, str] | None, limit: int
) -> list[Artifact]:
    """Files ordered by subdir (its id) and name, behind the (subdir id, file name) `after`."""
    columns = tables.artifact.c
    statement = _of(channel).order_by(columns.subdir_id, columns.filename).limit(limit)
    is_wanted = columns.status != DELETED if chosen.status is None else columns.status == chosen.status
    statement = statement.where(is_wanted)
    if chosen.subdir is not None:
        statement = statement.where(tables.subdir.c.name == chosen.subdir)
    if chosen.package is not None:
        statement = statement.where(columns.package == chosen.package)
    if after is not None:
        statement = statement.where(tuple_(columns.subdir_id, columns.filename) > after)
    async with database.read() as connection:
        return [_artifact(row) for row in await connection.execute(statement)]


async def get_artifact(database: Database, channel: Channel, subdir: Subdir, name: ArtifactName) -> Artifact:
    """One file, deleted or not. Raises NotFound `artifact-unknown`."""
    statement = _of(channel).where(tables.subdir.c.name == subdir, tables.artifact.c.filename == name.filename)
    async with database.read() as connection:
        row = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise NotFound("artifact-unknown", f"There is no {name} in {channel.name}/{subdir}.")
    return _artifact(row)


def verdict_of_lapsed(ends_at: datetime) -> Verdict:
    """What is said of a file whose approval has ended."""
    fact = f"Its approval ended at {ends_at:%Y-%m-%d %H:%M} UTC."
    return Verdict(Outcome.HOLD, (Reason("approval", "until", Outcome.HOLD, fact, "Ask for it again."),))


def _of(channel: Channel) -> Select[Any]:
    columns = tables.artifact.c
    return (
        select(
            columns.subdir_id,
            tables.subdir.c.name,
            columns.filename,
            columns.package,
            columns.status,
            columns.origin,
            columns.sha256,
            columns.size_bytes,
            columns.created_at,
            columns.created_by,
            columns.ends_at,
        )
        .join(tables.subdir, tables.subdir.c.id == columns.subdir_id)
        .where(tables.subdir.c.channel_id == channel.id)
    )


def _artifact(row: Any) -> Artifact:
    return Artifact(
        subdir_id=row.subdir_id,
        subdir=Subdir(row.name),
        filename=row.filename,
        package=row.package,
        status=row.status,
        origin=row.origin,
        sha256=Sha256(row.sha256),
        size_bytes=row.size_bytes,
        created_at=row.created_at,
        created_by=row.created_by,
        ends_at=row.ends_at,
    )

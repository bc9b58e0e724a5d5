"""What the next clean-up would remove, by the settings as they are; nothing is removed here.

The conditions are those of `collect.py`, asked in its order: entries first, then the shards that only they named.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import exists, func, select

from headgate.channels.collect import superseded_entries, unnamed_blob, unnamed_shard
from headgate.channels.model import Channel
from headgate.db import tables
from headgate.db.engine import Database

_MOST_FILES = 100


@dataclass(frozen=True, slots=True)
class Ages:
    """How long what nobody names any more is kept: shards and history, and bytes."""

    shard: timedelta
    blob: timedelta


@dataclass(frozen=True, slots=True)
class DoomedFile:
    """A deleted file whose bytes go."""

    subdir: str
    filename: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would go. `entries`: states of package names that only old revisions have; `listed`: the first of the files.

    Of a channel: shards that its old revisions have, and files that were deleted there, and that nobody else names. Of all
    channels: whatever nobody names, documents that were rendered anew included.
    """

    entries: int
    shards: int
    shard_bytes: int
    files: int
    file_bytes: int
    listed: Sequence[DoomedFile]

    @property
    def is_nothing(self) -> bool:
        """Whether all of it stays."""
        return not (self.entries or self.shards or self.files)


class Retention:
    """Looks ahead."""

    def __init__(self, database: Database, ages: Ages) -> None:
        self._database = database
        self.ages = ages

    async def foresee(self, channel: Channel | None = None) -> Foreseen:
        """What the next clean-up would remove, of one channel or of all; as large as the history, so it may take seconds."""
        async with self._database.read() as connection:
            entries = (await connection.execute(self._entries(channel))).scalar_one()
            shards, shard_bytes = (await connection.execute(self._shards(channel))).one()
            blobs, blob_bytes = (await connection.execute(self._blobs(channel))).one()
            rows = await connection.execute(self._files(channel))
            listed = [DoomedFile(*row) for row in rows]
        return Foreseen(entries, shards, int(shard_bytes or 0), blobs, int(blob_bytes or 0), listed)

    def _entries(self, channel: Channel | None) -> Any:
        old, is_superseded = superseded_entries(self.ages.shard)
        statement = select(func.count()).select_from(old).where(is_superseded)
        return statement if channel is None else statement.where(old.c.subdir_id.in_(_subdirs(channel)))

    def _shards(self, channel: Channel | None) -> Any:
        columns = tables.shard.c
        old, is_superseded = superseded_entries(self.ages.shard)
        is_named = exists(select(old.c.digest).where(old.c.digest == columns.digest, ~is_superseded))
        statement = select(func.count(), func.sum(func.length(columns.body))).where(
            unnamed_shard(self.ages.shard, is_named)
        )
        if channel is None:
            return statement
        entry = tables.entry.c
        has_it = exists(
            select(entry.digest).where(entry.digest == columns.digest, entry.subdir_id.in_(_subdirs(channel)))
        )
        return statement.where(has_it)

    def _blobs(self, channel: Channel | None) -> Any:
        columns = tables.blob.c
        statement = select(func.count(), func.sum(columns.size_bytes)).where(unnamed_blob(self.ages.blob))
        if channel is None:
            return statement
        artifact = tables.artifact.c
        was_here = exists(
            select(artifact.id).where(artifact.sha256 == columns.sha256, artifact.subdir_id.in_(_subdirs(channel)))
        )
        return statement.where(was_here)

    def _files(self, channel: Channel | None) -> Any:
        artifact, subdir, blob = tables.artifact.c, tables.subdir.c, tables.blob.c
        statement = (
            select(subdir.name, artifact.filename, artifact.size_bytes, artifact.sha256)
            .join(tables.subdir, subdir.id == artifact.subdir_id)
            .join(tables.blob, blob.sha256 == artifact.sha256)
            .where(unnamed_blob(self.ages.blob))
            .order_by(artifact.size_bytes.desc(), subdir.name, artifact.filename)
            .limit(_MOST_FILES)
        )
        return statement if channel is None else statement.where(artifact.subdir_id.in_(_subdirs(channel)))


def _subdirs(channel: Channel) -> list[int]:
    return [state.id for state in channel.subdirs.values()]

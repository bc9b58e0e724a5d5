"""Files that may stay until a moment: they leave the channel when it has passed, unless they were approved again.

The end stands with the file, so what is due is one look into an index. A lapsed file is out of the index and out of
reach; its bytes stay. A frozen channel stands still: what is due in it leaves when it thaws.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.audit.events import Action, record
from headgate.channels.catalog import get_channel
from headgate.channels.model import Channel
from headgate.conda.names import ArtifactName, Subdir
from headgate.db import tables
from headgate.db.engine import Database
from headgate.intake.hosted import Change, SetStatus, apply_together, lapse

ACTOR = "headgate"
CAUSE = "approvals ended"
_MOST_AT_ONCE = 1_000
_THERE = ("active", "yanked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prolong(Change):
    """Let a file stay longer than it would have: until `ends_at`, or (None) for good."""

    ends_at: datetime | None
    cause: str

    async def apply(self, connection: AsyncConnection, channel: Channel, subdir_id: int) -> bool:
        """The index stays as it is; a file that may stay longer already keeps its end."""
        columns = tables.artifact.c
        chosen = (columns.subdir_id == subdir_id) & (columns.filename == self.artifact.filename)
        chosen &= columns.ends_at.is_not(None) & columns.status.in_(_THERE)
        if self.ends_at is not None:
            chosen &= columns.ends_at < self.ends_at
        done = await connection.execute(update(tables.artifact).where(chosen).values(ends_at=self.ends_at))
        if done.rowcount:
            await record(
                connection, Action.ARTIFACT_PROLONG, self.actor, channel=channel.name,
                subject=f"{self.subdir}/{self.artifact}", ends_at=self.ends_at and self.ends_at.isoformat(),
                cause=self.cause,
            )  # fmt: skip
        return False


async def lapse_due(database: Database, now: datetime) -> int:
    """Take out what may stay no longer, one revision per subdir; how many files."""
    columns = tables.artifact.c
    due = (
        select(tables.channel.c.name.label("channel"), tables.subdir.c.name.label("subdir"), columns.filename)
        .join(tables.subdir, tables.subdir.c.id == columns.subdir_id)
        .join(tables.channel, tables.channel.c.id == tables.subdir.c.channel_id)
        .where(*_due(now))
        .order_by(columns.ends_at)
        .limit(_MOST_AT_ONCE)
    )
    done = 0
    while True:
        async with database.write() as connection:
            found = (await connection.execute(due.with_for_update(of=tables.artifact))).all()
            changes: defaultdict[str, list[SetStatus]] = defaultdict(list)
            for row in found:
                changes[row.channel].append(lapse(ACTOR, Subdir(row.subdir), ArtifactName.parse(row.filename)))
            for name, some in changes.items():
                channel = await get_channel(connection, name)
                await apply_together(connection, channel, some, CAUSE)
        done += len(found)
        if len(found) < _MOST_AT_ONCE:
            return done


async def has_lapsed(database: Database, now: datetime) -> bool:
    """Whether there is something to take out."""
    due = (
        select(tables.artifact.c.id)
        .join(tables.subdir, tables.subdir.c.id == tables.artifact.c.subdir_id)
        .join(tables.channel, tables.channel.c.id == tables.subdir.c.channel_id)
        .where(*_due(now))
        .limit(1)
    )
    async with database.read() as connection:
        return (await connection.execute(due)).first() is not None


def _due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    columns = tables.artifact.c
    return columns.ends_at <= now, columns.status.in_(_THERE), tables.channel.c.frozen_at.is_(None)

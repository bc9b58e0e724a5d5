"""What a channel's subdirs have been: the list of their revisions."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, tuple_

from headgate.channels.model import Channel
from headgate.conda.names import Subdir
from headgate.db import tables
from headgate.db.engine import Database
from headgate.kernel import clock


@dataclass(frozen=True, slots=True)
class Revision:
    """One published state of a subdir; `changed` counts the package names that differ from the one before."""

    subdir_id: int
    subdir: Subdir
    number: int
    created_at: datetime
    cause: str
    changed: int

    @property
    def key(self) -> tuple[int, int, int]:
        """Its place in the list: moment (ms), subdir id, number."""
        return clock.to_ms(self.created_at), self.subdir_id, self.number


async def list_revisions(
    database: Database, channel: Channel, subdir: Subdir | None, *, before: tuple[int, int, int] | None, limit: int
) -> list[Revision]:
    """Revisions of a channel, or of one subdir, the newest first; only those past the key `before`."""
    columns = tables.revision.c
    statement = (
        select(tables.revision, tables.subdir.c.name)
        .join(tables.subdir, tables.subdir.c.id == columns.subdir_id)
        .where(tables.subdir.c.channel_id == channel.id)
        .order_by(columns.created_at.desc(), columns.subdir_id.desc(), columns.number.desc())
        .limit(limit)
    )
    if subdir is not None:
        statement = statement.where(tables.subdir.c.name == subdir)
    if before is not None:
        place = (clock.from_ms(before[0]), *before[1:])
        statement = statement.where(tuple_(columns.created_at, columns.subdir_id, columns.number) < place)
    async with database.read() as connection:
        return [
            Revision(row.subdir_id, Subdir(row.name), row.number, row.created_at, row.cause, row.changed)
            for row in await connection.execute(statement)
        ]

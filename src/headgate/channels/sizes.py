"""How much channels hold."""

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import func, select

from headgate.channels.artifacts import DELETED
from headgate.db import tables
from headgate.db.engine import Database


@dataclass(frozen=True, slots=True)
class Held:
    """So many files, of so many bytes."""

    files: int = 0
    size_bytes: int = 0

    def __add__(self, other: "Held") -> "Held":
        return Held(self.files + other.files, self.size_bytes + other.size_bytes)


async def read_held(database: Database) -> dict[int, dict[str, Held]]:
    """What every channel (by its id) holds, by subdir: uploads, and what a mirror has fetched. One query."""
    columns = tables.artifact.c
    statement = (
        select(tables.subdir.c.channel_id, tables.subdir.c.name, func.count(), func.sum(columns.size_bytes))
        .join(tables.subdir, tables.subdir.c.id == columns.subdir_id)
        .where(columns.status != DELETED)
        .group_by(tables.subdir.c.channel_id, tables.subdir.c.name)
    )
    found: dict[int, dict[str, Held]] = defaultdict(dict)
    async with database.read() as connection:
        for channel, subdir, files, size_bytes in await connection.execute(statement):
            found[channel][subdir] = Held(files, int(size_bytes))
    return dict(found)

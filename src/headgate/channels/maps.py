"""Published maps in memory: name -> shard digest per subdir, followed revision by revision."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.channels.model import SubdirState
from headgate.conda.shards import encode_index
from headgate.db import tables
from headgate.db.engine import Database
from headgate.kernel.errors import NotFound


@dataclass(slots=True)
class ShardMap:
    """The map of one subdir at one revision, with the shard index made of it."""

    revision: int = 0
    revised_at: datetime | None = None
    digests: dict[str, bytes] = field(default_factory=dict)
    shown: set[bytes] = field(default_factory=set)
    """Digests of this revision, and of those before it that this process has seen."""
    index: bytes = b""
    etag: str = ""


async def read_map(
    connection: AsyncConnection, subdir_id: int, *, after: int = 0, until: int | None = None
) -> dict[str, bytes | None]:
    """The last entry of every name that changed in the revisions after `after`, `until` included; None: it left.

    With `after=0` that is the whole map, once the names that left are dropped from it.
    """
    columns = tables.entry.c
    statement = select(columns.name, columns.digest).where(columns.subdir_id == subdir_id, columns.revision > after)
    if until is not None:
        statement = statement.where(columns.revision <= until)
    rows = await connection.execute(statement.order_by(columns.revision))
    return dict(rows.all())


class Maps:
    """Loads a subdir's map at the first question and only what changed afterwards."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._maps: dict[int, ShardMap] = {}
        self._locks: dict[int, asyncio.Lock] = {}

    def find_hot(self, subdir: SubdirState) -> ShardMap | None:
        """The map if it is in memory at the revision asked for."""
        known = self._maps.get(subdir.id)
        return known if known is not None and known.revision >= subdir.revision and known.etag else None

    async def get(self, subdir: SubdirState) -> ShardMap:
        """The map at this revision or, if one was committed since, a later one."""
        async with self._locks.setdefault(subdir.id, asyncio.Lock()):
            known = self.find_hot(subdir)
            if known is None:
                known = await self._follow(subdir)
            return known

    async def shows(self, subdir: SubdirState, digest: bytes) -> bool:
        """True when a revision of the subdir that is still remembered names the shard."""
        known = self.find_hot(subdir) or await self.get(subdir)
        if digest in known.shown:
            return True
        columns = tables.entry.c
        async with self._database.read() as connection:
            found = await connection.execute(
                select(columns.revision).where(columns.digest == digest, columns.subdir_id == subdir.id).limit(1)
            )
        return found.first() is not None

    async def _follow(self, subdir: SubdirState) -> ShardMap:
        old = self._maps.get(subdir.id) or ShardMap()
        async with self._database.read() as connection:
            row = (
                await connection.execute(
                    select(tables.subdir.c.revision, tables.subdir.c.revised_at, tables.subdir.c.info).where(
                        tables.subdir.c.id == subdir.id
                    )
                )
            ).one_or_none()
            if row is None:
                raise NotFound("subdir-unknown", "The subdir was deleted meanwhile.")
            revision, revised_at = row.revision, row.revised_at
            changes = await read_map(connection, subdir.id, after=old.revision, until=revision)
        digests = dict(old.digests)
        for name, digest in changes.items():
            if digest is None:
                digests.pop(name, None)
            else:
                digests[name] = digest
        index = await asyncio.to_thread(encode_index, subdir.name, digests, info=row.info, created_at=revised_at)
        shown = old.shown | set(digests.values())
        new = ShardMap(revision, revised_at, digests, shown, index, f'"{sha256(index).hexdigest()}"')
        self._maps[subdir.id] = new
        return new

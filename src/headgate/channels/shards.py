"""Shards in the database: written once under their digest, read by digest, kept hot in memory."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.db import tables
from headgate.db.engine import Database, chunks, insert
from headgate.kernel import clock


async def save_shards(connection: AsyncConnection, bodies: Mapping[bytes, bytes]) -> None:
    """Store shards (digest -> compressed bytes); one already there becomes young again.

    Being young keeps it from a collection that runs beside this transaction.
    """
    created = clock.now()
    rows = [{"digest": digest, "body": body, "created_at": created} for digest, body in bodies.items()]
    if rows:
        statement = insert(connection, tables.shard)
        renewed = {"created_at": statement.excluded.created_at}
        await connection.execute(statement.on_conflict_do_update(index_elements=["digest"], set_=renewed), rows)


async def read_shards(connection: AsyncConnection, digests: Iterable[bytes]) -> dict[bytes, bytes]:
    """Compressed bytes by digest; digests that are not there are missing from the answer."""
    found: dict[bytes, bytes] = {}
    columns = tables.shard.c
    for some in chunks(sorted(set(digests))):
        rows = await connection.execute(select(columns.digest, columns.body).where(columns.digest.in_(some)))
        found.update((row.digest, row.body) for row in rows)
    return found


class ShardCache:
    """The shards asked for most lately, compressed as they are served."""

    def __init__(self, database: Database, *, max_bytes: int = 48 << 20) -> None:
        self._database = database
        self._max_bytes = max_bytes
        self._bytes = 0
        self._bodies: OrderedDict[bytes, bytes] = OrderedDict()

    def find_hot(self, digest: bytes) -> bytes | None:
        """The shard if it is in memory."""
        body = self._bodies.get(digest)
        if body is not None:
            self._bodies.move_to_end(digest)
        return body

    async def find(self, digest: bytes) -> bytes | None:
        """The shard, or None when there is none of that digest."""
        body = self.find_hot(digest)
        if body is None:
            body = (await self.find_many([digest])).get(digest)
        return body

    async def find_many(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """Those of the shards that exist."""
        found = {digest: body for digest in digests if (body := self.find_hot(digest)) is not None}
        missing = [digest for digest in digests if digest not in found]
        if missing:
            async with self._database.read() as connection:
                read = await read_shards(connection, missing)
            found |= read
            for digest, body in read.items():
                self._keep(digest, body)
        return found

    def _keep(self, digest: bytes, body: bytes) -> None:
        if digest in self._bodies:
            return
        self._bodies[digest] = body
        self._bytes += len(body)
        while self._bytes > self._max_bytes:
            _, dropped = self._bodies.popitem(last=False)
            self._bytes -= len(dropped)

"""Answers kept for requests that are sent again under the same key.

(absent) --claim--> claimed --keep--> kept
    ^                  |
    +-----forget-------+       (and after ten minutes: whoever claimed it died)
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select, update

from headgate.db import tables
from headgate.db.engine import Database, insert
from headgate.kernel import clock

_CLAIM_AGE = timedelta(minutes=10)
_CLAIMED = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known under a key: the digest of its request, and the answer once `status` is not 0."""

    request: str
    status: int
    body: bytes

    @property
    def is_answered(self) -> bool:
        """False while the first request is still under way."""
        return self.status != _CLAIMED


class Repeats:
    """Makes sure that of several requests with one key only one is carried out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, key: str, request: str) -> Kept | None:
        """None when the key is now the caller's, who must `keep` or `forget` it; else what is known under it."""
        columns = tables.idempotency.c
        now = clock.now()
        is_dead = (columns.key == key) & (columns.status == _CLAIMED) & (columns.created_at < now - _CLAIM_AGE)
        async with self._database.write() as connection:
            await connection.execute(delete(tables.idempotency).where(is_dead))
            statement = insert(connection, tables.idempotency).values(
                key=key, request=request, status=_CLAIMED, body=b"", created_at=now
            )
            statement = statement.on_conflict_do_nothing(index_elements=["key"]).returning(columns.key)
            if (await connection.execute(statement)).first() is not None:
                return None
            found = await connection.execute(
                select(columns.request, columns.status, columns.body).where(columns.key == key)
            )
            return Kept(*found.one())

    async def keep(self, key: str, status: int, body: bytes) -> None:
        """Remember the answer."""
        chosen = tables.idempotency.c.key == key
        async with self._database.write() as connection:
            await connection.execute(update(tables.idempotency).where(chosen).values(status=status, body=body))

    async def forget(self, key: str) -> None:
        """Let the request be made again: it changed nothing."""
        async with self._database.write() as connection:
            await connection.execute(delete(tables.idempotency).where(tables.idempotency.c.key == key))

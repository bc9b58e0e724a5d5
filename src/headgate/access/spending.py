"""What may be used only once: remembered by digest, until it would be refused anyway."""

from datetime import datetime

from sqlalchemy import delete

from headgate.access.secrets import digest_of
from headgate.db.engine import Database, insert
from headgate.db.tables_sign_in import spent
from headgate.kernel import clock


class Spending:
    """Remembers, for every process."""

    def __init__(self, database: Database, secret: bytes) -> None:
        self._database = database
        self._secret = secret

    async def spend(self, text: str, until: datetime) -> bool:
        """True the first time, False ever after, of whoever asks first. After `until` it may be forgotten."""
        async with self._database.write() as connection:
            await connection.execute(delete(spent).where(spent.c.expires_at < clock.now()))
            statement = insert(connection, spent).values(digest=digest_of(self._secret, text), expires_at=until)
            done = await connection.execute(statement.on_conflict_do_nothing().returning(spent.c.digest))
            return done.first() is not None

"""When and from where tokens were last used: noted at each request, written once a minute at most."""

import time
from collections.abc import Callable
from datetime import datetime

import structlog
from sqlalchemy import or_, update

from headgate.db import tables
from headgate.db.engine import Database

log = structlog.get_logger(__name__)

_MINUTE_S = 60.0
Use = tuple[datetime, str]


class TokenUses:
    """Uses of tokens that wait to be written. No audit event, no epoch: nobody's rights depend on it."""

    def __init__(self, database: Database, now: Callable[[], float] = time.monotonic) -> None:
        self.database = database
        self._now = now
        self.noted: dict[int, Use] = {}
        """Token id -> moment and address of its last use; whoever checks a token writes it here, and nothing else."""
        self._written_at: dict[int, float] = {}

    async def flush(self, *, is_last: bool = False) -> None:
        """Write the uses of every token whose last were written a minute ago, or all when it `is_last`."""
        now = self._now()
        due = {
            number: use
            for number, use in list(self.noted.items())
            if is_last or now - self._written_at.get(number, -_MINUTE_S) >= _MINUTE_S
        }
        if not due:
            return
        columns = tables.token.c
        async with self.database.write() as connection:
            for number, (at, address) in due.items():
                # Another process may have seen it later.
                is_older = or_(columns.used_at.is_(None), columns.used_at < at)
                values = {"used_at": at, "used_from": address}
                await connection.execute(update(tables.token).where(columns.id == number, is_older).values(values))
        for number, use in due.items():
            self._written_at[number] = now
            if self.noted.get(number) == use:
                del self.noted[number]
        self._written_at = {
            number: written_at for number, written_at in self._written_at.items() if now - written_at < _MINUTE_S
        }

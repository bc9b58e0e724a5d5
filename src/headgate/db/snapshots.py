"""What a process remembers of the database, and how it learns that it is old."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.db.engine import Database, read_epochs
from headgate.db.watch import Watch

# Asking costs 3 µs, a tenth of a small request.
_ASK_EVERY_S = 0.0005

Load = Callable[[AsyncConnection], Awaitable[None]]


class Snapshots:
    """Loads each followed topic again when its epoch has moved on.

    `is_current()` costs microseconds and is asked at every request; `refresh()` reads only what changed.
    """

    def __init__(self, database: Database, watch: Watch) -> None:
        self._database = database
        self._watch = watch
        self._loads: dict[str, Load] = {}
        self._epochs: dict[str, int] = {}
        self._version: int | None = None
        self._asked_at = 0.0
        self._is_current = False
        self._lock = asyncio.Lock()

    def follow(self, topic: str, load: Load) -> None:
        """Call `load(connection)` at the first refresh, and whenever the topic's epoch has moved."""
        self._loads[topic] = load

    def is_current(self) -> bool:
        """True when nobody had committed since the last refresh, as of at most half a millisecond ago."""
        now = time.monotonic()
        if now - self._asked_at > _ASK_EVERY_S:
            self._asked_at = now
            self._is_current = self._watch.version() == self._version
        return self._is_current

    async def refresh(self) -> None:
        """See every commit that ended before this call, as far as word of it has come."""
        async with self._lock:
            if self._watch.version() != self._version:
                await self._read()

    async def reload(self) -> None:
        """The same for who has just committed: on PostgreSQL, word of that may still be on its way."""
        async with self._lock:
            await self._read()

    async def _read(self) -> None:
        version = self._watch.version()
        async with self._database.read() as connection:
            epochs = await read_epochs(connection)
            for topic, load in self._loads.items():
                if topic not in self._epochs or self._epochs[topic] != epochs.get(topic, 0):
                    await load(connection)
                    self._epochs[topic] = epochs.get(topic, 0)
        self._version = version
        self._is_current, self._asked_at = True, 0.0

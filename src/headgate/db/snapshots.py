"""What a process remembers of the database, and how it learns that it is old."""

import asyncio
from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.db.engine import Database, read_epochs
from headgate.db.watch import Watch

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
        self._lock = asyncio.Lock()

    def follow(self, topic: str, load: Load) -> None:
        """Call `load(connection)` at the first refresh, and whenever the topic's epoch has moved."""
        self._loads[topic] = load

    def is_current(self) -> bool:
        """True when nobody has committed since the last refresh."""
        return self._watch.version() == self._version

    async def refresh(self) -> None:
        """See every commit that ended before this call, as far as word of it has come."""
        async with self._lock:
            if not self.is_current():
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

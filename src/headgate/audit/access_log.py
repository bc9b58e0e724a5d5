"""The access log's writing side: noted in memory, committed in groups.

note() ──> waiting (at most so many) ──every 80 ms──> one transaction
              └─ full: counted as dropped, and nobody waits

A download never waits for the log, and never fails because of it. What was noted is committed within a tenth of a second: that
much is lost when the process is killed. While the database cannot be written the entries wait, as far as there is room.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import NamedTuple

import structlog
from sqlalchemy.exc import SQLAlchemyError

from headgate.audit.access_store import AccessStore, Row
from headgate.audit.masking import Kind, Masking
from headgate.audit.user_agents import parse_agent
from headgate.kernel.errors import HeadgateError

log = structlog.get_logger(__name__)

GROUP_S = 0.08
_MOST_WAITING = 20_000
_REST_AFTER_FAILURE_S = 1.0


class Access(NamedTuple):
    """One request and its answer. Those that agree in all of this, within one group, are one row with a count."""

    kind: Kind
    method: str
    channel: str
    subdir: str
    filename: str
    package: str
    sha256: str
    who: str
    token: str
    address: str
    agent: str
    verdict: str
    status: int
    size_bytes: int


@dataclass(slots=True)
class _Waiting:
    access: Access
    at: int
    kept: object
    times: int = 1


class AccessLog:
    """Takes notes. `dropped` is told how many there was no room for."""

    def __init__(
        self, store: AccessStore, masking: Masking, kinds: frozenset[Kind], dropped: Callable[[int], None]
    ) -> None:
        self._store = store
        self._masking = masking
        self._dropped = dropped
        self.kinds = kinds
        self._waiting: dict[Hashable, _Waiting] = {}
        self._late: list[Row] = []
        self._lost = 0
        self._turn = asyncio.Lock()
        self._is_noted = asyncio.Event()
        self._is_closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def note_again(self, key: Hashable) -> bool:
        """Take note of what was noted under the same key within this group; False when nothing was."""
        known = self._waiting.get(key)
        if known is None:
            return False
        known.times += 1
        return True

    def note(self, access: Access, key: Hashable = None, kept: object = None) -> None:
        """Take note, and never raise. `kept` lives as long as `key` does, which may be made of its identity."""
        key = access if key is None else key
        if self.note_again(key):
            return
        if len(self._waiting) + len(self._late) >= _MOST_WAITING:
            self._lost += 1
            return
        if not self._waiting:
            self._is_noted.set()
        self._waiting[key] = _Waiting(access, time.time_ns() // 1_000_000, kept)

    def start(self) -> None:
        """Begin to write, in the background."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Write what is left, and end."""
        self._is_closing.set()
        self._is_noted.set()
        if self._task is not None:
            await self._task
        await self.flush()

    async def flush(self) -> bool:
        """Write what waits; False when that failed, and it waits on."""
        async with self._turn:  # what another flush is still writing must not be written twice
            return await self._write()

    async def _write(self) -> bool:
        if self._lost:
            self._dropped(self._lost)
            self._lost = 0
        waiting, self._waiting = self._waiting, {}
        rows = [*self._late, *map(self._row, waiting.values())]
        self._late = rows
        if rows:
            try:
                await self._store.append(rows)
            except (SQLAlchemyError, HeadgateError) as error:
                log.warning("access_log_unwritten", waiting=len(rows), reason=str(error))
                return False
        self._late = []
        return True

    async def _run(self) -> None:
        while not self._is_closing.is_set():
            await self._is_noted.wait()
            await self._pause(GROUP_S)
            self._is_noted.clear()
            if not await self.flush():
                await self._pause(_REST_AFTER_FAILURE_S)
                self._is_noted.set()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._is_closing.wait(), seconds)

    def _row(self, waiting: _Waiting) -> Row:
        access, times = waiting.access, waiting.times
        client, mask = parse_agent(access.agent), self._masking
        return Row(
            waiting.at, times, access.kind, access.method, access.channel, access.subdir, access.filename, access.package,
            access.sha256, mask.person(access.who), mask.token(access.token), mask.address(access.address),
            client.name, client.version, client.agent, access.verdict, access.status, access.size_bytes * times,
        )  # fmt: skip

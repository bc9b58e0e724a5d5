r"""Which jobs workers live, and what becomes of the jobs of one that died.

    (start) --claim--> alive --let go--> ended ----\
                         \--killed--> silent -------+--noticed by another--> its jobs are queued again

A worker holds a lock in the data folder, which the kernel lets go with it: whoever shares that kernel knows at once. On
PostgreSQL workers of other machines go by a row that a living worker renews; it counts as dead when the row did not
change for a while by the looker's own clock. A worker that finds its own row gone was taken for dead, and must end.
"""

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from sqlalchemy import delete, select, update

from headgate.db import tables
from headgate.db.engine import Database
from headgate.kernel import clock
from headgate.storage.local import disk_errors

LEASE_S = 45.0
_BEAT_S = 10.0
_FORGOTTEN = timedelta(days=1)
_BOOT = Path("/proc/sys/kernel/random/boot_id")

log = structlog.get_logger(__name__)


class Executors:
    """This worker's name and sign of life, and its view of the others'."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.name = f"worker-{secrets.token_hex(6)}"
        self._database = database
        self._folder = folder
        self._boot = _BOOT.read_text().strip() if _BOOT.exists() else os.uname().nodename
        self._descriptor = -1
        self._beat_at = 0.0
        self._seen: dict[str, tuple[datetime, float]] = {}

    async def claim(self) -> None:
        """Be alive from here on; before the first job is taken."""
        with disk_errors():
            self._sweep()
            self._descriptor = os.open(self._lock(self.name), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        if self._database.is_sqlite:
            return
        columns = tables.job_executor.c
        values = {"name": self.name, "boot": self._boot, "beat_at": clock.now()}
        async with self._database.write() as connection:
            await connection.execute(delete(tables.job_executor).where(columns.beat_at < clock.now() - _FORGOTTEN))
            await connection.execute(tables.job_executor.insert().values(values))
        self._beat_at = time.monotonic()

    async def let_go(self) -> None:
        """Be dead: whatever is left may be taken over at once."""
        if not self._database.is_sqlite:
            async with self._database.write() as connection:
                mine = tables.job_executor.c.name == self.name
                await connection.execute(update(tables.job_executor).where(mine).values(ended_at=clock.now()))
        os.close(self._descriptor)
        self._lock(self.name).unlink(missing_ok=True)

    async def beat(self) -> bool:
        """Renew the sign of life now and then; False when this worker was taken for dead and must end."""
        if self._database.is_sqlite or time.monotonic() - self._beat_at < _BEAT_S:
            return True
        async with self._database.write() as connection:
            mine = tables.job_executor.c.name == self.name
            done = await connection.execute(update(tables.job_executor).where(mine).values(beat_at=clock.now()))
        self._beat_at = time.monotonic()
        return done.rowcount == 1

    async def bury(self, names: Iterable[str]) -> list[str]:
        """Those of the workers that are dead; from now on they cannot come back."""
        dead = [name for name in names if name != self.name and await self._is_dead(name)]
        if dead and not self._database.is_sqlite:
            async with self._database.write() as connection:
                columns = tables.job_executor.c
                await connection.execute(delete(tables.job_executor).where(columns.name.in_(dead)))
        return dead

    async def _is_dead(self, name: str) -> bool:
        if self._database.is_sqlite:
            return not self._is_locked(name)
        columns = tables.job_executor.c
        async with self._database.read() as connection:
            found = await connection.execute(
                select(columns.boot, columns.beat_at, columns.ended_at).where(columns.name == name)
            )
            row = found.one_or_none()
        if row is None or row.ended_at is not None:
            return True
        if row.boot == self._boot and self._lock(name).exists():
            return not self._is_locked(name)
        beat_at, since = self._seen.get(name, (None, 0.0))
        if beat_at != row.beat_at:
            self._seen[name] = (row.beat_at, time.monotonic())
            return False
        return time.monotonic() - since > LEASE_S

    def _lock(self, name: str) -> Path:
        return self._folder / f"{name}.lock"

    def _is_locked(self, name: str) -> bool:
        try:
            descriptor = os.open(self._lock(name), os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _sweep(self) -> None:
        """Remove the locks of the dead: a lock that is not there says the same."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self._folder.glob("worker-*.lock"):
            if not self._is_locked(path.stem):
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()

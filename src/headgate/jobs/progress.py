"""How far a job is, written down now and then for whoever watches."""

import time
from typing import Any

from headgate.db import tables
from headgate.db.engine import Database, insert
from headgate.kernel import clock

_INTERVAL_S = 0.5


class JobProgress:
    """Collects (step, done, total) of the parts of one job; writes at most twice a second."""

    def __init__(self, database: Database, job_id: str) -> None:
        self._database = database
        self._job_id = job_id
        self._began = time.monotonic()
        self._written = 0.0
        self._parts: dict[str, dict[str, Any]] = {}

    async def report(self, part: str, step: str, done: int, total: int) -> None:
        """`done` of `total` items of a part's current step; a last item is always written."""
        self._parts[part] = {"step": step, "done": done, "total": total}
        now = time.monotonic()
        if now - self._written >= _INTERVAL_S or (total and done == total):
            self._written = now
            await self._write(now - self._began)

    async def _write(self, elapsed_s: float) -> None:
        done = sum(part["done"] for part in self._parts.values())
        body = {
            "step": "; ".join(part["step"] for part in self._parts.values()),
            "done_items": done,
            "total_items": sum(part["total"] for part in self._parts.values()),
            "items_per_second": round(done / elapsed_s, 1) if elapsed_s > 0 else 0.0,
            "elapsed_seconds": round(elapsed_s, 1),
        }
        async with self._database.write() as connection:
            statement = insert(connection, tables.job_progress).values(job_id=self._job_id, body=body, at=clock.now())
            renewed = {"body": statement.excluded.body, "at": statement.excluded.at}
            await connection.execute(statement.on_conflict_do_update(index_elements=["job_id"], set_=renewed))

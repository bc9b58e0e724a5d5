"""How far a job is and what it says, written down now and then for whoever watches."""

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select

from headgate.db import tables
from headgate.db.engine import Database, insert
from headgate.kernel import clock

MAX_LINES = 500
_INTERVAL_S = 0.5
_MAX_LINE = 1_000
# Lines beyond the last are removed a hundred at a time.
_TRIM_EVERY = 100


@dataclass(frozen=True, slots=True)
class Amount:
    """So many items, and bytes where they are known."""

    items: int = 0
    bytes: int = 0


class JobProgress:
    """Collects how far each part of one job is, and its lines; writes at most twice a second."""

    def __init__(self, database: Database, job_id: str) -> None:
        self._database = database
        self._job_id = job_id
        self._began = time.monotonic()
        self._written = 0.0
        self._parts: dict[str, tuple[str, Amount, Amount]] = {}
        self._lines: list[dict[str, Any]] = []
        self._untrimmed = 0

    async def report(self, part: str, step: str, done: Amount, total: Amount) -> None:
        """`done` of `total` in a part's current step; a last item is always written."""
        self._parts[part] = (step, done, total)
        if time.monotonic() - self._written >= _INTERVAL_S or (total.items and done.items == total.items):
            await self.flush()

    async def say(self, sentence: str) -> None:
        """A line for the job's log; it holds no secrets."""
        self._lines.append({"job_id": self._job_id, "at": clock.now(), "text": sentence[:_MAX_LINE]})
        if time.monotonic() - self._written >= _INTERVAL_S:
            await self.flush()

    async def flush(self) -> None:
        """Write what is known now; at the end of the work."""
        self._written = time.monotonic()
        lines, self._lines = self._lines[-MAX_LINES:], []
        async with self._database.write() as connection:
            body = self._body(self._written - self._began)
            statement = insert(connection, tables.job_progress).values(job_id=self._job_id, body=body, at=clock.now())
            renewed = {"body": statement.excluded.body, "at": statement.excluded.at}
            await connection.execute(statement.on_conflict_do_update(index_elements=["job_id"], set_=renewed))
            if lines:
                await connection.execute(tables.job_line.insert(), lines)
            self._untrimmed += len(lines)
            if self._untrimmed >= _TRIM_EVERY:
                self._untrimmed = 0
                columns = tables.job_line.c
                mine = columns.job_id == self._job_id
                newest = select(columns.id).where(mine).order_by(columns.id.desc()).offset(MAX_LINES).limit(1)
                await connection.execute(delete(tables.job_line).where(mine, columns.id <= newest.scalar_subquery()))

    def _body(self, elapsed_s: float) -> dict[str, Any]:
        parts = self._parts.values()
        done = Amount(sum(one[1].items for one in parts), sum(one[1].bytes for one in parts))
        total = Amount(sum(one[2].items for one in parts), sum(one[2].bytes for one in parts))
        return {
            "step": "; ".join(step for step, _, _ in parts),
            "done_items": done.items,
            "total_items": total.items,
            "done_bytes": done.bytes,
            "total_bytes": total.bytes,
            "items_per_second": _rate(done.items, elapsed_s),
            "bytes_per_second": _rate(done.bytes, elapsed_s),
            "elapsed_seconds": round(elapsed_s, 1),
            "remaining_seconds": _remaining(done, total, elapsed_s),
        }


def _rate(done: int, elapsed_s: float) -> float:
    return round(done / elapsed_s, 1) if elapsed_s > 0 else 0.0


def _remaining(done: Amount, total: Amount, elapsed_s: float) -> float | None:
    """As long as the rest takes at the pace so far; None while there is no pace."""
    finished, all_of_it = (done.bytes, total.bytes) if total.bytes else (done.items, total.items)
    if not finished or finished > all_of_it:
        return None
    return round(elapsed_s * (all_of_it - finished) / finished, 1)

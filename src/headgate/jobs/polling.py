"""Looking into a queue only when something may be in it.

Each of DBOS's queue threads asks the database several times a second how its queue is set up and what waits in it: for
all queues together eight per cent of a core, when nothing happens at all. On SQLite `PRAGMA data_version` tells for three
microseconds that nobody has committed since the last look, so that nothing new can be there. On PostgreSQL, where
nothing tells, DBOS looks as it would.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from dbos import DBOS
from sqlalchemy.engine import make_url

from headgate.db.watch import SqliteWatch

# What depends on the clock alone, and whatever else we do not know of, waits no longer than this.
PATIENCE_S: Final = 5.0


class QuietLooks:
    """Says whether a queue has to be looked into: somebody committed, or the last look was long ago. Thread-safe."""

    def __init__(self, version: Callable[[], int], patience_s: float = PATIENCE_S) -> None:
        self._version = version
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[int, float]] = {}

    def is_due(self, queue: str) -> bool:
        """True when to look now; then it counts as looked into."""
        with self._lock:
            version, now = self._version(), time.monotonic()
            seen, looked_at = self._seen.get(queue, (None, 0.0))
            if version == seen and now - looked_at < self._patience_s:
                return False
            self._seen[queue] = version, now
            return True


def quieten(worker: DBOS, url: str) -> None:
    """Let the queue threads of a launched worker look only when they must."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return
    system = worker._sys_db  # noqa: SLF001 - queue threads ask nothing public
    scopes_of, setup_of = system.dequeue_scopes, system.get_queue
    looks, setups = QuietLooks(SqliteWatch(parsed).version), dict[str, tuple[Any, float]]()

    def dequeue_scopes(queue_name: str) -> Sequence[str | None]:
        return scopes_of(queue_name) if looks.is_due(queue_name) else []

    def get_queue(name: str, **more: Any) -> Any:
        known, read_at = setups.get(name, (None, 0.0))
        if known is None or time.monotonic() - read_at > PATIENCE_S:
            setups[name] = setup_of(name, **more), time.monotonic()
        return setups[name][0]

    vars(system).update(dequeue_scopes=dequeue_scopes, get_queue=get_queue)

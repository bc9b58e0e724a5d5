"""What the server counts, for Prometheus. With several processes the counts meet in PROMETHEUS_MULTIPROC_DIR."""

import os
import time
from collections import defaultdict

from prometheus_client import CollectorRegistry, Counter, generate_latest, multiprocess

_REQUESTS = Counter("headgate_requests_total", "Answers given, by door and status.", ["door", "status"])
_SIGN_INS = Counter("headgate_sign_in_failures_total", "Sign-ins refused, by the code of the refusal.", ["code"])
_ARTIFACTS = Counter("headgate_artifacts_total", "Package files served, by where their bytes came from.", ["origin"])


_FLUSH_EVERY_S = 1.0


class Tally:
    """Counts in plain integers, and tells Prometheus once a second: its own counters cost a tenth of a small request."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._counts: dict[tuple[str, ...], int] = defaultdict(int)
        self._flushed_at = time.monotonic()

    def count(self, *labels: str) -> None:
        """One more."""
        self._counts[labels] += 1
        if time.monotonic() - self._flushed_at > _FLUSH_EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Hand over what was counted."""
        self._flushed_at = time.monotonic()
        for labels, number in self._counts.items():
            self._counter.labels(*labels).inc(number)
        self._counts.clear()


REQUESTS = Tally(_REQUESTS)
ARTIFACTS = Tally(_ARTIFACTS)
SIGN_IN_FAILURES = Tally(_SIGN_INS)


def render_metrics() -> bytes:
    """The metrics of all processes as Prometheus text; those of other processes as of their last second of work."""
    REQUESTS.flush()
    ARTIFACTS.flush()
    SIGN_IN_FAILURES.flush()
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)

r"""Leaving a host alone that does not answer.

closed --failures in a row--> open (requests fail at once) --time over--> one request tries --answered--> closed
                                ^                                             \--failed--> open
                                +-----------------------------------------------------------+
"""

import time
from dataclasses import dataclass

import structlog
from prometheus_client import Gauge

from headgate.kernel import clock
from headgate.kernel.errors import Unavailable

# A moment, not a flag: what a process said that is dead by now is over by itself.
_RESTING = Gauge(
    "headgate_upstream_resting_until_seconds",
    "Until when a host that did not answer is left alone.",
    ["host"],
    multiprocess_mode="max",
)

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Breaker:
    """What is known of one host: failures in a row, and until when (`time.monotonic`) it is left alone."""

    failures: int = 0
    resting_until: float = 0.0
    is_trying: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Resting:
    """A host that is left alone."""

    host: str
    seconds: float
    failures: int
    reason: str


class Breakers:
    """The breakers of this process, one per host and port, whichever mirror leads there.

    After `failures` requests in a row that found no answer, a host is left alone for `rest_s` seconds.
    """

    def __init__(self, failures: int = 8, rest_s: float = 10) -> None:
        self._most = failures
        self._rest_s = rest_s
        self._known: dict[str, Breaker] = {}

    def enter(self, host: str) -> None:
        """Before a request. Raises Unavailable `upstream-resting`."""
        breaker = self._known.get(host)
        if breaker is None or breaker.failures < self._most:
            return
        left_s = breaker.resting_until - time.monotonic()
        if left_s > 0 or breaker.is_trying:
            raise Unavailable(
                "upstream-resting",
                f"{host} gave no answer {breaker.failures} times in a row and is left alone for "
                f"{max(left_s, 1):.0f} s. The last time: {breaker.reason}",
            )
        breaker.is_trying = True

    def leave(self, host: str, reason: str | None) -> None:
        """After a request: None when the host answered, else why not."""
        if reason is None:
            if self._known.pop(host, Breaker()).failures >= self._most:
                log.info("upstream_back", host=host)
                _RESTING.labels(host).set(0)
            return
        breaker = self._known.setdefault(host, Breaker())
        breaker.failures, breaker.is_trying, breaker.reason = breaker.failures + 1, False, reason
        if breaker.failures >= self._most:
            breaker.resting_until = time.monotonic() + self._rest_s
            _RESTING.labels(host).set(clock.now_ms() / 1000 + self._rest_s)
            log.warning("upstream_resting", host=host, seconds=self._rest_s, reason=reason)

    def forgive(self, host: str) -> None:
        """After a request that was given up by us: it says nothing of the host."""
        if host in self._known:
            self._known[host].is_trying = False

    def resting(self) -> list[Resting]:
        """Every host that is left alone now."""
        now = time.monotonic()
        return [
            Resting(host, round(one.resting_until - now, 1), one.failures, one.reason)
            for host, one in sorted(self._known.items())
            if one.failures >= self._most and one.resting_until > now
        ]

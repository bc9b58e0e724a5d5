r"""Leaving a host alone that does not answer.

closed --failures in a row--> open (requests fail at once) --time over--> one request tries --answered--> closed
                                ^                                             \--failed--> open
                                +-----------------------------------------------------------+
"""

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from headgate.kernel import clock
from headgate.kernel.errors import Unavailable

# A process that was killed while it tried must not keep the others from trying.
_TRIAL_S: Final = 60.0

log = structlog.get_logger(__name__)


@cache
def _resting_until() -> Any:
    """A moment, not a flag: what a process said that is dead by now is over by itself."""
    # At its import it is decided where counts are kept: in the parent of the workers that would be too early.
    from prometheus_client import Gauge  # noqa: PLC0415 - as said

    return Gauge(
        "headgate_upstream_resting_until_seconds",
        "Until when a host that did not answer is left alone.",
        ["host"],
        multiprocess_mode="max",
    )


class Breaker(msgspec.Struct):
    """What is known of one host: failures in a row, until when it is left alone, and until when one request tries it.

    Moments are seconds since 1970.
    """

    failures: int = 0
    resting_until: float = 0.0
    trying_until: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Resting:
    """A host that is left alone."""

    host: str
    seconds: float
    failures: int
    reason: str


class Breakers:
    """One breaker per host and port, whichever mirror leads there; with a `path`, of all processes that name it.

    After `failures` requests in a row that found no answer, a host is left alone for `rest_s` seconds.
    """

    def __init__(self, failures: int = 8, rest_s: float = 10, path: Path | None = None) -> None:
        self._most = failures
        self._rest_s = rest_s
        self._board = Board(path)

    def enter(self, host: str) -> None:
        """Before a request. Raises Unavailable `upstream-resting`."""
        breaker = self._board.read().get(host)
        if breaker is None or breaker.failures < self._most:
            return
        with self._board.changing() as known:
            breaker = known.get(host)
            if breaker is None or breaker.failures < self._most:
                return
            left_s = max(self._left_s(breaker), min(breaker.trying_until - time.time(), _TRIAL_S))
            if left_s <= 0:
                breaker.trying_until = time.time() + _TRIAL_S
                return
        raise Unavailable(
            "upstream-resting",
            f"{host} gave no answer {breaker.failures} times in a row and is left alone for "
            f"{max(left_s, 1):.0f} s. The last time: {breaker.reason}",
        )

    def leave(self, host: str, reason: str | None) -> None:
        """After a request: None when the host answered, else why not."""
        if reason is None:
            self._forget(host)
            return
        with self._board.changing() as known:
            breaker = known.setdefault(host, Breaker())
            breaker.failures, breaker.trying_until, breaker.reason = breaker.failures + 1, 0.0, reason
            is_resting = breaker.failures >= self._most
            if is_resting:
                breaker.resting_until = time.time() + self._rest_s
        if is_resting:
            _resting_until().labels(host).set(clock.now_ms() / 1000 + self._rest_s)
            log.warning("upstream_resting", host=host, seconds=self._rest_s, reason=reason)

    def forgive(self, host: str) -> None:
        """After a request that was given up by us: it says nothing of the host."""
        if host in self._board.read():
            with self._board.changing() as known:
                known.get(host, Breaker()).trying_until = 0.0

    def resting(self) -> list[Resting]:
        """Every host that is left alone now."""
        return [
            Resting(host, round(left_s, 1), one.failures, one.reason)
            for host, one in sorted(self._board.read().items())
            if one.failures >= self._most and (left_s := self._left_s(one)) > 0
        ]

    def _forget(self, host: str) -> None:
        if host not in self._board.read():
            return
        with self._board.changing() as known:
            breaker = known.pop(host, Breaker())
        if breaker.failures >= self._most:
            log.info("upstream_back", host=host)
            _resting_until().labels(host).set(0)

    def _left_s(self, breaker: Breaker) -> float:
        # A clock that was set back must not make it longer.
        return min(breaker.resting_until - time.time(), self._rest_s)


class Board:
    """Host -> breaker, in memory or in a small file that is there while there is anything to say."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._own: dict[str, Breaker] = {}

    def read(self) -> Mapping[str, Breaker]:
        """What is known now."""
        return self._own if self._path is None else _read(self._path)

    @contextmanager
    def changing(self) -> Iterator[dict[str, Breaker]]:
        """What is known, to be changed; nobody else changes it meanwhile.

        A disk that takes no more costs what would have been known, and no request.
        """
        if self._path is None:
            yield self._own
            return
        try:
            descriptor = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            log.warning("breakers_not_kept", reason=str(error))
            yield dict(_read(self._path))
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            before = _read(self._path)
            known = _read(self._path)
            yield known
            if known != before:
                _write(self._path, known)
        finally:
            os.close(descriptor)


_decoder = msgspec.json.Decoder(dict[str, Breaker])


def _read(path: Path) -> dict[str, Breaker]:
    if not os.access(path, os.F_OK):  # as nearly always: a tenth of the cost of failing to open it
        return {}
    try:
        return _decoder.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}


def _write(path: Path, known: Mapping[str, Breaker]) -> None:
    try:
        if not known:
            path.unlink(missing_ok=True)
            return
        part = path.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(known))
        part.replace(path)
    except OSError as error:
        log.warning("breakers_not_kept", reason=str(error))

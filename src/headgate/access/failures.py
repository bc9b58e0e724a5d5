"""Failed sign-ins in the log: one line a minute for an account at an address, and never more lines than a log bears."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from headgate.access.addresses import neighbourhood
from headgate.access.lockout import Recent

log = structlog.get_logger(__name__)

_MINUTE_S = 60.0
_LINES_A_MINUTE = 30


@dataclass(slots=True)
class _Counted:
    logged_at: float
    unlogged: int = 0


class FailureLog:
    """Writes the first failure at once, and counts those of the minute behind it."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._known: Recent[tuple[str, str, str], _Counted] = Recent(1_024)
        self._minute_began_at = 0.0
        self._lines = 0
        self._others = 0

    def note(self, account: str, address: str, code: str) -> None:
        """A sign-in failed. `account` is a user's name, or a word for what is none: never what somebody typed."""
        now = self._now()
        key = (account, neighbourhood(address), code)
        known = self._known.find(key)
        if known is not None and now - known.logged_at < _MINUTE_S:
            known.unlogged += 1
        elif self._has_room(now):
            self._write(key, 1 + (known.unlogged if known else 0))
            self._known.put(key, _Counted(now))
        else:
            self._others += 1

    def flush(self) -> None:
        """Write what was counted and not written, once its minute is over."""
        now = self._now()
        if self._others and self._has_room(now):
            log.warning("sign_ins_failed", count=self._others, account="many", address="many")
            self._others = 0
        for key, known in self._known.pop_all():
            if now - known.logged_at < _MINUTE_S:
                self._known.put(key, known)
            elif known.unlogged and self._has_room(now):
                self._write(key, known.unlogged)
                self._known.put(key, _Counted(now))
            else:
                self._others += known.unlogged

    def _has_room(self, now: float) -> bool:
        if now - self._minute_began_at >= _MINUTE_S:
            self._minute_began_at, self._lines = now, 0
        self._lines += 1
        return self._lines <= _LINES_A_MINUTE

    def _write(self, key: tuple[str, str, str], count: int) -> None:
        account, address, code = key
        log.warning("sign_ins_failed", count=count, account=account, address=address, code=code)

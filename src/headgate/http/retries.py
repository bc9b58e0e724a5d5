"""Which failures pass by themselves, and how long to wait before asking again."""

from datetime import datetime
from email.utils import parsedate_to_datetime
from random import SystemRandom
from typing import Final

from headgate.kernel import clock

PASSING_CODES: Final = frozenset({"upstream-unreachable", "proxy-unreachable", "proxy-failed"})
PASSING_STATUSES: Final = frozenset({429, 502, 503, 504})
# Somebody waits for the answer: an upstream that wants more time than this gets none of it.
LONGEST_PAUSE_S: Final = 30.0

_FIRST_PAUSE_S: Final = 0.3
_random = SystemRandom()


def backoff_s(attempt: int) -> float:
    """Seconds to wait after the attempt (from 0): twice as long each time, and never the same for all who wait."""
    return min(LONGEST_PAUSE_S, _FIRST_PAUSE_S * (1 << attempt) * (0.5 + _random.random()))


def pause_s(retry_after: str | None, attempt: int) -> float | None:
    """The same when the upstream said `Retry-After` (seconds or a date, RFC 9110); None when that is too long."""
    if retry_after is None:
        return backoff_s(attempt)
    wanted = float(retry_after) if retry_after.strip().isdecimal() else _until(retry_after)
    return None if wanted > LONGEST_PAUSE_S else max(wanted, 0.0)


def _until(date: str) -> float:
    try:
        moment: datetime = parsedate_to_datetime(date)
    except ValueError:
        return 0.0
    return (moment - clock.now()).total_seconds() if moment.tzinfo is not None else 0.0

"""Slowing down who guesses: how long a sign-in must wait after failures. In memory, per process, bounded.

Failures are counted three times, and each count has a wait that doubles:

    account at an address   after 5 failures    1 s ... 15 min     nobody else is kept out
    address                 after 100           1 s ... 1 min      so that trying many accounts gets slow
    account                 after 100           1 s ... 1 min      so that trying from many addresses gets slow

Whoever signed in well before, from that address and with those credentials, waits for nothing: their credentials are
looked at. An attempt that has to wait is not looked at, and counts for nothing.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from headgate.access.addresses import neighbourhood
from headgate.kernel.errors import Unavailable

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

REMEMBERED = 4_096
_FORGOTTEN_AFTER_S = 3_600.0
_LONGEST_ACCOUNT = 128


class SignInLocked(Unavailable):
    """Too many failures; `retry_after_s` is when it may be tried again, in whole seconds."""

    def __init__(self, code: str, message: str, retry_after_s: int) -> None:
        super().__init__(code, message)
        self.retry_after_s = retry_after_s


class Recent(Generic[K, V]):
    """A mapping that forgets what was touched longest ago when it holds more than `size`."""

    def __init__(self, size: int = REMEMBERED) -> None:
        self._size = size
        self._items: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._items)

    def find(self, key: K) -> V | None:
        """The value, which then counts as touched."""
        if key not in self._items:
            return None
        self._items.move_to_end(key)
        return self._items[key]

    def put(self, key: K, value: V) -> None:
        """Keep a value."""
        self._items[key] = value
        self._items.move_to_end(key)
        if len(self._items) > self._size:
            self._items.popitem(last=False)

    def drop(self, key: K) -> None:
        """Forget a value, if it is there."""
        self._items.pop(key, None)

    def pop_all(self) -> list[tuple[K, V]]:
        """Everything, which is then forgotten."""
        items = list(self._items.items())
        self._items.clear()
        return items


@dataclass(slots=True)
class _Failures:
    number: int = 0
    last_at: float = 0.0


class Count(Generic[K]):
    """Failures per key, and the wait that follows from them."""

    def __init__(self, free: int, longest_s: float, now: Callable[[], float]) -> None:
        self._free, self._longest_s, self._now = free, longest_s, now
        self._failures: Recent[K, _Failures] = Recent()

    def __len__(self) -> int:
        return len(self._failures)

    def wait_s(self, key: K) -> float:
        """Seconds until the next attempt; 0 when it may be made now."""
        known = self._failures.find(key)
        if known is None or known.number < self._free:
            return 0.0
        wait = min(self._longest_s, 2.0 ** min(known.number - self._free, 32))
        return max(0.0, known.last_at + wait - self._now())

    def add(self, key: K) -> None:
        """One more failure."""
        now = self._now()
        known = self._failures.find(key)
        if known is None or now - known.last_at > _FORGOTTEN_AFTER_S:
            known = _Failures()
        known.number, known.last_at = known.number + 1, now
        self._failures.put(key, known)

    def forget(self, key: K) -> None:
        """It went well: nothing counts any more."""
        self._failures.drop(key)


class Lockout:
    """Failures of sign-ins, by account and address, and who signed in well before."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._pairs: Count[tuple[str, str]] = Count(5, 900.0, now)
        self._addresses: Count[str] = Count(100, 60.0, now)
        self._accounts: Count[str] = Count(100, 60.0, now)
        self._proven: Recent[bytes, Literal[True]] = Recent()
        self._proven_pairs: Recent[tuple[str, str], Literal[True]] = Recent()

    def check(self, account: str, address: str, credentials: bytes) -> None:
        """Raises SignInLocked `sign-in-locked`. `credentials` is a digest of address, account and secret."""
        if self.is_proven(credentials):
            return
        pair = _pair(account, address)
        wait = self._pairs.wait_s(pair)
        if self._proven_pairs.find(pair) is None:
            wait = max(wait, self._addresses.wait_s(pair[1]), self._accounts.wait_s(pair[0]))
        self._refuse(wait)

    def check_address(self, address: str, credentials: bytes) -> None:
        """The same for a secret that names no account."""
        if not self.is_proven(credentials):
            self._refuse(self._addresses.wait_s(neighbourhood(address)))

    def is_proven(self, credentials: bytes) -> bool:
        """True when these credentials were good before, from that address."""
        return self._proven.find(credentials) is not None

    def fail(self, account: str, address: str, credentials: bytes) -> None:
        """Count a failure."""
        pair = _pair(account, address)
        self._pairs.add(pair)
        self._accounts.add(pair[0])
        self._addresses.add(pair[1])
        self._proven.drop(credentials)

    def fail_address(self, address: str) -> None:
        """Count a failure of a secret that names no account."""
        self._addresses.add(neighbourhood(address))

    def succeed(self, account: str, address: str, credentials: bytes) -> None:
        """Remember that these credentials are good there."""
        pair = _pair(account, address)
        self._pairs.forget(pair)
        self._proven.put(credentials, True)
        self._proven_pairs.put(pair, True)

    def succeed_at(self, credentials: bytes) -> None:
        """The same for a secret that names no account."""
        self._proven.put(credentials, True)

    def _refuse(self, wait_s: float) -> None:
        if wait_s > 0:
            seconds = math.ceil(wait_s)
            raise SignInLocked(
                "sign-in-locked",
                f"Too many failed sign-ins. Wait {seconds} s, and see that the password is right.",
                seconds,
            )


def _pair(account: str, address: str) -> tuple[str, str]:
    return account[:_LONGEST_ACCOUNT], neighbourhood(address)

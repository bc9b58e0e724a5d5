"""Answers remembered under the digests of all that led to them, for as long as time does not change them."""

from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime
from typing import Generic, TypeVar

T = TypeVar("T")


class Memo(Generic[T]):
    """The answers used most lately."""

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._known: OrderedDict[Hashable, tuple[T, datetime, datetime | None]] = OrderedDict()

    def find(self, key: Hashable, now: datetime) -> T | None:
        """What was remembered, if it holds at this moment."""
        found = self._known.get(key)
        if found is None or now < found[1] or (found[2] is not None and now >= found[2]):
            return None
        self._known.move_to_end(key)
        return found[0]

    def keep(self, key: Hashable, answer: T, now: datetime, valid_until: datetime | None) -> None:
        """Remember an answer that was true at `now` and is until `valid_until`."""
        self._known[key] = (answer, now, valid_until)
        self._known.move_to_end(key)
        while len(self._known) > self._most:
            self._known.popitem(last=False)

    def clear(self) -> None:
        """Remember nothing."""
        self._known.clear()

"""Answers that many ask for and few would miss a minute of: made once, and good for that long."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from cachetools import TTLCache

_MOST = 256
_GOOD_FOR_S = 60.0

T = TypeVar("T")


class Recent:
    """Remembers what was counted. What several ask for at once is counted once; what fails is asked for anew."""

    def __init__(self, good_for_s: float = _GOOD_FOR_S) -> None:
        self._tasks: TTLCache[Hashable, asyncio.Task[Any]] = TTLCache(_MOST, good_for_s)

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """What `make` answered for this key within the last minute, or answers now. Raises what it raises."""
        task = self._tasks.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._tasks[key] = asyncio.ensure_future(_made(make))
        found: T = await asyncio.shield(task)  # whoever leaves does not take it from the others
        return found


async def _made(make: Callable[[], Awaitable[T]]) -> T:
    return await make()

"""Waiting for what another process or connection brings: poll, with a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_PATIENCE_S = 30.0
_EVERY_S = 0.05


def eventually(look: Callable[[], T], timeout_s: float = _PATIENCE_S) -> T:
    """What `look` returns once that is true; at the deadline, whatever it returns then."""
    give_up_at = time.monotonic() + timeout_s
    while not (found := look()) and time.monotonic() < give_up_at:
        time.sleep(_EVERY_S)
    return found


async def eventually_async(look: Callable[[], Awaitable[T]], timeout_s: float = _PATIENCE_S) -> T:
    """The same, for a look that awaits."""
    give_up_at = time.monotonic() + timeout_s
    while not (found := await look()) and time.monotonic() < give_up_at:  # noqa: ASYNC110 - nothing here could set an event
        await asyncio.sleep(_EVERY_S)
    return found

"""Receiving no faster than was agreed."""

import asyncio
import fcntl
import os
import struct
import time
from pathlib import Path
from typing import Final

_MOMENT: Final = struct.Struct("d")
# A clock that was set back must not make everybody wait until it has caught up.
_LONGEST_S: Final = 600.0


class Bandwidth:
    """A number of bytes per second, shared by all who receive: in this process, and with a `path` in all that name it.

    What is shared is until when the line is taken (seconds since 1970), kept in a file of eight bytes.
    """

    def __init__(self, bytes_per_second: int, path: Path | None = None) -> None:
        self._seconds_per_byte = 1 / bytes_per_second
        self._busy_until = 0.0
        self._descriptor = -1 if path is None else os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    async def pay(self, received_bytes: int) -> None:
        """Wait until what was received fits the bandwidth."""
        await asyncio.sleep(self._book(received_bytes * self._seconds_per_byte))

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _book(self, needed_s: float) -> float:
        """Take the line for so long behind all others; how long from now that is."""
        if self._descriptor < 0:
            self._busy_until, wait_s = _queued(self._busy_until, needed_s)
            return wait_s
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)  # held for microseconds
        try:
            kept = os.pread(self._descriptor, _MOMENT.size, 0)
            busy_until, wait_s = _queued(_MOMENT.unpack(kept)[0] if len(kept) == _MOMENT.size else 0.0, needed_s)
            os.pwrite(self._descriptor, _MOMENT.pack(busy_until), 0)
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        return wait_s


def _queued(busy_until: float, needed_s: float) -> tuple[float, float]:
    """Until when the line is taken then, and how long from now that is."""
    now = time.time()
    began = min(max(busy_until, now), now + _LONGEST_S)
    return began + needed_s, began + needed_s - now

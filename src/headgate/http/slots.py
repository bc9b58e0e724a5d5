"""So many requests at once, and no more, however many processes ask."""

import asyncio
import fcntl
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

# How soon is noticed that another process has freed a slot.
_POLL_S: Final = 0.02
# struct flock: type, whence, start, length, pid
_FLOCK: Final = struct.Struct("hhqqi4x")


class Slots:
    """Slots that are taken and freed; with a `path`, all processes that name it share them.

    A taken slot is a byte of the file, locked through this opening of it (fcntl_locking(2), "open file description locks"):
    the kernel frees what a killed process had.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._descriptor = -1 if path is None else os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._taken: set[int] = set()
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def taken(self, most: int) -> AsyncIterator[None]:
        """Hold one of `most` slots, first come, first served within a process."""
        async with self._turn:
            while (number := self._take(most)) is None:
                self._freed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if self._descriptor < 0 else _POLL_S):
                        await self._freed.wait()
        try:
            yield
        finally:
            self._free(number)

    def close(self) -> None:
        """Close the file, and free what is taken."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _take(self, most: int) -> int | None:
        for number in range(most):
            if number not in self._taken and self._lock(number):
                self._taken.add(number)
                return number
        return None

    def _lock(self, number: int) -> bool:
        if self._descriptor < 0:
            return True
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, _range(fcntl.F_WRLCK, number))
        except OSError:  # EACCES or EAGAIN: somebody else has it
            return False
        return True

    def _free(self, number: int) -> None:
        if self._descriptor >= 0:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, _range(fcntl.F_UNLCK, number))
        self._taken.discard(number)
        self._freed.set()


def _range(kind: int, number: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, number, 1, 0)

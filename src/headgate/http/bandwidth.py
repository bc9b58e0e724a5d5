"""Receiving no faster than was agreed."""

import asyncio


class Bandwidth:
    """A number of bytes per second, shared by all who receive."""

    def __init__(self, bytes_per_second: int) -> None:
        self._seconds_per_byte = 1 / bytes_per_second
        self._busy_until = 0.0

    async def pay(self, received_bytes: int) -> None:
        """Wait until what was received fits the bandwidth."""
        now = asyncio.get_running_loop().time()
        self._busy_until = max(self._busy_until, now) + received_bytes * self._seconds_per_byte
        await asyncio.sleep(self._busy_until - now)

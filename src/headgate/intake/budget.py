"""A bound on the memory that large documents may take at once, whatever the number of syncs under way."""

import asyncio


class MemoryBudget:
    """Hands out parts of a number of bytes, first come, first served; one that wants more than all gets all."""

    def __init__(self, total_bytes: int) -> None:
        self._total = total_bytes
        self._free = total_bytes
        self._queue = asyncio.Lock()
        self._returned = asyncio.Condition()

    async def take(self, wanted_bytes: int) -> int:
        """Wait for that much; what was taken, to be given back."""
        taken = min(wanted_bytes, self._total)
        async with self._queue, self._returned:
            await self._returned.wait_for(lambda: self._free >= taken)
            self._free -= taken
        return taken

    async def give_back(self, taken_bytes: int) -> None:
        """Return what `take` gave."""
        async with self._returned:
            self._free += taken_bytes
            self._returned.notify_all()

"""What a web worker does for access every few seconds, beside its requests."""

import asyncio
import contextlib

import structlog
from sqlalchemy.exc import SQLAlchemyError

from headgate.access.failures import FailureLog
from headgate.access.uses import TokenUses
from headgate.kernel.errors import HeadgateError

log = structlog.get_logger(__name__)

_EVERY_S = 5.0


class Rounds:
    """Writes uses of tokens and counted failures, until closed."""

    def __init__(self, uses: TokenUses, failures: FailureLog) -> None:
        self._uses = uses
        self._failures = failures
        self._is_closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the background."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Write what is left, and end."""
        self._is_closing.set()
        if self._task is not None:
            await self._task
        self._failures.flush()
        await self._write(is_last=True)

    async def _run(self) -> None:
        while not self._is_closing.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_closing.wait(), _EVERY_S)
            self._failures.flush()
            await self._write()

    async def _write(self, *, is_last: bool = False) -> None:
        try:
            await self._uses.flush(is_last=is_last)
        except (SQLAlchemyError, HeadgateError) as error:  # they are tried again
            log.warning("token_uses_unwritten", reason=str(error))

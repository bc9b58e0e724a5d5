"""Looking after what is recorded: the access log is folded into days, and what is old is forgotten."""

import asyncio
import time
from datetime import timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from headgate.audit.access_store import AccessStore
from headgate.kernel.errors import HeadgateError

log = structlog.get_logger(__name__)

_FOLD_S = 60.0
_PRUNE_S = 3600.0


class RecordKeeper:
    """Runs beside the jobs of every worker; each step may be done by several at a time."""

    def __init__(self, store: AccessStore, keep: timedelta, keep_daily: timedelta) -> None:
        self._store = store
        self._keep = keep
        self._keep_daily = keep_daily
        self._pruned_at = -_PRUNE_S

    async def look(self) -> None:
        """Look, for ever."""
        is_open = False
        try:
            while True:
                try:
                    if not is_open:
                        await self._store.open()
                        is_open = True
                    await self.look_once()
                except (SQLAlchemyError, HeadgateError) as error:  # the next look tries again
                    log.warning("records_unkept", reason=str(error))
                await asyncio.sleep(_FOLD_S)
        finally:
            await self._store.close()

    async def look_once(self) -> None:
        """Fold what is new, and now and then forget what is old."""
        await self._store.fold()
        if time.monotonic() - self._pruned_at >= _PRUNE_S:
            self._pruned_at = time.monotonic()
            await self._store.prune(self._keep, self._keep_daily)

"""Looking after what is recorded: sent on to streams, folded or counted into days, and forgotten when it is old."""

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from headgate.audit.access_store import AccessStore
from headgate.audit.checkpoints import Retention
from headgate.audit.streams import Forwarder
from headgate.db.turns import Turns
from headgate.jobs.advisory_days import AdvisoryDays
from headgate.kernel.errors import HeadgateError

log = structlog.get_logger(__name__)

_FOLD_S = 60.0
_PRUNE_S = 3600.0
_FORWARD_S = 1.0


@dataclass(frozen=True, slots=True)
class KeepingPlan:
    """How long requests, and the days that they are folded into, are kept."""

    keep: timedelta
    keep_daily: timedelta


class RecordKeeper:
    """Runs beside the jobs of every worker; each step may be done by several at a time."""

    def __init__(
        self,
        store: AccessStore,
        plan: KeepingPlan,
        retention: Retention,
        forwarder: Forwarder,
        turns: Turns,
        advisories: AdvisoryDays,
    ) -> None:
        self._store = store
        self._plan = plan
        self._retention = retention
        self._forwarder = forwarder
        self._turns = turns
        self._advisories = advisories
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

    async def forward(self) -> None:
        """Send audit events on, for ever; of all workers one at a time."""
        while True:
            try:
                async with self._turns.take("audit-streams"):
                    while True:
                        await self._forwarder.deliver()
                        await asyncio.sleep(_FORWARD_S)
            except (SQLAlchemyError, HeadgateError) as error:  # the next turn tries again
                log.warning("events_unsent", reason=str(error))
            await asyncio.sleep(_FORWARD_S)

    async def look_once(self) -> None:
        """Fold what is new, and now and then forget what is old, and count what stands once a day."""
        await self._store.fold()
        if time.monotonic() - self._pruned_at >= _PRUNE_S:
            self._pruned_at = time.monotonic()
            await self._store.prune(self._plan.keep, self._plan.keep_daily)
            await self._retention.prune()
            await self._advisories.look(self._plan.keep_daily)

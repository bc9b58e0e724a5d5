"""The workflow that carries out a promotion.

    bring the bytes here, verified -> give the target all of it at once -> done

Both may happen twice after a crash: bytes that are here are not fetched again, and an applied promotion stays as it is.
"""

from typing import Any

from dbos import DBOS, DBOSConfiguredInstance

from headgate.approvals.bringing import Bringer
from headgate.approvals.plans import Item
from headgate.approvals.promotions import PromotionService, PromotionState
from headgate.conda.names import ChannelName
from headgate.db.engine import Database
from headgate.jobs.engine import INSTANCE
from headgate.jobs.progress import Amount, JobProgress
from headgate.jobs.requests import PromoteRequest
from headgate.kernel.errors import HeadgateError


@DBOS.dbos_class()
class PromoteJobs(DBOSConfiguredInstance):
    """Promotes."""

    def __init__(self, database: Database, promotions: PromotionService, bringer: Bringer) -> None:
        super().__init__(INSTANCE)
        self._database = database
        self._promotions = promotions
        self._bringer = bringer

    @DBOS.workflow(name="promote-artifacts")
    async def promote(self, request: PromoteRequest) -> dict[str, Any]:
        """Carry out the promotion; what it brought. A failure is written down with it."""
        return await self.carry_out(request["promotion"])

    @DBOS.step(preemptible=True)
    async def carry_out(self, number: int) -> dict[str, Any]:
        """Bring, then apply."""
        promotion = await self._promotions.get(number)
        if promotion.state is PromotionState.PLANNED:
            try:
                await self._bring(promotion.source, promotion.new)
                await self._promotions.apply(number)
            except HeadgateError as error:
                await self._promotions.fail(number, error.message)
                raise
        return {"promotion": number, "files": len(promotion.new)}

    async def _bring(self, source: ChannelName, items: list[Item]) -> None:
        progress = JobProgress(self._database, DBOS.workflow_id or "")
        total = Amount(len(items), sum(item.size_bytes for item in items))
        done = Amount()

        async def told(item: Item) -> None:
            nonlocal done
            done = Amount(done.items + 1, done.bytes + item.size_bytes)
            await progress.report("files", "bringing files", done, total)

        try:
            await self._bringer.bring(source, items, told)
        finally:
            await progress.flush()

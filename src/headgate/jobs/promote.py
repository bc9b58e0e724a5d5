"""The workflows that carry out a promotion, and end requests on which nobody decided.

    bring the bytes here, verified -> give the target all of it at once -> done

Both may happen twice after a crash: bytes that are here are not fetched again, and an applied promotion stays as it is.
"""

from typing import Any

from dbos import DBOS, DBOSConfiguredInstance

from headgate.approvals.bringing import Bringer
from headgate.approvals.plans import Item
from headgate.approvals.promotions import PromotionService, PromotionState
from headgate.approvals.requests import expire_requests, find_unstarted, has_expired
from headgate.conda.names import ChannelName
from headgate.db.engine import Database
from headgate.intake.lapsing import has_lapsed, lapse_due
from headgate.jobs.engine import INSTANCE
from headgate.jobs.progress import Amount, JobProgress
from headgate.jobs.requests import ExpireRequest, PromoteRequest
from headgate.jobs.service import JobService
from headgate.kernel import clock
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

    @DBOS.workflow(name="expire-requests")
    async def expire(self, request: ExpireRequest) -> dict[str, int]:
        """End the requests on which nobody decided in time, and approvals until a moment; how many."""
        return await self.end_requests(request["actor"])

    @DBOS.step()
    async def end_requests(self, _actor: str) -> dict[str, int]:
        """End them; doing it twice does no harm."""
        now = clock.now()
        return {
            "requests": await expire_requests(self._database, now),
            "files": await lapse_due(self._database, now),
        }

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


async def look_after_requests(database: Database, jobs: JobService) -> None:
    """Ask for the jobs of what was approved before a crash, and of requests and approvals whose time is over."""
    for number in await find_unstarted(database):
        await jobs.promote("headgate", number)
    if await has_expired(database, clock.now()) or await has_lapsed(database, clock.now()):
        await jobs.expire_requests()

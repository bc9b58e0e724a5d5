"""The workflow that changes many files of a hosted channel together.

Its one step is one transaction, which writes down the job that it was done by: after a crash it is done, or not at all.
"""

from dbos import DBOS, DBOSConfiguredInstance

from headgate.approvals.batches import BatchAction, BatchService, BatchWish
from headgate.conda.names import ChannelName, Subdir
from headgate.jobs.engine import INSTANCE
from headgate.jobs.requests import BatchRequest


@DBOS.dbos_class()
class BatchJobs(DBOSConfiguredInstance):
    """Changes files."""

    def __init__(self, batches: BatchService) -> None:
        super().__init__(INSTANCE)
        self._batches = batches

    @DBOS.workflow(name="change-artifacts")
    async def change(self, request: BatchRequest) -> int:
        """Change them; how many (0: it was done before a crash)."""
        return await self.carry_out(request)

    @DBOS.step()
    async def carry_out(self, request: BatchRequest) -> int:
        """All of them, once."""
        wish = BatchWish(
            action=BatchAction(request["action"]),
            channel=ChannelName(request["channel"]),
            texts=request["wants"],
            target=None if request["target"] is None else ChannelName(request["target"]),
            subdirs=[Subdir(one) for one in request["subdirs"]],
        )
        done = await self._batches.carry_out(
            request["actor"], wish, digest=request["digest"], comment=request["comment"], key=DBOS.workflow_id
        )
        return 0 if done is None else len(done.items)

"""Jobs that nobody runs any more, taken up again.

Either their worker died, or it took them and could not write down how they ended, on a full disk: DBOS leaves those
running for ever, and whoever asks for the same job waits for them.
"""

import asyncio

import structlog
from dbos import DBOS

from headgate.jobs.executors import Executors

log = structlog.get_logger(__name__)


class LostJobs:
    """Looks for them; one of our own counts as lost when it is found twice, as it may just be starting or ending."""

    def __init__(self, worker: DBOS, executors: Executors) -> None:
        self._worker = worker
        self._executors = executors
        self._suspects: set[str] = set()

    async def resume(self) -> None:
        """Queue again what the dead left, and what was lost already at the last look."""
        taken = await DBOS.list_workflows_async(status="PENDING", load_input=False, load_output=False)
        await self._inherit({one.executor_id for one in taken if one.executor_id})
        running = self._worker._active_workflows_set.activeList()  # noqa: SLF001 - nothing public tells it
        mine = {one.workflow_id for one in taken if one.executor_id == self._executors.name}
        missing = mine - set(running)
        for job_id in sorted(missing & self._suspects):
            log.warning("job_resumed", job=job_id)
            await DBOS.resume_workflow_async(job_id)
        self._suspects = missing

    async def _inherit(self, names: set[str]) -> None:
        dead = await self._executors.bury(sorted(names))
        if dead:
            # Unlike resuming, this keeps a job's queue and what it is the only one of; twice does no harm.
            recover = DBOS._recover_pending_workflows  # noqa: SLF001 - the only way to say whose jobs are meant
            found = await asyncio.to_thread(recover, dead)
            log.warning("jobs_inherited", workers=dead, jobs=[one.workflow_id for one in found])

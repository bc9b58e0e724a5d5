"""Jobs that this worker took and no longer runs, because it could not write down how they ended: on a full disk.

DBOS leaves them running for ever, and whoever asks for the same job waits for them. Here they are taken up again.
"""

import structlog
from dbos import DBOS

log = structlog.get_logger(__name__)


class LostJobs:
    """Looks for them; one counts as lost when it is found twice, as it may just be starting or ending."""

    def __init__(self, worker: DBOS, executor: str) -> None:
        self._worker = worker
        self._executor = executor
        self._suspects: set[str] = set()

    async def resume(self) -> None:
        """Queue again what was lost already at the last look."""
        taken = await DBOS.list_workflows_async(
            status="PENDING", executor_id=self._executor, load_input=False, load_output=False
        )
        running = self._worker._active_workflows_set.activeList()  # noqa: SLF001 - nothing public tells it
        missing = {one.workflow_id for one in taken} - set(running)
        for job_id in sorted(missing & self._suspects):
            log.warning("job_resumed", job=job_id)
            await DBOS.resume_workflow_async(job_id)
        self._suspects = missing

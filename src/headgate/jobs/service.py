r"""Jobs from the outside: asked for, listed, stopped, tried again. Runs none itself.

queued --picked up--> running --> done
   |                    |  \--> failed --retry--> queued (as a new job)
   \------stop----------+-----> stopped --retry--> queued (goes on at its step)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dbos import DBOSClient, EnqueueOptions, WorkflowStatus
from sqlalchemy import select

from headgate.audit.events import Action, record
from headgate.db import tables
from headgate.db.engine import Database, disk_errors
from headgate.jobs.engine import GATE, INSTANCE, PUBLISH, SYNC, UPKEEP
from headgate.jobs.requests import PublishRequest, ReviseRequest, SyncRequest, UpkeepRequest
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, NotFound

_STATES = {
    "DELAYED": "queued",
    "ENQUEUED": "queued",
    "PENDING": "running",
    "SUCCESS": "done",
    "ERROR": "failed",
    "CANCELLED": "stopped",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "failed",
}
_ENDED = frozenset({"done", "failed", "stopped"})


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands: `progress` is what it last wrote down, `failure` the sentence it ended with."""

    id: str
    kind: str
    state: str
    request: Any
    actor: str | None
    result: Any
    failure: str | None
    progress: Mapping[str, Any] | None
    created_at: datetime
    ended_at: datetime | None

    @property
    def has_ended(self) -> bool:
        """True when nothing more will happen by itself."""
        return self.state in _ENDED


class JobService:
    """Asks for jobs and watches them."""

    def __init__(self, client: DBOSClient, database: Database) -> None:
        self._client = client
        self._database = database

    def close(self) -> None:
        """Close its connections; it blocks for a moment."""
        self._client.destroy()

    async def sync(self, actor: str, channel: str, subdirs: Sequence[str] | None = None) -> str:
        """Ask for a sync of a mirror; its job id. One already waiting or running for the same subdirs is that one."""
        wanted = None if subdirs is None else sorted(set(subdirs))
        request = SyncRequest(channel=channel, subdirs=wanted)
        same = f"sync {channel} {' '.join(wanted) if wanted is not None else '*'}"
        return await self._ask("sync-mirror", "SyncJobs", SYNC, same, actor, request)

    async def publish(self, channel: str, subdir: str, document: str) -> str:
        """Ask for a document; its job id. One already waiting or running is that one."""
        request = PublishRequest(channel=channel, subdir=subdir, document=document)
        return await self._ask(
            "publish-document", "PublishJobs", PUBLISH, f"publish {channel} {subdir} {document}", "headgate", request
        )

    async def revise(self, channel: str, subdir: str) -> str:
        """Ask for a subdir to be judged again; its job id. One already waiting or running is that one."""
        request = ReviseRequest(channel=channel, subdir=subdir)
        return await self._ask("revise-subdir", "GateJobs", GATE, f"revise {channel} {subdir}", "headgate", request)

    async def collect(self, actor: str, shard_age_days: int, blob_age_hours: int) -> str:
        """Ask for a clean-up; its job id."""
        request = UpkeepRequest(shard_age_days=shard_age_days, blob_age_hours=blob_age_hours)
        return await self._ask("collect-garbage", "UpkeepJobs", UPKEEP, "collect", actor, request)

    async def list_jobs(self, *, kind: str | None = None, limit: int = 100, offset: int = 0) -> list[Job]:
        """The newest jobs first."""
        found = await self._client.list_workflows_async(name=kind, limit=limit, offset=offset, sort_desc=True)
        return await self._with_progress(found)

    async def get_job(self, job_id: str) -> Job:
        """Raises NotFound `job-unknown`."""
        found = await self._client.list_workflows_async(workflow_ids=[job_id])
        if not found:
            raise NotFound("job-unknown", f"There is no job {job_id}.")
        return (await self._with_progress(found))[0]

    async def stop(self, actor: str, job_id: str) -> Job:
        """Stop a job: a waiting one never starts, a running one ends at once. Raises Conflict `job-ended`."""
        job = await self.get_job(job_id)
        if job.has_ended:
            raise Conflict("job-ended", f"Job {job_id} is {job.state} already.")
        await self._client.cancel_workflow_async(job_id)
        await self._audit(Action.JOB_STOP, actor, job)
        return await self.get_job(job_id)

    async def retry(self, actor: str, job_id: str) -> Job:
        """Let a stopped job go on at its step, or do a failed one again. Raises Conflict `job-not-failed`."""
        job = await self.get_job(job_id)
        if job.state not in {"failed", "stopped"}:
            raise Conflict("job-not-failed", f"Job {job_id} is {job.state}; only failed and stopped jobs are retried.")
        await self._audit(Action.JOB_RETRY, actor, job)
        if job.state == "stopped":
            await self._client.resume_workflow_async(job_id)
            return await self.get_job(job_id)
        fork = await self._client.fork_workflow_async(job_id, 1)
        return await self.get_job(fork.workflow_id)

    async def _ask(self, name: str, owner: str, queue: str, same: str, actor: str, request: Any) -> str:
        options: EnqueueOptions = {
            "workflow_name": name,
            "queue_name": queue,
            "class_name": owner,
            "instance_name": INSTANCE,
            "deduplication_id": same,
            "duplication_policy": "return-existing",
            "authenticated_user": actor,
        }
        with disk_errors():
            handle: Any = await self._client.enqueue_async(options, request)
        job_id: str = handle.workflow_id
        return job_id

    async def _audit(self, action: Action, actor: str, job: Job) -> None:
        async with self._database.write() as connection:
            await record(connection, action, actor, subject=job.id, kind=job.kind)

    async def _with_progress(self, found: Sequence[WorkflowStatus]) -> list[Job]:
        columns = tables.job_progress.c
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(columns.job_id, columns.body).where(columns.job_id.in_([one.workflow_id for one in found]))
            )
            progress = {row.job_id: row.body for row in rows}
        return [_job(one, progress.get(one.workflow_id)) for one in found]


def _job(status: WorkflowStatus, progress: Mapping[str, Any] | None) -> Job:
    arguments = status.input["args"] if status.input else ()
    return Job(
        id=status.workflow_id,
        kind=status.name,
        state=_STATES[status.status],
        request=next((one for one in arguments if isinstance(one, dict)), None),
        actor=status.authenticated_user,
        result=status.output,
        failure=None if status.error is None else str(status.error),
        progress=progress,
        created_at=clock.from_ms(status.created_at or 0),
        ended_at=None if status.completed_at is None else clock.from_ms(status.completed_at),
    )

r"""Jobs from the outside: asked for, listed, stopped, tried again. Runs none itself.

queued --picked up--> running --> done
   |                    |  \--> failed --retry--> queued (as a new job)
   +------stop----------+-----> stopped --retry or resume--> queued (goes on at its step)
   \------pause---------+-----> paused --resume--> queued (likewise), --stop--> stopped
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dbos import DBOSClient, EnqueueOptions, WorkflowStatus
from sqlalchemy import delete, select

from headgate.approvals.batches import BatchWish
from headgate.audit.events import Action, record
from headgate.db import tables
from headgate.db.engine import Database, disk_errors, insert
from headgate.jobs.engine import INSTANCE
from headgate.jobs.kinds import (
    BACKUP,
    CHANGE_ARTIFACTS,
    COLLECT_GARBAGE,
    EXPIRE_REQUESTS,
    EXPORT_BUNDLE,
    FETCH_ARTIFACTS,
    IMPORT_ADVISORIES,
    IMPORT_BUNDLE,
    KINDS,
    PROMOTE_ARTIFACTS,
    PUBLISH_DOCUMENT,
    REFRESH_FEED,
    REVISE_SUBDIR,
    SCAN_DROP_FOLDER,
    SYNC_LDAP,
    SYNC_MIRROR,
    Kind,
)
from headgate.jobs.progress import MAX_LINES
from headgate.jobs.requests import (
    AdvisoriesRequest,
    BackupRequest,
    BatchRequest,
    ExpireRequest,
    ExportRequest,
    FeedRequest,
    FetchRequest,
    ImportRequest,
    LdapRequest,
    PromoteRequest,
    PublishRequest,
    ReviseRequest,
    ScanRequest,
    SyncRequest,
    UpkeepRequest,
)
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
_WAITING_OR_RUNNING = ["DELAYED", "ENQUEUED", "PENDING"]
_AT_ONCE = 500
_ENDED = frozenset({"done", "failed", "stopped", "paused"})


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
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def has_ended(self) -> bool:
        """True when nothing more will happen by itself."""
        return self.state in _ENDED


@dataclass(frozen=True, slots=True)
class Line:
    """One line of what a job said."""

    at: datetime
    text: str


class JobService:
    """Asks for jobs and watches them."""

    def __init__(self, client: DBOSClient, database: Database) -> None:
        self._client = client
        self._database = database

    def close(self) -> None:
        """Close its connections; it blocks for a moment."""
        self._client.destroy()

    async def sync(
        self,
        actor: str,
        channel: str,
        subdirs: Sequence[str] | None = None,
        mirror: str | None = None,
        *,
        job_id: str | None = None,
    ) -> str:
        """Ask for a sync of a channel's mirrors, or of one; its job id. The same one, waiting or running, is that one.

        With a `job_id` of one's own it happens once, however often it is asked for.
        """
        wanted = None if subdirs is None else sorted(set(subdirs))
        request = SyncRequest(channel=channel, subdirs=wanted)
        same = f"sync {channel} {' '.join(wanted) if wanted is not None else '*'}"
        if mirror is not None:
            request["mirror"] = mirror
            same += f" of {mirror}"
        return await self._ask(SYNC_MIRROR, same, actor, request, job_id=job_id)

    async def fetch(self, actor: str, channel: str, files: Sequence[str] | None = None) -> str:
        """Ask for artifacts ahead: those that the mirrors' settings name, or `files`; its job id, as for `sync`."""
        wanted = None if files is None else sorted(set(files))
        same = f"fetch {channel} {'*' if wanted is None else _digest(wanted)}"
        return await self._ask(FETCH_ARTIFACTS, same, actor, FetchRequest(channel=channel, files=wanted))

    async def publish(self, channel: str, subdir: str, document: str) -> str:
        """Ask for a document; its job id. One already waiting or running is that one."""
        request = PublishRequest(channel=channel, subdir=subdir, document=document)
        return await self._ask(PUBLISH_DOCUMENT, f"publish {channel} {subdir} {document}", "headgate", request)

    async def refresh_feed(self, actor: str, feed: str) -> str:
        """Ask for a look at the URL of an advisory feed; its job id. One already waiting or running is that one."""
        request = FeedRequest(actor=actor, feed=feed)
        return await self._ask(REFRESH_FEED, f"feed {feed}", actor, request)

    async def import_advisories(self, actor: str, feed: str, sha256: str, *, is_whole: bool) -> str:
        """Ask for an uploaded file to be read into an advisory feed; its job id."""
        request = AdvisoriesRequest(actor=actor, feed=feed, sha256=sha256, is_whole=is_whole)
        same = f"import {feed} {sha256}"
        return await self._ask(IMPORT_ADVISORIES, same, actor, request)

    async def revise(self, channel: str, subdir: str) -> str:
        """Ask for a subdir to be judged again; its job id. One already waiting or running is that one."""
        request = ReviseRequest(channel=channel, subdir=subdir)
        return await self._ask(REVISE_SUBDIR, f"revise {channel} {subdir}", "headgate", request)

    async def expire_requests(self) -> str:
        """Ask for requests on which nobody decided in time to be ended; one waiting or running is that one."""
        return await self._ask(EXPIRE_REQUESTS, "expire requests", "headgate", ExpireRequest(actor="headgate"))

    async def promote(self, actor: str, promotion: int) -> str:
        """Ask for a promotion that was decided on to be carried out; its job id.

        Each has one job, which is not begun again however often it is asked for: somebody may have stopped it.
        """
        request = PromoteRequest(promotion=promotion)
        return await self._ask(
            PROMOTE_ARTIFACTS, f"promote {promotion}", actor, request, job_id=f"promotion-{promotion}"
        )

    async def change(self, actor: str, wish: BatchWish, digest: str, comment: str) -> str:
        """Ask for files of a hosted channel to be changed together; its job id."""
        request = BatchRequest(
            actor=actor,
            action=wish.action.value,
            channel=wish.channel,
            wants=list(wish.texts),
            target=wish.target,
            subdirs=[str(one) for one in wish.subdirs],
            digest=digest,
            comment=comment,
        )
        return await self._ask(CHANGE_ARTIFACTS, f"change {wish.channel} {digest}", actor, request)

    async def collect(self, actor: str, request: UpkeepRequest, *, job_id: str | None = None) -> str:
        """Ask for a clean-up; its job id."""
        return await self._ask(COLLECT_GARBAGE, "collect", actor, request, job_id=job_id)

    async def backup(self, actor: str, *, job_id: str | None = None) -> str:
        """Ask for a backup; its job id. One already waiting or running is that one."""
        return await self._ask(BACKUP, "backup", actor, BackupRequest(actor=actor), job_id=job_id)

    async def export(self, actor: str, channel: str, export: str) -> str:
        """Ask for the bundle that is wished for in the folder of `export`; its job id."""
        request = ExportRequest(channel=channel, export=export, actor=actor)
        return await self._ask(EXPORT_BUNDLE, f"export {export}", actor, request)

    async def take_in(self, actor: str, channel: str, path: Path, trusted: str | None) -> str:
        """Ask for a bundle to be taken in; its job id."""
        request = ImportRequest(channel=channel, path=str(path), trusted=trusted, actor=actor)
        return await self._ask(IMPORT_BUNDLE, f"import {path.name}", actor, request)

    async def scan_drops(self, actor: str) -> str:
        """Ask for a look through the drop folder; its job id. One already waiting or running is that one."""
        return await self._ask(SCAN_DROP_FOLDER, "drops", actor, ScanRequest(actor=actor))

    async def sync_ldap(self, actor: str, directory: str, *, is_forced: bool = False) -> str:
        """Ask for a sync of an LDAP directory; its job id. One already waiting or running is that one."""
        request = LdapRequest(directory=directory, is_forced=is_forced)
        return await self._ask(SYNC_LDAP, f"ldap {directory} {is_forced}", actor, request)

    async def list_jobs(
        self, *, kind: str | None = None, since: datetime | None = None, limit: int = 100, offset: int = 0
    ) -> list[Job]:
        """The newest jobs first; `since`: those that were asked for from then on."""
        start = None if since is None else since.isoformat()
        found = await self._client.list_workflows_async(
            name=kind, start_time=start, limit=limit, offset=offset, sort_desc=True
        )
        return await self._with_progress(found)

    async def get_job(self, job_id: str) -> Job:
        """Raises NotFound `job-unknown`."""
        found = await self._client.list_workflows_async(workflow_ids=[job_id])
        if not found:
            raise NotFound("job-unknown", f"There is no job {job_id}.")
        return (await self._with_progress(found))[0]

    async def read_log(self, job_id: str, limit: int = MAX_LINES) -> list[Line]:
        """The last lines that a job said, the oldest first. Raises NotFound `job-unknown`."""
        await self.get_job(job_id)
        columns = tables.job_line.c
        chosen = select(columns.at, columns.text).where(columns.job_id == job_id)
        async with self._database.read() as connection:
            rows = await connection.execute(chosen.order_by(columns.id.desc()).limit(limit))
            return [Line(row.at, row.text) for row in rows][::-1]

    async def stop(self, actor: str, job_id: str) -> Job:
        """Stop a job: a waiting one never starts, a running one ends at once. Raises Conflict `job-ended`."""
        job = await self.get_job(job_id)
        if job.state != "paused":
            _check_under_way(job)
        # The event first: the job is not of this database, and must not stop without one.
        await self._steer(Action.JOB_STOP, actor, job, is_paused=False)
        if job.state != "paused":
            await self._client.cancel_workflow_async(job_id)
        return await self.get_job(job_id)

    async def pause(self, actor: str, job_id: str) -> Job:
        """Let a job rest until it is resumed, at the step it had reached. Raises Conflict `job-ended`."""
        job = await self.get_job(job_id)
        _check_under_way(job)
        await self._steer(Action.JOB_PAUSE, actor, job, is_paused=True)
        await self._client.cancel_workflow_async(job_id)
        return await self.get_job(job_id)

    async def resume(self, actor: str, job_id: str) -> Job:
        """Let a paused or stopped job go on at its step. Raises Conflict `job-not-paused`, `job-running-already`."""
        job = await self.get_job(job_id)
        if job.state not in {"paused", "stopped"}:
            raise Conflict("job-not-paused", f"Job {job_id} is {job.state}; only paused and stopped jobs go on.")
        await self._go_on(Action.JOB_RESUME, actor, job)
        return await self.get_job(job_id)

    async def retry(self, actor: str, job_id: str) -> Job:
        """Let a stopped job go on at its step, or do a failed one again.

        Raises Conflict `job-not-failed`, `job-running-already`.
        """
        job = await self.get_job(job_id)
        if job.state not in {"failed", "stopped"}:
            raise Conflict("job-not-failed", f"Job {job_id} is {job.state}; only failed and stopped jobs are retried.")
        if job.state == "stopped":
            await self._go_on(Action.JOB_RETRY, actor, job)
            return await self.get_job(job_id)
        await self._refuse_second(job)
        await self._steer(Action.JOB_RETRY, actor, job, is_paused=False)
        fork = await self._client.fork_workflow_async(job_id, 1, queue_name=_queue(job))
        return await self.get_job(fork.workflow_id)

    async def forget_old(self, before: datetime) -> int:
        """Delete jobs that ended before that moment, with their lines; how many."""
        count = 0
        while True:
            found = await self._client.list_workflows_async(
                status=["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"],
                completed_before=before.isoformat(), limit=_AT_ONCE, load_input=False, load_output=False,
            )  # fmt: skip
            if not found:
                return count
            ids = [one.workflow_id for one in found]
            async with self._database.write() as connection:
                for table in (tables.job_line, tables.job_progress):
                    await connection.execute(delete(table).where(table.c.job_id.in_(ids)))
            await self._client.delete_workflows_async(ids)
            count += len(ids)

    async def _go_on(self, action: Action, actor: str, job: Job) -> None:
        await self._refuse_second(job)
        await self._steer(action, actor, job, is_paused=False)
        await self._client.resume_workflow_async(job.id, queue_name=_queue(job))

    async def _refuse_second(self, job: Job) -> None:
        other = await self._find_same(job.kind, job.request)
        if other is not None:
            raise Conflict("job-running-already", f"Job {other} does the same already; look at that one.")

    async def _find_same(self, kind: str, request: Any) -> str | None:
        """A job that waits or runs for the same; one that was resumed is no longer known to the queue by that."""
        found = await self._client.list_workflows_async(name=kind, status=_WAITING_OR_RUNNING, load_output=False)
        return next((one.workflow_id for one in found if _request(one) == request), None)

    async def _ask(self, kind: Kind, same: str, actor: str, request: Any, *, job_id: str | None = None) -> str:
        if kind in {SYNC_MIRROR, FETCH_ARTIFACTS} and (other := await self._find_same(kind.name, request)):
            return other
        options: EnqueueOptions = {
            "workflow_name": kind.name,
            "queue_name": kind.queue,
            "class_name": kind.owner,
            "instance_name": INSTANCE,
            "deduplication_id": same,
            "duplication_policy": "return-existing",
            "authenticated_user": actor,
        }
        if job_id is not None:
            options["workflow_id"] = job_id
        with disk_errors():
            handle: Any = await self._client.enqueue_async(options, request)
        asked: str = handle.workflow_id
        return asked

    async def _steer(self, action: Action, actor: str, job: Job, *, is_paused: bool) -> None:
        """Write down who did what to a job, and whether it rests."""
        paused_at = clock.now() if is_paused else None
        async with self._database.write() as connection:
            statement = insert(connection, tables.job_progress).values(
                job_id=job.id, body={}, at=clock.now(), paused_at=paused_at
            )
            renewed = {"paused_at": statement.excluded.paused_at}
            await connection.execute(statement.on_conflict_do_update(index_elements=["job_id"], set_=renewed))
            await record(connection, action, actor, subject=job.id, kind=job.kind)

    async def _with_progress(self, found: Sequence[WorkflowStatus]) -> list[Job]:
        columns = tables.job_progress.c
        chosen = columns.job_id.in_([one.workflow_id for one in found])
        async with self._database.read() as connection:
            rows = await connection.execute(select(columns.job_id, columns.body, columns.paused_at).where(chosen))
            known = {row.job_id: (row.body or None, row.paused_at is not None) for row in rows}
        return [_job(one, *known.get(one.workflow_id, (None, False))) for one in found]


def _job(status: WorkflowStatus, progress: Mapping[str, Any] | None, is_paused: bool) -> Job:  # noqa: FBT001 - one caller
    state = _STATES[status.status]
    ended_at = None if status.completed_at is None else clock.from_ms(status.completed_at)
    if is_paused and state == "stopped":
        state, ended_at = "paused", None
    return Job(
        id=status.workflow_id,
        kind=status.name,
        state=state,
        request=_request(status),
        actor=status.authenticated_user,
        result=status.output,
        failure=None if status.error is None else str(status.error),
        progress=progress,
        created_at=clock.from_ms(status.created_at or 0),
        started_at=clock.from_optional_ms(status.dequeued_at),
        ended_at=ended_at,
    )


def _check_under_way(job: Job) -> None:
    if job.has_ended:
        raise Conflict("job-ended", f"Job {job.id} is {job.state} already.")


def _request(status: WorkflowStatus) -> Any:
    arguments = status.input["args"] if status.input else ()
    return next((one for one in arguments if isinstance(one, dict)), None)


def _queue(job: Job) -> str | None:
    return KINDS[job.kind].queue if job.kind in KINDS else None


def _digest(words: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()

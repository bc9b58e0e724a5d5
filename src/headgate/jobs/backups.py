"""The workflow that makes a backup, and the clock that asks for it."""

from datetime import datetime
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSConfiguredInstance

from headgate.backups.copying import Tally
from headgate.backups.service import BackupService
from headgate.db.engine import Database
from headgate.jobs.engine import INSTANCE, open_client
from headgate.jobs.kinds import BACKUP
from headgate.jobs.progress import Amount, JobProgress
from headgate.jobs.requests import BackupRequest
from headgate.jobs.service import JobService
from headgate.kernel import clock


@DBOS.dbos_class()
class BackupJobs(DBOSConfiguredInstance):
    """Makes backups."""

    def __init__(self, database: Database, backups: BackupService) -> None:
        super().__init__(INSTANCE)
        self._database = database
        self._backups = backups

    @DBOS.workflow(name="backup")
    async def backup(self, request: BackupRequest) -> dict[str, Any]:
        """Make a backup; its name, its size, and which ones went."""
        return await self.make(request)

    @DBOS.step(preemptible=True)
    async def make(self, request: BackupRequest) -> dict[str, Any]:
        """Make it; begun again after a kill, it starts from the beginning, unless all but the event was done."""
        job = DBOS.workflow_id or ""
        progress = JobProgress(self._database, job)

        async def report(tally: Tally) -> None:
            done, total = Amount(tally.files, tally.bytes), Amount(tally.total_files, tally.total_bytes)
            await progress.report("backup", tally.step, done, total)

        try:
            made, gone = await self._backups.make(request["actor"], job, report, forget_job)
            paper = made.paper
            await progress.say(f"{made.name}: {paper.files} files, {paper.bytes} bytes.")
            if paper.missing_files:
                await progress.say(f"{paper.missing_files} files that the database names are not in the data folder.")
            if paper.said is not None:
                await progress.say(paper.said)
        finally:
            await progress.flush()
        return {"name": made.name, "files": paper.files, "bytes": paper.bytes, "removed": gone}


def forget_job(path: Path, job: str) -> None:
    """Take a job out of a copied `jobs.db`; it blocks."""
    client = open_client(f"sqlite:///{path}")
    try:
        client.delete_workflows([job])
    finally:
        client.destroy()


class BackupClock:
    """Asks for a backup when one is due; of those that were missed, for one."""

    def __init__(self, backups: BackupService, jobs: JobService) -> None:
        self._plan = backups.plan
        self._backups = backups
        self._jobs = jobs
        self._started_at = clock.now()
        self._due_at: datetime | None = None

    async def look(self) -> None:
        """To be called often; it looks at the database when a backup may be due, and at its first call."""
        if self._plan.folder is None or not self._plan.schedule.cron:
            return
        now = clock.now()
        if self._due_at is None:
            self._due_at = self._plan.next_after(await self._last_at())
        if self._due_at is not None and self._due_at <= now:
            # Several workers ask for the same one.
            await self._jobs.backup("schedule", job_id=f"backup-{clock.to_ms(self._due_at)}")
            self._due_at = self._plan.next_after(now)

    async def _last_at(self) -> datetime:
        """When one was last asked for, or made before jobs were forgotten; else when this worker started."""
        asked = await self._jobs.list_jobs(kind=BACKUP.name, limit=1)
        made = (await self._backups.standing()).backups
        return max(
            (one for one in (*(job.created_at for job in asked), *(one.paper.made_at for one in made[:1]))),
            default=self._started_at,
        )

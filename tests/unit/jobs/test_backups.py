"""The clock that asks for backups, and what a copied `jobs.db` says of the job that copied it."""

from datetime import timedelta
from pathlib import Path

import pytest

from headgate.backups.service import BackupPlan, BackupService
from headgate.bootstrap import Place, Services
from headgate.channels.schedules import ScheduleSettings
from headgate.jobs.backups import BackupClock, forget_job
from headgate.jobs.engine import open_client
from headgate.kernel import clock
from tests.unit.backups.making import make, put


def clock_of(services: Services, folder: Path | None, cron: str = "0 0 1 1 *") -> BackupClock:
    plan = BackupPlan(folder, 7, ScheduleSettings(cron=cron, jitter_seconds=0))
    return BackupClock(BackupService(services.core.place.folder, services.core.database, plan), services.jobs)


async def asked(services: Services) -> list[tuple[str, str | None]]:
    return [(one.kind, one.actor) for one in await services.jobs.list_jobs()]


async def test_runs_that_were_missed_are_caught_up_once(services: Services, tmp_path: Path) -> None:
    put(tmp_path, clock.now() - timedelta(days=400))
    for one in (clock_of(services, tmp_path), clock_of(services, tmp_path)):
        for _ in range(2):
            await one.look()
    assert await asked(services) == [("backup", "schedule")]
    [job] = await services.jobs.list_jobs()
    await services.jobs.stop("ada", job.id)
    await clock_of(services, tmp_path).look()
    assert len(await asked(services)) == 1, "asked for already, though nothing came of it"


async def test_nothing_is_asked_for_without_a_schedule_a_folder_or_a_run_that_is_due(
    services: Services, tmp_path: Path
) -> None:
    put(tmp_path, clock.now())
    for one in (clock_of(services, tmp_path, ""), clock_of(services, None), clock_of(services, tmp_path, "0 0 1 1 *")):
        await one.look()
    assert await asked(services) == []


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
async def test_a_backup_does_not_hold_the_job_that_made_it(services: Services, place: Place, tmp_path: Path) -> None:
    other = await services.jobs.sync("ada", "team")
    job = await services.jobs.backup("ada")
    assert await services.jobs.backup("bob") == job, "one at a time"
    made, _ = await make(BackupService(place.folder, services.core.database, BackupPlan(tmp_path)), job)
    client = open_client(f"sqlite:///{made.folder / 'jobs.db'}")
    try:
        assert [one.workflow_id for one in client.list_workflows()] == [other]
    finally:
        client.destroy()
    assert sorted(one.id for one in await services.jobs.list_jobs()) == sorted([other, job])
    forget_job(made.folder / "jobs.db", "unknown")

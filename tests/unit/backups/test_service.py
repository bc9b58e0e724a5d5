"""Backups as a service: told of in the audit log, kept to a number, missed when they are late."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from headgate.backups.service import BackupPlan, BackupService
from headgate.bootstrap import Services
from headgate.channels.model import ChannelKind
from headgate.channels.schedules import ScheduleSettings
from headgate.conda.names import ChannelName
from headgate.db import tables
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, Unavailable
from tests.unit.backups.making import make, put


def service_of(services: Services, folder: Path | None, keep: int = 7, cron: str = "") -> BackupService:
    plan = BackupPlan(folder, keep, ScheduleSettings(cron=cron, jitter_seconds=0))
    return BackupService(services.core.place.folder, services.core.database, plan)


async def events(services: Services) -> Sequence[tuple[str, str, object]]:
    event = tables.audit_event.c
    chosen = (
        select(event.action, event.subject, event.detail).where(event.action.like("backup:%")).order_by(event.number)
    )
    async with services.core.database.read() as connection:
        return [(row.action, row.subject, row.detail) for row in await connection.execute(chosen)]


async def test_a_backup_is_told_of_once_however_often_its_job_begins(services: Services, folder: Path) -> None:
    backups = service_of(services, folder)
    made, _ = await make(backups, "job-1")
    again, _ = await make(backups, "job-1")
    assert again.name == made.name
    [(action, subject, detail)] = await events(services)
    assert (action, subject) == ("backup:make", made.name)
    assert isinstance(detail, dict)
    assert (detail["files"], detail["job"], detail["removed"]) == (made.paper.files, "job-1", [])


async def test_the_newest_stay(services: Services, folder: Path) -> None:
    old = [put(folder, clock.now() - timedelta(days=days)).name for days in (3, 2, 1)]
    made, gone = await make(service_of(services, folder, keep=2), "job-1")
    assert gone == [old[1], old[0]]
    assert [one.name for one in (await service_of(services, folder).standing()).backups] == [made.name, old[2]]


async def test_a_failure_is_told_of_and_removes_no_older_one(services: Services, folder: Path) -> None:
    with pytest.raises(Unavailable) as raised:
        await make(service_of(services, folder / "unmounted"), "job-1")
    [(action, subject, detail)] = await events(services)
    assert (action, subject) == ("backup:fail", "job-1")
    assert detail == {"code": "backup-folder-missing", "reason": raised.value.message}


async def test_without_a_folder_there_are_none(services: Services) -> None:
    backups = service_of(services, None)
    with pytest.raises(Conflict, match=r"backup\.folder"):
        await make(backups, "job-1")
    standing = await backups.standing()
    assert (standing.is_on, standing.backups, standing.concern) == (False, (), None)
    assert (standing.elsewhere is None) == services.core.database.is_sqlite


async def concern(services: Services, folder: Path, cron: str = "") -> str:
    return (await service_of(services, folder, cron=cron).standing()).concern or ""


async def test_no_backup_is_missed_on_a_server_that_is_older_than_a_day(services: Services, folder: Path) -> None:
    await services.core.channels.create("test", ChannelName("team"), ChannelKind.HOSTED)
    assert await concern(services, folder) == ""
    async with services.core.database.write() as connection:
        await connection.execute(update(tables.audit_event).values(at=clock.now() - timedelta(hours=25)))
    assert "There is no backup" in await concern(services, folder)
    put(folder, clock.now() - timedelta(days=90))
    assert await concern(services, folder) == "", "by hand, as often as they like"


@pytest.mark.parametrize(("hours", "is_late"), [(47, False), (49, True)])
async def test_a_backup_is_late_after_twice_its_interval(
    services: Services, folder: Path, hours: int, *, is_late: bool
) -> None:
    put(folder, clock.now() - timedelta(hours=hours))
    assert bool(await concern(services, folder, "30 2 * * *")) == is_late


async def test_a_folder_that_cannot_be_read_is_a_concern(services: Services, tmp_path: Path) -> None:
    assert "is not there" in await concern(services, tmp_path / "nowhere")


async def test_the_plan_reads_its_schedule_in_a_time_zone(services: Services, folder: Path) -> None:
    plan = BackupPlan(folder, 7, ScheduleSettings(cron="30 2 * * *", timezone="Europe/Berlin", jitter_seconds=0))
    summer = datetime.fromisoformat("2026-07-01T12:00:00+00:00")
    assert plan.next_after(summer) == datetime.fromisoformat("2026-07-02T00:30:00+00:00")
    assert plan.interval(summer) == timedelta(days=1)
    assert BackupPlan(None, 7, plan.schedule).next_after(summer) is None
    async with services.core.database.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(tables.audit_event))).scalar_one() == 0

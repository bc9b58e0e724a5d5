"""Backups through the API: listed, asked for, and refused where there can be none."""

from datetime import timedelta
from pathlib import Path

import pytest

from headgate.backups.service import BackupPlan
from headgate.bootstrap import Services
from headgate.channels.schedules import ScheduleSettings
from headgate.kernel import clock
from tests.http.conftest import Callers
from tests.unit.backups.making import make, put


@pytest.fixture
def folder(services: Services, tmp_path: Path) -> Path:
    """Where this server's backups go, one at half past two every night."""
    place = tmp_path / "backups"
    place.mkdir()
    schedule = ScheduleSettings(cron="30 2 * * *", jitter_seconds=0)
    services.core.backups.plan = BackupPlan(place, 7, schedule)
    return place


async def test_backups_are_listed_with_what_is_in_them(callers: Callers, services: Services, folder: Path) -> None:
    old = put(folder, clock.now() - timedelta(hours=2)).name
    made, _ = await make(services.core.backups, "job-1")
    shown = (await callers.admin.get("/backups")).json()
    assert [one["name"] for one in shown["items"]] == [made.name, old]
    newest = shown["items"][0]
    assert (newest["by"], newest["job"], newest["files"]) == ("ada", "job-1", made.paper.files)
    assert newest["folder"] == str(folder / made.name)
    assert (shown["is_on"], shown["concern"]) == (True, None)
    assert shown["next_at"] > clock.now().isoformat()
    assert (shown["elsewhere"] is None) == services.core.database.is_sqlite
    assert ("headgate.db" in newest["databases"]) == services.core.database.is_sqlite


async def test_a_backup_is_asked_for_once_at_a_time(callers: Callers, folder: Path) -> None:
    first = await callers.admin.post("/backups")
    assert (first.status_code, first.json()["kind"], first.json()["state"]) == (202, "backup", "queued")
    assert (await callers.admin.post("/backups")).json()["id"] == first.json()["id"]


async def test_without_a_folder_it_is_said_which_setting_to_set(callers: Callers) -> None:
    refused = await callers.admin.post("/backups")
    assert (refused.status_code, refused.json()["code"]) == (409, "backup-off")
    assert "backup.folder" in refused.json()["detail"]
    shown = (await callers.admin.get("/backups")).json()
    assert (shown["is_on"], shown["items"], shown["concern"]) == (False, [], None)


async def test_a_folder_that_is_gone_is_a_concern_and_no_failure(callers: Callers, folder: Path) -> None:
    folder.rmdir()
    shown = await callers.admin.get("/backups")
    assert shown.status_code == 200
    assert "is not there" in shown.json()["concern"]


async def test_a_late_backup_is_a_concern(callers: Callers, folder: Path) -> None:
    put(folder, clock.now() - timedelta(days=4))
    assert "every 24 hours" in (await callers.admin.get("/backups")).json()["concern"]

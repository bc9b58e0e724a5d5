"""Backups through the API and on their page: listed, asked for, and refused where there can be none."""

import re
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest

from headgate.backups.service import BackupPlan
from headgate.backups.shelf import Backup, BackupShelf
from headgate.bootstrap import Services
from headgate.channels.schedules import ScheduleSettings
from headgate.jobs.progress import Amount, JobProgress
from headgate.kernel import clock
from tests.browser.watching import assert_valid
from tests.http.browsing import Browser, browsing, said, send
from tests.http.conftest import PASSWORD, Callers
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


@pytest.fixture
async def ada(services: Services, callers: Callers) -> AsyncIterator[Browser]:
    async with browsing(services) as browser:
        await browser.sign_in("ada", PASSWORD)
        yield browser


async def test_the_page_lists_backups_and_makes_one(services: Services, ada: Browser, folder: Path) -> None:
    empty = await ada.get("/admin/backups")
    assert_valid(empty.text)
    assert "No backup yet" in empty.text
    made, _ = await make(services.core.backups, "job-1")
    shown = await ada.get("/admin/backups")
    assert_valid(shown.text)
    assert made.name in shown.text
    assert f"headgate backup check --deep {made.folder}" in unescape(shown.text)
    assert ("pg_dump" in shown.text) != services.core.database.is_sqlite
    sent = await send(ada, "/admin/backups/make")
    [job] = await services.jobs.list_jobs(kind="backup")
    assert (sent.status_code, sent.headers["location"], job.actor) == (303, f"/admin/jobs/{job.id}", "ada")
    assert f'href="/admin/jobs/{job.id}"' in (await ada.get("/admin/backups")).text


async def test_the_page_of_a_job_shows_how_far_it_is(services: Services, ada: Browser, folder: Path) -> None:
    job = await services.jobs.backup("ada")
    progress = JobProgress(services.core.database, job)
    await progress.report("backup", "copying headgate.db", Amount(1, 250), Amount(4, 1000))
    await progress.flush()
    shown = (await ada.get(f"/admin/jobs/{job}")).text
    assert 'value="250" max="1000"' in shown
    assert "copying headgate.db" in shown


async def test_the_page_says_how_to_switch_them_on(services: Services, ada: Browser) -> None:
    shown = await ada.get("/admin/backups")
    assert_valid(shown.text)
    assert "Backups are off" in shown.text
    assert "Back up now" not in shown.text
    refused = await send(ada, "/admin/backups/make")
    assert (refused.status_code, "backup.folder" in said(refused)) == (409, True)


async def test_a_late_backup_stands_on_home_and_among_the_health_of_those_who_may(
    services: Services, ada: Browser, folder: Path
) -> None:
    put(folder, clock.now())
    for path in ("/", "/admin/backups"):
        assert "although one is due" not in (await ada.get(path)).text
    assert "The newest is of" in (await ada.get("/admin/health")).text
    next(folder.iterdir()).rename(folder / "kept")
    put(folder, clock.now() - timedelta(days=4))
    for path in ("/", "/admin/backups", "/admin/health"):
        assert "although one is due every 24 hours" in (await ada.get(path)).text, path
    async with browsing(services) as bob:
        await bob.sign_in("bob", PASSWORD)
        assert "although one is due" not in (await bob.get("/")).text
        assert (await bob.get("/admin/backups")).status_code == 403


async def test_a_folder_that_hangs_holds_nobody_up(
    services: Services, ada: Browser, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_back = threading.Event()
    asked: list[Path] = []

    def hang(shelf: BackupShelf) -> list[Backup]:
        asked.append(shelf.folder)
        is_back.wait(30)
        return []

    monkeypatch.setattr(BackupShelf, "list_backups", hang)
    monkeypatch.setattr("headgate.backups.service._ANSWER_S", 0.05)
    try:
        for path in ("/", "/admin/backups", "/"):
            answer = await ada.get(path)
            assert (answer.status_code, "does not answer" in answer.text) == (200, True), path
    finally:
        is_back.set()
    assert len(asked) == 1


async def test_the_metric_is_there_once_there_is_a_backup(services: Services, ada: Browser, folder: Path) -> None:
    assert "headgate_backup_age_seconds" not in (await ada.get("/metrics")).text
    put(folder, clock.now() - timedelta(hours=3))
    found = re.search(r"^headgate_backup_age_seconds (\S+)$", (await ada.get("/metrics")).text, flags=re.MULTILINE)
    assert found
    assert 3 * 3600 - 1 <= float(found[1]) < 3 * 3600 + 60

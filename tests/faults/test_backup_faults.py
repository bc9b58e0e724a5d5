"""Backups that are killed half-way, or whose disk is full: none is there but whole ones, and the next one is whole."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.backups.checking import check_backup
from headgate.backups.service import BackupPlan, BackupService
from headgate.bootstrap import Place, Services
from headgate.kernel.errors import Unavailable
from tests.faults.disks import small_disk
from tests.faults.dying import die
from tests.unit.backups.making import make, upload

pytestmark = pytest.mark.fault


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups"


def service_of(services: Services, folder: Path) -> BackupService:
    return BackupService(services.core.place.folder, services.core.database, BackupPlan(folder))


@pytest.mark.slow
@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
async def test_the_next_backup_after_a_killed_one_is_whole(services: Services, place: Place, folder: Path) -> None:
    place.folder.settings.touch()
    for name in ("one", "two"):
        await upload(services, name)
    backups = service_of(services, folder)
    for point, times in [
        ("headgate.backups.copying:copy_database", 2),
        ("headgate.backups.copying:Copier._copy", 3),
        ("headgate.backups.copying:flush_disk", 1),
    ]:
        await asyncio.to_thread(die, place.folder.root, point, times, "backup", folder, "killed")
        assert [path.suffix for path in folder.iterdir()] == [".part"], point
        assert (await backups.standing()).backups == (), point
    # All but the event is done: the job that is begun again finds it.
    point = "headgate.backups.shelf:BackupShelf.prune"
    await asyncio.to_thread(die, place.folder.root, point, 1, "backup", folder, "killed")
    [named] = folder.iterdir()
    made, _ = await make(backups, "killed")
    assert made.folder == named
    found = check_backup(made.folder, is_deep=True)
    assert (found.flaws, found.blobs) == ([], 2)


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
async def test_a_full_disk_is_told_of_and_leaves_no_half_backup(services: Services, disk: Path) -> None:
    await upload(services, "one")
    backups = service_of(services, disk)
    made, _ = await make(backups, "first")
    with (disk / "ballast").open("wb") as ballast:
        ballast.write(bytes(DISK_BYTES - made.paper.bytes - 900_000))
    with pytest.raises(Unavailable) as raised:
        await make(backups, "second")
    assert (raised.value.code, str(disk) in raised.value.message) == ("backup-full", True)
    assert sorted(path.name for path in disk.iterdir()) == sorted([made.name, "ballast"])
    (disk / "ballast").unlink()
    again, _ = await make(backups, "third")
    assert again.name in {path.name for path in disk.iterdir()}


DISK_BYTES = 8 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    with small_disk(place, DISK_BYTES) as mounted:
        yield mounted

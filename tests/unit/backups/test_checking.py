"""Whether a backup can be restored, looked at without a server."""

from pathlib import Path

import pytest

from headgate.backups.checking import check_backup
from headgate.backups.service import BackupPlan, BackupService
from headgate.backups.shelf import Backup
from headgate.bootstrap import Place, Services
from headgate.kernel.errors import NotFound
from tests.unit.backups.making import make, upload


@pytest.fixture
async def made(services: Services, place: Place, folder: Path) -> Backup:
    place.folder.settings.touch()
    for name in ("one", "two"):
        await upload(services, name)
    return (await make(BackupService(place.folder, services.core.database, BackupPlan(folder)), "job-1"))[0]


def blob_of(made: Backup) -> Path:
    return min((made.folder / "blobs").glob("??/*"))


def test_a_whole_backup_is_good_and_is_not_changed(made: Backup) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in made.folder.rglob("*"))
    found = check_backup(made.folder, is_deep=True)
    assert (found.is_good, found.blobs, found.flaws) == (True, 2, [])
    assert sorted((path, path.stat().st_mtime_ns) for path in made.folder.rglob("*")) == before


def test_other_bytes_of_the_same_size_are_found_when_files_are_read(made: Backup) -> None:
    blob = blob_of(made)
    blob.write_bytes(bytes(blob.stat().st_size))
    assert check_backup(made.folder, is_deep=False).is_good
    [flaw] = check_backup(made.folder, is_deep=True).flaws
    assert blob.name in flaw


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_what_is_missing_cut_or_damaged_is_named(made: Backup) -> None:
    one, two = sorted((made.folder / "blobs").glob("??/*"))
    one.unlink()
    two.write_bytes(b"cut")
    (made.folder / "secret.key").unlink()
    (made.folder / "jobs.db").write_bytes(b"garbage" * 1000)
    said = " ".join(check_backup(made.folder, is_deep=False).flaws)
    for part in (f"{one.name} is missing", f"{two.name} has 3 bytes", "secret.key is missing", "jobs.db is damaged"):
        assert part in said
    (made.folder / "headgate.db").unlink()
    assert not check_backup(made.folder, is_deep=False).is_good


def test_a_folder_without_its_paper_is_no_backup(made: Backup, tmp_path: Path) -> None:
    (made.folder / "backup.json").write_text("{}")
    for folder in (tmp_path, made.folder):
        with pytest.raises(NotFound, match="is no backup"):
            check_backup(folder, is_deep=False)

"""What is in a backup, and what becomes of one that cannot be made."""

import asyncio
from pathlib import Path

import pytest

from headgate.backups import copying
from headgate.backups.copying import Tally
from headgate.backups.service import BackupPlan, BackupService
from headgate.bootstrap import Place, Services
from headgate.jobs.backups import forget_job
from headgate.kernel.errors import Unavailable
from headgate.storage.paths import DataFolder
from tests.unit.backups.making import make, upload


@pytest.fixture
def backups(services: Services, folder: Path) -> BackupService:
    return BackupService(services.core.place.folder, services.core.database, BackupPlan(folder))


def blob_of(folder: Path, sha256: str) -> Path:
    return folder / "blobs" / sha256[:2] / sha256


async def test_backup_is_a_data_folder_without_what_is_under_way(
    services: Services, place: Place, backups: BackupService
) -> None:
    sha256 = await upload(services, "demo")
    for name in ("incoming", "scratch", "exports"):
        (place.folder.root / name / "x").write_text("under way")
    (place.folder.imports / "x.bundle").write_text("waited for")
    made, _ = await make(backups, "job-1")
    is_sqlite = services.core.database.is_sqlite
    files = {path.name for path in made.folder.iterdir()}
    assert files - {"headgate.toml", "access.db"} == {
        "backup.json", "secret.key", "blobs", "imports", "advisories", *(["headgate.db", "jobs.db"] if is_sqlite else []),
    }  # fmt: skip
    assert (made.folder / "secret.key").read_bytes() == place.folder.secret.read_bytes()
    assert (made.folder / "secret.key").stat().st_mode & 0o777 == 0o600
    assert made.folder.stat().st_mode & 0o777 == 0o700
    assert blob_of(made.folder, sha256).read_bytes() == services.core.store.path(sha256).read_bytes()
    assert (made.folder / "imports" / "x.bundle").read_text() == "waited for"
    assert made.paper.files == sum(path.is_file() for path in made.folder.rglob("*")) - 1, "all but the paper"
    assert (made.paper.said is None) == is_sqlite
    assert made.paper.schema_revision is not None


async def test_what_the_backup_before_has_is_linked_from_there_and_never_from_the_data_folder(
    services: Services, backups: BackupService
) -> None:
    first = await upload(services, "first")
    one, _ = await make(backups, "job-1")
    second = await upload(services, "second")
    two, _ = await make(backups, "job-2")
    assert blob_of(two.folder, first).samefile(blob_of(one.folder, first))
    for sha256 in (first, second):
        live = services.core.store.path(sha256)
        assert not blob_of(two.folder, sha256).samefile(live)
        assert blob_of(two.folder, sha256).read_bytes() == live.read_bytes()
    assert (one.paper.linked_files, two.paper.linked_files) == (0, 1)


async def test_a_link_that_would_be_of_another_size_is_not_made(services: Services, backups: BackupService) -> None:
    sha256 = await upload(services, "first")
    one, _ = await make(backups, "job-1")
    blob_of(one.folder, sha256).write_bytes(b"cut")
    two, _ = await make(backups, "job-2")
    assert blob_of(two.folder, sha256).read_bytes() == services.core.store.path(sha256).read_bytes()


async def test_what_cannot_be_made_leaves_nothing_behind(
    services: Services, backups: BackupService, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await upload(services, "demo")

    def fail(_folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(copying, "flush_disk", fail)
    with pytest.raises(Unavailable) as raised:
        await make(backups, "job-1")
    assert raised.value.code == "backup-full"
    assert list(folder.iterdir()) == []


async def test_a_stopped_backup_ends_soon_and_leaves_nothing_behind(
    services: Services, backups: BackupService, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await upload(services, "demo")
    is_there, may_go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold(_path: Path, _job: str) -> None:
        loop.call_soon_threadsafe(is_there.set)
        asyncio.run_coroutine_threadsafe(may_go_on.wait(), loop).result(30)

    real = copying.Copier._copy_blobs

    def held(self: copying.Copier, target: Path, before: None) -> None:
        hold(target, "")
        real(self, target, before)

    monkeypatch.setattr(copying.Copier, "_copy_blobs", held)

    async def report(_tally: Tally) -> None:
        """Nobody watches."""

    making = asyncio.create_task(backups.make("ada", "job-1", report, forget_job))
    await is_there.wait()
    assert [path.suffix for path in folder.iterdir()] == [".part"]
    making.cancel()
    await asyncio.sleep(0)
    may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert list(folder.iterdir()) == []


async def test_a_file_that_the_data_folder_lost_is_counted_and_the_rest_is_kept(
    services: Services, backups: BackupService
) -> None:
    lost, kept = await upload(services, "lost"), await upload(services, "kept")
    services.core.store.remove(lost)
    made, _ = await make(backups, "job-1")
    assert made.paper.missing_files == (1 if services.core.database.is_sqlite else 0)
    assert blob_of(made.folder, kept).exists()
    assert DataFolder(made.folder).secret.exists()

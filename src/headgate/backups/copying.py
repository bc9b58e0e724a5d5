r"""Making one backup: databases first, then the bytes that they name, then all of it onto the disk, then its name.

    <moment>.part --databases--> checked --blobs--> complete --flushed, renamed--> <moment>
          \--killed, full, stopped--> removed, at once or by the next

What a job waits for is in `jobs.db`, what it works on in `headgate.db`, and its bytes in `blobs/`: copied in this order,
none names what another has not got yet.
"""

import contextlib
import fcntl
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from stat import S_IMODE
from typing import BinaryIO

import msgspec

from headgate.backups.databases import check_whole, copy_database, opened, read_schema
from headgate.backups.papers import ELSEWHERE, PAPER, PART, Paper, render_paper
from headgate.backups.shelf import Backup, BackupShelf, disk_errors
from headgate.conda.names import Sha256
from headgate.kernel import clock
from headgate.storage.local import flush_disk, fsync_folder
from headgate.storage.paths import DataFolder, blob_key

_PIECE_BYTES = 4 << 20
# What jobs that wait have been sent, and what the settings and every secret hang on.
_FILES = ("headgate.toml", "secret.key")
_FOLDERS = ("imports", "advisories")


class Stopped(Exception):
    """Whoever wanted the backup wants it no longer."""


@dataclass(slots=True)
class Tally:
    """How far a backup is; written by its thread, read by whoever watches."""

    step: str = "counting"
    files: int = 0
    bytes: int = 0
    total_files: int = 0
    total_bytes: int = 0
    linked_files: int = 0
    linked_bytes: int = 0
    missing_files: int = 0


@dataclass(frozen=True, slots=True)
class Order:
    """Who wants a backup, in which job; `schema` is that of the database where it is not in the data folder."""

    actor: str
    job: str
    is_elsewhere: bool
    schema: str | None
    settle: Callable[[Path, str], None]
    """Takes the job out of the copied `jobs.db`: a server that is restored shall not begin it again."""


@dataclass(slots=True)
class Copier:
    """Makes one backup; it blocks, and may be stopped from another thread."""

    data: DataFolder
    shelf: BackupShelf
    order: Order
    tally: Tally = field(default_factory=Tally)
    _stop: threading.Event = field(default_factory=threading.Event)
    _may_link: bool = True

    def stop(self) -> None:
        """Let `run` end soon."""
        self._stop.set()

    def run(self) -> Backup:
        """The backup. Raises Stopped, Unavailable `backup-damaged` and what `disk_errors` raises; then nothing is left."""
        with disk_errors(self.shelf.folder):
            earlier = self.shelf.list_backups()
            made_at = clock.now()
            name = self.shelf.choose_name(made_at)
            part = self.shelf.folder / f"{name}{PART}"
            part.mkdir(mode=0o700)
            try:
                with _open_new(part / PAPER) as paper:
                    fcntl.flock(paper, fcntl.LOCK_EX)
                    written = self._write(part, made_at, paper, earlier[0] if earlier else None)
                    flush_disk(part)
                    fsync_folder(part)
                # Some network disks rename no folder in which a file is open.
                part.rename(self.shelf.folder / name)
            except BaseException:
                shutil.rmtree(part, ignore_errors=True)
                raise
            fsync_folder(self.shelf.folder)
        return Backup(name, self.shelf.folder / name, written)

    def _write(self, part: Path, made_at: datetime, file: BinaryIO, before: Backup | None) -> Paper:
        databases = [path for path in self._databases() if path.exists()]
        paper = Paper(
            is_whole=False, made_at=made_at, by=self.order.actor, job=self.order.job, version=version("headgate"),
            schema_revision=self.order.schema, databases=tuple(path.name for path in databases),
            said=ELSEWHERE if self.order.is_elsewhere else None,
        )  # fmt: skip
        _rewrite(file, paper)
        self._survey(databases)
        for path in databases:
            self._copy_database(path, part / path.name)
        self._copy_files(part)
        self._copy_blobs(part / self.data.blobs.name, before)
        own = part / self.data.database.name
        if not self.order.is_elsewhere:
            self.tally.step = "comparing"
            paper = msgspec.structs.replace(paper, schema_revision=read_schema(own))
            self.tally.missing_files = sum(1 for _ in self._iter_missing(own, part / self.data.blobs.name))
        tally = self.tally
        paper = msgspec.structs.replace(
            paper, is_whole=True, files=tally.files, bytes=tally.bytes, linked_files=tally.linked_files,
            linked_bytes=tally.linked_bytes, missing_files=tally.missing_files,
        )  # fmt: skip
        _rewrite(file, paper)
        tally.step = "flushing"
        return paper

    def _databases(self) -> tuple[Path, ...]:
        return () if self.order.is_elsewhere else (self.data.jobs, self.data.access_log, self.data.database)

    def _survey(self, databases: list[Path]) -> None:
        sizes = [path.stat().st_size for path in databases]
        sizes += [path.stat().st_size for path in self._plain_files()]
        self.tally.total_files, self.tally.total_bytes = len(sizes), sum(sizes)
        for blob in self._iter_blobs():
            self.tally.total_files += 1
            self.tally.total_bytes += blob.stat().st_size

    def _plain_files(self) -> list[Path]:
        found = [self.data.root / name for name in _FILES]
        found += [path for name in _FOLDERS for path in sorted((self.data.root / name).glob("*"))]
        return [path for path in found if path.is_file()]

    def _iter_blobs(self) -> Iterator[os.DirEntry[str]]:
        for shelf in sorted(self.data.blobs.iterdir()):
            with os.scandir(shelf) as found:
                for blob in found:
                    self._heed()
                    yield blob

    def _copy_database(self, source: Path, target: Path) -> None:
        tally = self.tally
        tally.step, before = f"copying {source.name}", tally.bytes

        def told(copied: int) -> None:
            self._heed()
            tally.bytes = before + copied

        copy_database(source, target, told)
        if source == self.data.jobs:
            self.order.settle(target, self.order.job)
        try:
            check_whole(target, self._stop.is_set)
        finally:
            self._heed()
        tally.bytes = before + target.stat().st_size
        tally.files += 1

    def _copy_files(self, part: Path) -> None:
        for name in _FOLDERS:
            (part / name).mkdir(mode=0o700)
        for path in self._plain_files():
            with contextlib.suppress(FileNotFoundError):  # its job has ended meanwhile
                self._copy(path, part / path.relative_to(self.data.root))

    def _copy_blobs(self, target: Path, before: Backup | None) -> None:
        self.tally.step = "copying files"
        target.mkdir(mode=0o700)
        shelf = ""
        for blob in self._iter_blobs():
            if blob.name[:2] != shelf:
                shelf = blob.name[:2]
                (target / shelf).mkdir(mode=0o700)
            key = f"{shelf}/{blob.name}"
            earlier = None if before is None else before.folder / self.data.blobs.name / key
            if not (earlier is not None and self._link(earlier, target / key, blob.stat().st_size)):
                self._copy(Path(blob.path), target / key)

    def _link(self, earlier: Path, target: Path, size_bytes: int) -> bool:
        """Share the bytes of the backup before, where it has them. Never those of the data folder: a disk may die."""
        if not self._may_link:
            return False
        try:
            if earlier.stat().st_size != size_bytes:
                return False
            target.hardlink_to(earlier)
        except FileNotFoundError:
            return False
        except OSError:
            self._may_link = False  # a file system that has no links, or no more of them
            return False
        tally = self.tally
        tally.files, tally.linked_files = tally.files + 1, tally.linked_files + 1
        tally.bytes, tally.linked_bytes = tally.bytes + size_bytes, tally.linked_bytes + size_bytes
        return True

    def _copy(self, source: Path, target: Path) -> None:
        with source.open("rb") as reading, _open_new(target) as writing:
            # A web server in front may have been let in to the blobs.
            os.fchmod(writing.fileno(), S_IMODE(os.fstat(reading.fileno()).st_mode))
            while piece := reading.read(_PIECE_BYTES):
                self._heed()
                writing.write(piece)
                self.tally.bytes += len(piece)
        self.tally.files += 1

    def _iter_missing(self, database: Path, blobs: Path) -> Iterator[Sha256]:
        for sha256, _, found in iter_named(database, blobs):
            self._heed()
            if found is None:
                yield sha256

    def _heed(self) -> None:
        if self._stop.is_set():
            raise Stopped


def iter_named(database: Path, blobs: Path) -> Iterator[tuple[Sha256, int, int | None]]:
    """The sha256 of every blob that a copied database names, its size by the database, and on the disk (None: absent)."""
    with contextlib.closing(opened(database)) as connection:
        for named, size_bytes in connection.execute("SELECT sha256, size_bytes FROM blob ORDER BY sha256"):
            sha256 = Sha256(named)
            try:
                found = (blobs / blob_key(sha256)).stat().st_size
            except FileNotFoundError:
                found = None
            yield sha256, size_bytes, found


def _open_new(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")


def _rewrite(file: BinaryIO, paper: Paper) -> None:
    file.seek(0)
    file.truncate()
    file.write(render_paper(paper))
    file.flush()

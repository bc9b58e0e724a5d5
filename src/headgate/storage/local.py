"""Blobs on local disk: written beside, fsynced, renamed; so a name is either absent or whole."""

import asyncio
import contextlib
import ctypes
import errno
import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from headgate.conda.names import Sha256
from headgate.kernel.errors import Unavailable
from headgate.storage.paths import DataFolder, blob_key

_LIBC = ctypes.CDLL(None, use_errno=True)


class BlobWriter:
    """A blob being written; `commit` gives it its name, `cancel` leaves no trace.

    Its file is locked while it is written: what no living process holds may be swept.
    """

    def __init__(self, folder: DataFolder, *, has_md5: bool = True) -> None:
        self._folder = folder
        self._has_md5 = has_md5
        self.path, self.file = create_part(folder.incoming)
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        """Append; hashes go along. Raises Unavailable `storage-full` when the disk is."""
        with disk_errors():
            self.file.write(data)
        self._sha256.update(data)
        if self._has_md5:
            self._md5.update(data)
        self.size_bytes += len(data)

    def rewind(self) -> None:
        """Let `file` be read from its beginning. Raises Unavailable `storage-full` when the disk is."""
        with disk_errors():
            self.file.seek(0)  # which writes what is still buffered

    @property
    def sha256(self) -> Sha256:
        """Digest of what was written so far."""
        return Sha256(self._sha256.hexdigest())

    @property
    def md5(self) -> str:
        """MD5 of what was written so far, which conda's records still carry; not for blobs that no record is of."""
        return self._md5.hexdigest()

    def commit(self) -> Sha256:
        """Make it durable under its digest, and return that."""
        sha256 = self.sha256
        target = self._folder.blobs / blob_key(sha256)
        with disk_errors():
            self.file.flush()
            os.fsync(self.file.fileno())
            move_durably(self.path, target)
            self.file.close()  # last: a file still open is cancelled
        return sha256

    def cancel(self) -> None:
        """Forget what was written."""
        with contextlib.suppress(OSError):
            self.file.close()
        self.path.unlink(missing_ok=True)


class BlobBatch:
    """Many small blobs that get their names together, for two flushes of the file system instead of two each.

    written --flush--> durable, unnamed --rename--> named --flush--> named for good
    """

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._writers: list[BlobWriter] = []

    def __len__(self) -> int:
        return len(self._writers)

    def writer(self) -> BlobWriter:
        """A new blob; its file stays open until the end of the batch."""
        with disk_errors():
            self._writers.append(BlobWriter(self._folder, has_md5=False))
        return self._writers[-1]

    def commit(self) -> None:
        """Make all of them durable under their digests. Raises Unavailable `storage-full` when the disk is."""
        with disk_errors():
            for writer in self._writers:
                writer.file.flush()
            flush_disk(self._folder.incoming)
            for writer in self._writers:
                target = self._folder.blobs / blob_key(writer.sha256)
                target.parent.mkdir(mode=0o700, exist_ok=True)
                writer.path.replace(target)
            flush_disk(self._folder.blobs)
        for writer in self._writers:
            writer.file.close()
        self._writers.clear()

    def cancel(self) -> None:
        """Forget what has no name yet."""
        for writer in self._writers:
            writer.cancel()
        self._writers.clear()


class BlobStore:
    """Reading, writing and removing blobs in a data folder."""

    def __init__(self, folder: DataFolder) -> None:
        self.folder = folder
        self._blobs = str(folder.blobs)

    def path(self, sha256: Sha256) -> Path:
        """Where the blob is, or would be."""
        return self.folder.blobs / blob_key(sha256)

    def find(self, sha256: Sha256) -> Path | None:
        """The blob's file, or None when it is not here."""
        path = self.path(sha256)
        return path if path.exists() else None

    def measure(self, sha256: Sha256) -> tuple[str, int] | None:
        """The blob's path and its size in bytes, or None when it is not here: asked for every file that is sent."""
        path = f"{self._blobs}/{blob_key(sha256)}"
        try:
            return path, os.stat(path).st_size  # noqa: PTH116 - a Path costs four times as much, at every file
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def writer(self, *, has_md5: bool = True) -> Iterator[BlobWriter]:
        """A new blob; what was not committed when the block ends is cancelled."""
        with disk_errors():
            writer = BlobWriter(self.folder, has_md5=has_md5)
        try:
            yield writer
        finally:
            if not writer.file.closed:
                writer.cancel()

    @contextlib.contextmanager
    def batch(self) -> Iterator[BlobBatch]:
        """New blobs, to be committed together; what was not committed when the block ends is cancelled."""
        batch = BlobBatch(self.folder)
        try:
            yield batch
        finally:
            batch.cancel()

    def remove(self, sha256: Sha256) -> None:
        """Delete the blob; absent is as good."""
        self.path(sha256).unlink(missing_ok=True)

    def iter_digests(self) -> Iterator[Sha256]:
        """Every blob on disk, in no order."""
        for shelf in self.folder.blobs.iterdir():
            for path in shelf.iterdir():
                yield Sha256(path.name)

    def sweep(self) -> int:
        """Remove what killed processes left in `incoming/` and `scratch/`; how many files. Others may be writing there."""
        count = 0
        for folder in (self.folder.incoming, self.folder.scratch):
            for path in sorted(folder.rglob("*"), reverse=True):
                if path.is_dir():
                    path.rmdir()
                else:
                    count += _remove_unheld(path)
        return count

    async def render(self, write: Callable[[BlobWriter], None]) -> tuple[Sha256, int]:
        """Write a blob in a thread by calling `write(writer)`; its digest and size in bytes."""

        def work() -> tuple[Sha256, int]:
            with self.writer(has_md5=False) as writer:
                write(writer)
                return writer.commit(), writer.size_bytes

        return await asyncio.to_thread(work)


def create_part(folder: Path) -> tuple[Path, BinaryIO]:
    """A new file in a folder that `sweep` looks through; until it is closed, nobody sweeps it away."""
    while True:
        path = folder / f"{secrets.token_hex(12)}.part"
        file = path.open("x+b")
        fcntl.flock(file, fcntl.LOCK_EX)
        if path.exists():
            return path, file
        file.close()  # swept before it was locked


def _remove_unheld(path: Path) -> bool:
    """Remove a file unless a living process holds its lock; True when it was removed."""
    with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
        return True
    return False


def flush_disk(folder: Path) -> None:
    """Bring everything that was written to the file system of a folder to the disk (syncfs(2))."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if _LIBC.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(descriptor)


def move_durably(source: Path, target: Path) -> None:
    """Rename into place, and see to it that a power cut does not undo that."""
    target.parent.mkdir(mode=0o700, exist_ok=True)
    source.replace(target)
    fsync_folder(target.parent)


def fsync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Turn a full or failing disk into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise Unavailable(
                "storage-full", "The disk that holds the data folder is full. Free some space; nothing was lost."
            ) from error
        raise Unavailable("storage-failed", f"The data folder cannot be written: {error.strerror}.") from error

"""The folder in which backups stand side by side.

2026-11-21T183000Z.part    being made, its paper locked by who makes it; else left by a kill, and swept
2026-11-21T183000Z         whole
anything else              none of ours, and left alone
"""

import contextlib
import errno
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from headgate.backups.papers import PAPER, PART, Paper, is_name, name_of, read_paper
from headgate.kernel.errors import Invalid, Unavailable

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class Backup:
    """A whole backup."""

    name: str
    folder: Path
    paper: Paper


class BackupShelf:
    """Looks after the backups in a folder; it blocks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def list_backups(self) -> list[Backup]:
        """Those that are whole, the newest first. Raises Unavailable `backup-folder-missing`, `backup-failed`."""
        with disk_errors(self.folder):
            names = sorted((path.name for path in self.folder.iterdir() if is_name(path.name)), reverse=True)
        papers = ((name, read_paper(self.folder / name)) for name in names)
        return [
            Backup(name, self.folder / name, paper) for name, paper in papers if paper is not None and paper.is_whole
        ]

    def find_of_job(self, job: str) -> Backup | None:
        """What a job made before it was cut short."""
        return next((one for one in self.list_backups() if one.paper.job == job), None)

    def choose_name(self, moment: datetime) -> str:
        """The name of a new backup: of that moment, or of the first second after it that is free."""
        while (self.folder / name_of(moment)).exists():
            moment += timedelta(seconds=1)
        return name_of(moment)

    def sweep(self) -> list[str]:
        """Remove what killed makers left; their names."""
        gone = []
        with disk_errors(self.folder):
            left = [path for path in self.folder.glob(f"*{PART}") if is_name(path.name.removesuffix(PART))]
            for path in left:
                if _is_abandoned(path):
                    shutil.rmtree(path)
                    gone.append(path.name)
        return gone

    def prune(self, keep: int) -> list[str]:
        """Remove all but the newest `keep`; their names. A folder without a paper of ours is never touched."""
        gone = []
        with disk_errors(self.folder):
            for one in self.list_backups()[keep:]:
                # Under this name it is no backup any more, should the removal be cut short.
                leaving = one.folder.with_name(f"{one.name}{PART}")
                one.folder.rename(leaving)
                shutil.rmtree(leaving)
                gone.append(one.name)
        return gone


def check_apart(data: Path, backups: Path | None) -> None:
    """Raises Invalid `settings-invalid` where backups would lie in the data folder, or that is one of them."""
    if backups is None:
        return
    if backups.resolve().is_relative_to(data):
        raise Invalid(
            "settings-invalid", f"backup.folder is {backups}, which lies in the data folder: name one outside."
        )
    if data.parent == backups.resolve() and is_name(data.name):
        raise Invalid("settings-invalid", f"{data} is a backup among others: serve a copy of it that lies elsewhere.")


def _is_abandoned(part: Path) -> bool:
    try:
        with (part / PAPER).open("rb") as paper:
            fcntl.flock(paper, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return not any(part.iterdir())  # its maker died before the first line


@contextlib.contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn what a disk of backups refuses into a sentence.

    Raises Unavailable `backup-folder-missing`, `backup-full`, `backup-failed`.
    """
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise _full(folder) from error
        raise Unavailable("backup-failed", f"A database cannot be copied to {folder}: {error}.") from error
    except OSError as error:
        if error.errno in _FULL:
            raise _full(folder) from error
        if not folder.is_dir():
            what = f"The backup folder {folder} is not there: make it or mount it, or set another as backup.folder."
            raise Unavailable("backup-folder-missing", what) from error
        if isinstance(error, PermissionError) and not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            what = f"The backup folder {folder} is closed to the user who runs the server: give it to them (mode 0700)."
            raise Unavailable("backup-failed", what) from error
        where = error.filename or folder
        raise Unavailable("backup-failed", f"The backup could not be made: {error.strerror} ({where}).") from error


def _full(folder: Path) -> Unavailable:
    return Unavailable(
        "backup-full",
        f"The disk that holds the backup folder {folder} is full. Free some space, or keep fewer (backup.keep); "
        "the backups that are there stay.",
    )

"""Whether a backup can be restored: looked at alone, without a server and without changing it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from headgate.backups.copying import iter_named
from headgate.backups.databases import find_damage
from headgate.backups.papers import PAPER, Paper, read_paper
from headgate.conda.names import Sha256
from headgate.kernel.errors import NotFound
from headgate.storage.paths import DataFolder, blob_key

_MOST_FLAWS = 20


@dataclass(slots=True)
class Examination:
    """What was looked at, and what is wrong with it: a sentence each, the first twenty."""

    folder: Path
    paper: Paper
    databases: list[str] = field(default_factory=list)
    blobs: int = 0
    bytes: int = 0
    is_deep: bool = False
    flaws: list[str] = field(default_factory=list)
    flaw_count: int = 0

    @property
    def is_good(self) -> bool:
        """True when nothing is wrong."""
        return self.flaw_count == 0

    def blame(self, sentence: str) -> None:
        """Something is wrong."""
        self.flaw_count += 1
        if len(self.flaws) < _MOST_FLAWS:
            self.flaws.append(sentence)


def check_backup(folder: Path, *, is_deep: bool, told: Callable[[int], None] = lambda _: None) -> Examination:
    """Look at a backup; `is_deep` reads every file, `told` learns of the bytes. Raises NotFound `backup-unknown`."""
    paper = read_paper(folder)
    if paper is None:
        raise NotFound("backup-unknown", f"{folder} is no backup: there is no {PAPER} in it that can be read.")
    found, data = Examination(folder, paper, is_deep=is_deep), DataFolder(folder)
    if not paper.is_whole:
        found.blame("It was not finished: its maker was stopped, or is still at it.")
    for path in (data.settings, data.secret):
        if not path.is_file():
            found.blame(f"{path.name} is missing.")
    whole = set[str]()
    for name in paper.databases:
        found.databases.append(name)
        if (damage := find_damage(folder / name)) is None:
            whole.add(name)
        else:
            found.blame(f"{name} is damaged: {damage}.")
    if data.database.name in whole:
        _check_named(found, data, told)
    elif not paper.databases:
        _check_present(found, data, told)
    return found


def _check_named(found: Examination, data: DataFolder, told: Callable[[int], None]) -> None:
    """Every blob that the database names."""
    for sha256, size_bytes, there_bytes in iter_named(data.database, data.blobs):
        found.blobs += 1
        if there_bytes is None:
            found.blame(f"File {sha256} is missing.")
        elif there_bytes != size_bytes:
            found.blame(f"File {sha256} has {there_bytes} bytes; it should have {size_bytes}.")
        else:
            found.bytes += size_bytes
            _check_digest(found, data, sha256, told)


def _check_present(found: Examination, data: DataFolder, told: Callable[[int], None]) -> None:
    """Every blob that is there; which should be, a database elsewhere knows."""
    for path in sorted(data.blobs.glob("??/*")):
        found.blobs += 1
        found.bytes += path.stat().st_size
        _check_digest(found, data, Sha256(path.name), told)


def _check_digest(found: Examination, data: DataFolder, sha256: Sha256, told: Callable[[int], None]) -> None:
    path = data.blobs / blob_key(sha256)
    if found.is_deep:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                found.blame(f"File {sha256} has other bytes than its name says.")
    told(path.stat().st_size if found.is_deep else 0)

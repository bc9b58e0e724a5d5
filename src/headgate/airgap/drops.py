r"""The drop folder: what is copied there is taken in, and then moved to `done/` or, with a sentence, to `refused/`.

    (copied) --nobody writes to it any more--> looked at --> done/NAME
                                                        \--> refused/NAME, refused/NAME.txt

A failure of ours (a full disk) leaves the file where it is, for the next look.
"""

import contextlib
import fcntl
import re
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog
from sqlalchemy import select

from headgate.airgap.advisories import is_advisories, keep_advisories
from headgate.airgap.container import find_parts, is_bundle
from headgate.airgap.importing import Imported, Importer
from headgate.airgap.manifest import decode_manifest
from headgate.airgap.reading import BundleReader
from headgate.airgap.trees import TreeImporter, find_tree
from headgate.airgap.trust import read_trusted
from headgate.audit.events import Action, record
from headgate.conda.names import ChannelName
from headgate.db import tables_bundles
from headgate.db.engine import Database
from headgate.http.zips import open_zip
from headgate.intake.sync import Progress
from headgate.kernel import clock
from headgate.kernel.errors import HeadgateError, Invalid, Unavailable
from headgate.kernel.threads import finish_in_thread
from headgate.storage.local import BlobStore

DONE, REFUSED = "done", "refused"
SIDECAR = ".channel"
_PASSED_OVER = (".part", ".tmp", ".filepart", ".crdownload", ".manifest.json", SIDECAR)
_PART = re.compile(r"(.+)\.\d{3,}")
_DATE = re.compile(r"[-_.]\d{4}[-_.]?\d{2}(?:[-_.]?\d{2})?$")
_PATIENCE_S = 600
_SIDECAR_BYTES = 1024

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Drop:
    """One thing in the folder: a file with its sidecar, or the parts of a bundle."""

    name: str
    files: tuple[Path, ...]
    sidecar: Path | None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file of it."""
        return self.files if self.sidecar is None else (*self.files, self.sidecar)


@dataclass(frozen=True, slots=True)
class Dropped:
    """What became of a thing in the folder; `kind` is bundle, channel, advisories or unknown."""

    filename: str
    kind: str
    outcome: str
    said: str
    channel: str | None = None
    sha256: str | None = None
    at: datetime | None = None


class DropFolder:
    """Looks through the folder.

    `settle_s`: how long a file must have been left alone. `patience_s`: how long parts may wait for others.
    """

    def __init__(
        self,
        root: Path,
        database: Database,
        store: BlobStore,
        importer: Importer,
        trees: TreeImporter,
        *,
        settle_s: float,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._database = database
        self._store = store
        self._root = root
        self._settle_s = settle_s
        self._patience_s = patience_s
        self._importer = importer
        self._trees = trees

    async def scan(self, actor: str, progress: Progress) -> list[Dropped]:
        """Take in what lies there; what became of it. Raises Unavailable `drop-folder-failed`."""
        found = []
        for drop in await finish_in_thread(lambda: sorted(self._find(), key=_order)):
            try:
                dropped = await self._take(actor, drop, progress)
            except Unavailable as error:
                log.warning("drop_left", file=drop.name, code=error.code, reason=error.message)
                continue
            if dropped is not None:
                found.append(dropped)
                await finish_in_thread(self._put_away, drop, dropped)
                await self._write_down(actor, dropped)
        return found

    def is_waiting(self) -> bool:
        """Whether something may be looked at. Raises Unavailable `drop-folder-failed`."""
        return bool(self._find())

    def _find(self) -> list[Drop]:
        """What may be looked at."""
        with _folder_errors(self._root):
            for name in (DONE, REFUSED):
                (self._root / name).mkdir(exist_ok=True)
            names: dict[str, list[Path]] = {}
            for path in sorted(self._root.iterdir()):
                if path.name.startswith(".") or path.name.endswith(_PASSED_OVER) or path.is_dir():
                    continue
                cut = _PART.fullmatch(path.name)
                names.setdefault(cut[1] if cut else path.name, []).append(path)
            drops = [self._drop(name, files) for name, files in names.items()]
            return [one for one in drops if self._is_settled(one.paths, self._settle_s)]

    def _drop(self, name: str, files: Sequence[Path]) -> Drop:
        sidecar = self._root / f"{name}{SIDECAR}"
        return Drop(name, tuple(files), sidecar if sidecar.is_file() and not sidecar.is_symlink() else None)

    def _is_settled(self, paths: Sequence[Path], settle_s: float) -> bool:
        horizon = time.time() - settle_s
        # Every write moves the ctime, and no copy can bring one along as it can the mtime.
        return all(path.lstat().st_ctime <= horizon and not _is_locked(path) for path in paths)

    async def _take(self, actor: str, drop: Drop, progress: Progress) -> Dropped | None:
        """What became of it; None when it is to be left for now."""
        kind = "unknown"
        try:
            if any(path.is_symlink() or not path.is_file() for path in drop.files):
                raise Invalid("drop-unknown", f"{drop.name} is a link, or no file at all; copy the file itself.")
            if is_bundle(drop.files[0]):
                kind = "bundle"
                return await self._take_bundle(actor, drop, progress)
            if await finish_in_thread(zipfile.is_zipfile, drop.files[0]):
                tree = await finish_in_thread(find_tree, drop.files[0])
                if tree is not None:
                    kind = "channel"
                    name = _channel_of(drop)
                    done = await self._trees.take(actor, tree, name, progress)
                    return Dropped(drop.name, kind, DONE, _said(done), name, done.bundle)
                if await finish_in_thread(is_advisories, open_zip(drop.files[0])):
                    kind = "advisories"
                    sha256 = await finish_in_thread(keep_advisories, drop.files[0], self._store.folder)
                    return Dropped(drop.name, kind, DONE, "Kept.", None, sha256)
            raise Invalid(
                "drop-unknown",
                f"{drop.name} is neither a bundle, nor a zip of a channel (<subdir>/repodata.json and files), "
                "nor a zip of advisories.",
            )
        except Unavailable:
            raise
        except HeadgateError as error:
            if error.code in {"bundle-truncated", "bundle-part-missing"} and self._may_still_come(drop):
                return None
            return Dropped(drop.name, kind, REFUSED, error.message)

    async def _take_bundle(self, actor: str, drop: Drop, progress: Progress) -> Dropped:
        parts = await finish_in_thread(find_parts, drop.files[0])
        async with self._database.read() as connection:
            trusted = await read_trusted(connection)
        wanted = None if drop.sidecar is None else _channel_of(drop)
        done = await self._importer.take(actor, parts, trusted, wanted, progress)
        return Dropped(drop.name, "bundle", DONE, _said(done), done.channel, done.bundle)

    def _may_still_come(self, drop: Drop) -> bool:
        """Whether further parts of a bundle are to be waited for."""
        return _PART.fullmatch(drop.files[0].name) is not None and not self._is_settled(drop.files, self._patience_s)

    def _put_away(self, drop: Drop, dropped: Dropped) -> None:
        target = self._root / dropped.outcome
        with _folder_errors(self._root):
            if dropped.outcome == REFUSED:
                _free(target, f"{drop.name}.txt").write_text(f"{dropped.said}\n", encoding="utf-8")
            for path in drop.paths:
                path.rename(_free(target, path.name))

    async def _write_down(self, actor: str, dropped: Dropped) -> None:
        action = Action.DROP_TAKE if dropped.outcome == DONE else Action.DROP_REFUSE
        async with self._database.write() as connection:
            await connection.execute(
                tables_bundles.dropped.insert().values(
                    filename=dropped.filename,
                    kind=dropped.kind,
                    outcome=dropped.outcome,
                    channel=dropped.channel,
                    sha256=dropped.sha256,
                    said=dropped.said,
                    at=clock.now(),
                )
            )
            await record(
                connection, action, actor,
                channel=dropped.channel, subject=dropped.filename, kind=dropped.kind, said=dropped.said,
            )  # fmt: skip


async def list_dropped(database: Database, *, before: int | None, limit: int) -> list[tuple[int, Dropped]]:
    """What came by the folder, the newest first, each with its number; only those before a number."""
    columns = tables_bundles.dropped.c
    statement = select(tables_bundles.dropped).order_by(columns.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(columns.id < before)
    async with database.read() as connection:
        return [
            (row.id, Dropped(row.filename, row.kind, row.outcome, row.said, row.channel, row.sha256, row.at))
            for row in await connection.execute(statement)
        ]


def _order(drop: Drop) -> tuple[int, str]:
    """Bundles as their chain wants them, then everything else."""
    number = 0
    if is_bundle(drop.files[0]):
        with contextlib.suppress(HeadgateError, OSError), BundleReader(drop.files) as reader:
            number = decode_manifest(reader.read_manifest()).number
    return number, drop.name


def _channel_of(drop: Drop) -> ChannelName:
    """Where a zip belongs: what its sidecar says, else its own name without a date, `__` standing for a slash.

    Raises Invalid `channel-name-invalid`.
    """
    if drop.sidecar is not None:
        with drop.sidecar.open("rb") as file:
            return ChannelName.parse(file.read(_SIDECAR_BYTES).decode("utf-8", "replace").strip())
    stem = _DATE.sub("", drop.name.removesuffix(".zip"))
    try:
        return ChannelName.parse(stem.replace("__", "/"))
    except Invalid as error:
        raise Invalid(
            error.code, f"{error.message} Name the channel in a file {drop.name}{SIDECAR} beside it.", error.reasons
        ) from error


def _said(done: Imported) -> str:
    if not done.is_new:
        return "It was taken in before."
    return " ".join([f"{done.changed} names changed.", *done.told_besides()])


def _is_locked(path: Path) -> bool:
    if path.is_symlink():
        return False
    with contextlib.suppress(OSError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _free(folder: Path, name: str) -> Path:
    """A path that nothing has yet: the name itself, or with a number behind it."""
    return next(path for path in _candidates(folder, name) if not path.exists() and not path.is_symlink())


def _candidates(folder: Path, name: str) -> Iterator[Path]:
    yield folder / name
    number = 1
    while True:
        yield folder / f"{name}~{number}"
        number += 1


@contextlib.contextmanager
def _folder_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(
            "drop-folder-failed", f"The drop folder {root} cannot be read or changed: {error.strerror}."
        ) from error

"""What a server keeps of a bundle until it was fetched: its manifest and its shards. Files stay in the blob store.

exports/<job>/manifest.json      what the client signs; the private key never comes here
exports/<job>/shards.tar         sections, shards and papers as members, pinned: the database may collect them meanwhile
"""

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from headgate.airgap.container import content_bytes, ending, member_head, padding
from headgate.airgap.manifest import ADVISORIES_SECTION, Manifest, decode_manifest
from headgate.conda.names import Sha256
from headgate.conda.streams import gather
from headgate.kernel.errors import NotFound, Unavailable
from headgate.kernel.threads import finish_in_thread
from headgate.storage.local import BlobStore, disk_errors

_PIECE = 1 << 20
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class Export:
    """A bundle without its signature; `data` is the manifest as it is to be signed."""

    id: str
    folder: Path
    data: bytes
    manifest: Manifest

    @property
    def has_advisories(self) -> bool:
        """Whether it tells what is known of advisories, which not everybody may read."""
        return ADVISORIES_SECTION in self.manifest.sections

    @property
    def content_bytes(self) -> int:
        """How long everything behind the signature is."""
        return content_bytes(self.manifest)


class Exports:
    """The folder of exports."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store
        self._root = store.folder.exports

    def folder(self, export_id: str) -> Path:
        """Where an export is, or would be. Raises NotFound `export-unknown` for what is no id."""
        if not _ID.fullmatch(export_id):
            raise NotFound("export-unknown", "There is no such export; it may have been cleared away. Export again.")
        return self._root / export_id

    def open(self, export_id: str) -> Export:
        """An export that is finished. Raises NotFound `export-unknown`."""
        folder = self.folder(export_id)
        try:
            data = (folder / "manifest.json").read_bytes()
        except OSError as error:
            raise NotFound(
                "export-unknown", "There is no such export; it may have been cleared away. Export again."
            ) from error
        return Export(export_id, folder, data, decode_manifest(data))

    def write(self, export_id: str, data: bytes) -> None:
        """Finish an export whose shards are written: its manifest appears last, and whole."""
        folder = self.folder(export_id)
        with disk_errors():
            part = folder / "manifest.part"
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(folder / "manifest.json")

    def new_import(self) -> Path:
        """A path for a bundle that is being sent to us."""
        return self._store.folder.imports / f"{secrets.token_hex(12)}.bundle"

    def is_ready(self, export_id: str) -> bool:
        """Whether an export is finished: its manifest appears last."""
        return (self.folder(export_id) / "manifest.json").exists()

    async def receive(self, stream: AsyncIterator[bytes]) -> Path:
        """Keep a bundle that is being sent to us, as it comes; where. Nothing of one that breaks off is left."""
        path = self.new_import()
        try:
            with disk_errors(), path.open("xb") as file:
                async for piece in stream:
                    await finish_in_thread(file.write, piece)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    def remove(self, export_id: str) -> None:
        """Forget an export; absent is as good."""
        shutil.rmtree(self.folder(export_id), ignore_errors=True)

    def sweep(self, age_s: float) -> int:
        """Forget exports, and bundles that were sent to us, older than that; how many."""
        horizon = time.time() - age_s
        count = 0
        for path in (*self._root.glob("*"), *self._store.folder.imports.glob("*")):
            with contextlib.suppress(FileNotFoundError):  # fetched or taken in meanwhile
                if path.stat().st_mtime < horizon:
                    count += 1
                    _remove(path)
        return count

    async def iter_content(self, export: Export) -> AsyncIterator[bytes]:
        """Everything behind the signature, in pieces. Raises Unavailable `export-stale` when a file has left."""
        pieces = gather(self._pieces(export))
        while piece := await finish_in_thread(next, pieces, b""):
            yield piece

    def _pieces(self, export: Export) -> Iterator[bytes]:
        yield from _read(export.folder / "shards.tar")
        for digest, size in export.manifest.files().items():
            path = self._store.find(Sha256(digest))
            if path is None or path.stat().st_size != size:
                raise Unavailable("export-stale", "A file of this export was deleted from the channel. Export again.")
            yield member_head(f"files/{digest}", size)
            yield from _read(path)
            yield padding(size)
        yield ending()


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)

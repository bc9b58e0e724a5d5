"""A channel as other servers ship it: a plain zip of `<subdir>/repodata.json` and the files it lists.

Nobody signed it, so it never touches a channel that signed bundles made. Its records are stamped as a mirror's are, and
list what the bytes are here for: in the zip, or kept since an earlier one.
"""

import hashlib
import re
import zipfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from headgate.airgap.importing import Imported
from headgate.airgap.landing import Cargo, land, read_head
from headgate.airgap.listing import iter_files
from headgate.channels.catalog import find_channel
from headgate.channels.shards import read_shards, save_shards
from headgate.channels.sources import read_offers
from headgate.conda.names import ChannelName, Sha256, Subdir
from headgate.conda.records import stamp
from headgate.conda.shards import Shard, decode_stored, encode_shard
from headgate.db.engine import Database, chunks
from headgate.http.client import Outgoing
from headgate.http.zips import check_member, open_zip, reading_member
from headgate.intake.sync import Progress
from headgate.intake.upstream import DocumentListing, ShardedListing, UpstreamReader
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, Invalid
from headgate.kernel.threads import finish_in_thread
from headgate.storage.local import BlobStore

_INDEX = re.compile(r"((?:[^/]+/)*)([a-z0-9-]+)/repodata(?:_shards\.msgpack\.zst|\.json(?:\.zst|\.bz2)?)")
_NAMES_AT_ONCE = 200
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Tree:
    """A zip that holds a channel: its subdirs lie in the folder `root` (empty, or ending in a slash)."""

    path: Path
    archive: zipfile.ZipFile
    root: str
    subdirs: tuple[Subdir, ...]


def find_tree(path: Path) -> Tree | None:
    """The channel in a zip; None when it holds none. Raises Invalid `zip-invalid` when it holds several."""
    archive = open_zip(path)
    found = [index for name in archive.namelist() if (index := _INDEX.fullmatch(name))]
    if not found:
        return None
    roots = {one[1] for one in found}
    if len(roots) > 1:
        raise Invalid("zip-invalid", f"{path.name} holds several channels: {', '.join(sorted(roots))}. Zip each alone.")
    subdirs = tuple(Subdir.parse(name) for name in sorted({one[2] for one in found}))
    return Tree(path, archive, roots.pop(), subdirs)


class TreeImporter:
    """Takes such zips in."""

    def __init__(self, database: Database, store: BlobStore) -> None:
        self._database = database
        self._store = store

    async def take(self, actor: str, tree: Tree, name: ChannelName, progress: Progress) -> Imported:
        """Bring a channel to the state of the zip.

        Raises Invalid `zip-invalid` or `upstream-…` for what cannot be read or differs from its record, Conflict
        `channel-signed` or `kind-unfit`.
        """
        digest = await finish_in_thread(_digest, tree.path)
        async with self._database.read() as connection:
            channel = await find_channel(connection, name)
            head = await read_head(connection, channel)
        if head is not None and head.bundle == digest:
            return Imported(name, digest, 0, is_new=False)
        if head is not None and head.key is not None:
            raise Conflict(
                "channel-signed",
                f"Channel {name} is made of signed bundles; a zip that nobody signed may not change it.",
            )
        outgoing = Outgoing(file_roots=[tree.path.parent])
        try:
            reading = _Reading(self._database, self._store, tree, outgoing, name, progress)
            subdirs: dict[str, tuple[Mapping[str, Any], Mapping[str, bytes]]] = {
                subdir: await reading.read(subdir) for subdir in tree.subdirs
            }
        finally:
            await outgoing.close()
        cargo = Cargo(digest, 0, 0, None, subdirs, cause=f"zip {tree.path.name} taken in")
        async with self._database.write() as connection:
            changed = await land(connection, self._store, actor, name, cargo)
        return Imported(name, digest, 0, is_new=True, changed=changed, files=reading.files)


class _Reading:
    def __init__(
        self,
        database: Database,
        store: BlobStore,
        tree: Tree,
        outgoing: Outgoing,
        channel: ChannelName,
        progress: Progress,
    ) -> None:
        self._database = database
        self._store = store
        self._tree = tree
        self._outgoing = outgoing
        self._channel = channel
        self._progress = progress
        self.files = 0

    async def read(self, subdir: Subdir) -> tuple[Mapping[str, Any], dict[str, bytes]]:
        """The subdir's `info` and the digests of its names, shards and files stored."""
        url = f"file://{quote(str(self._tree.path))}/{quote(self._tree.root)}"
        reader = UpstreamReader(self._outgoing, url, subdir, self._store.folder.scratch)
        listing = await reader.fetch(None)
        if not isinstance(listing, ShardedListing | DocumentListing):
            raise Invalid("zip-invalid", f"{self._tree.path.name} has no index of {subdir} that can be read.")
        try:
            digests: dict[str, bytes] = {}
            names = sorted(listing.fingerprints)
            before = await self._earlier(subdir)
            for some in chunks(names, _NAMES_AT_ONCE):
                digests |= await self._store_names(subdir, listing.iter_shards(some), before)
                await self._progress(f"{subdir}: names", len(digests), len(names))
            return listing.info, digests
        finally:
            await listing.close()

    async def _store_names(
        self, subdir: Subdir, shards: AsyncIterator[tuple[str, Shard]], before: Mapping[str, bytes]
    ) -> dict[str, bytes]:
        encoded: dict[str, tuple[bytes, bytes]] = {}
        async for name, shard in shards:
            held = await finish_in_thread(self._take_files, subdir, shard)
            _stamp(held, await self._shard(before.get(name)))
            if not held.is_empty:
                encoded[name] = encode_shard(held)
        async with self._database.write() as connection:
            await save_shards(connection, dict(encoded.values()))
        return {name: digest for name, (digest, _) in encoded.items()}

    def _take_files(self, subdir: Subdir, shard: Shard) -> Shard:
        """The shard without what there are no bytes for."""
        held = {
            artifact.filename
            for artifact, sha256, record in iter_files(shard)
            if self._take_file(f"{self._tree.root}{subdir}/{artifact}", sha256, record.get("size"))
        }
        return Shard(
            packages={name: record for name, record in shard.packages.items() if name in held},
            conda={name: record for name, record in shard.conda.items() if name in held},
            v3={
                group: {stem: record for stem, record in records.items() if f"{stem}.{group}" in held}
                for group, records in shard.v3.items()
            },
            removed=[],
        )

    def _take_file(self, name: str, sha256: Sha256, size: int | None) -> bool:
        if self._store.find(sha256) is not None:
            return True
        try:
            info = self._tree.archive.getinfo(name)
        except KeyError:
            return False
        check_member(self._tree.path, info)
        with self._store.writer() as writer, reading_member(self._tree.archive, info) as file:
            while piece := file.read(_PIECE):
                writer.write(piece)
            if writer.sha256 != sha256 or (size is not None and writer.size_bytes != size):
                raise Invalid(
                    "zip-invalid",
                    f"{name} in {self._tree.path.name} has sha256 {writer.sha256}, and its record says {sha256}.",
                )
            writer.commit()
        self.files += 1
        return True

    async def _earlier(self, subdir: Subdir) -> dict[str, bytes]:
        async with self._database.read() as connection:
            channel = await find_channel(connection, self._channel)
            return {} if channel is None else await read_offers(connection, channel.sources[0], subdir, None)

    async def _shard(self, digest: bytes | None) -> Shard | None:
        if digest is None:
            return None
        async with self._database.read() as connection:
            body = (await read_shards(connection, [digest])).get(digest)
        return None if body is None else decode_stored(body)


def _stamp(shard: Shard, before: Shard | None) -> None:
    now_ms = clock.now_ms()
    for filename, record in shard.records():
        earlier = None if before is None else before.find(filename)
        is_same = earlier is not None and earlier.get("sha256") == record.get("sha256")
        known_ms = earlier.get("indexed_timestamp") if earlier is not None and is_same else None
        stamp(record, known_ms=known_ms, first_sync=before is None, now_ms=now_ms)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

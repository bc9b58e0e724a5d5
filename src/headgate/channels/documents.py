"""Rendering the documents of a subdir or a channel into blobs: streamed, once per revision."""

import asyncio
import bz2
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Protocol

import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from headgate.channels.catalog import TOPIC, get_channel
from headgate.channels.eager import Before, EagerDocument, Layout
from headgate.channels.maps import read_map
from headgate.channels.model import Channel, ChannelKind, Document
from headgate.channels.passing import open_signer
from headgate.channels.shards import read_shards
from headgate.channels.signers import OwnSigner
from headgate.channels.signing import SigningService
from headgate.channels.sources import read_offers
from headgate.conda.channeldata import render_channeldata, summarise
from headgate.conda.current import current_repodata
from headgate.conda.names import Sha256
from headgate.conda.repodata import Signer, render_repodata
from headgate.conda.run_exports import render_run_exports
from headgate.conda.shards import Shard, decode_stored, merge_shards
from headgate.conda.streams import gather
from headgate.db import tables
from headgate.db.engine import Database, advance_epoch, insert
from headgate.db.tables_documents import document_layout
from headgate.kernel import clock
from headgate.kernel.errors import NotFound
from headgate.storage.local import BlobStore, BlobWriter

EAGER = "repodata.json.zst"
"""Rendered at every revision; every other document once somebody asks for it."""
CHANNEL_WIDE = ""
"""The subdir of documents that belong to the whole channel."""

_BATCH = 1_000
_READ = 1 << 20
Chains = Mapping[str, Sequence[bytes]]


class Compressor(Protocol):
    """Turns pieces into compressed pieces."""

    def compress(self, data: bytes, /) -> bytes:
        """What is ready so far."""

    def flush(self) -> bytes:
        """The rest."""


class _Plain:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def _compressor(name: str) -> Compressor:
    if name.endswith(".zst"):
        return zstandard.ZstdCompressor(level=3, threads=2).compressobj()
    return bz2.BZ2Compressor() if name.endswith(".bz2") else _Plain()


class Renderer:
    """Renders documents; runs in the jobs process, so that no door ever holds a large index in memory."""

    def __init__(self, database: Database, store: BlobStore, signing: SigningService | None = None) -> None:
        self._database = database
        self._store = store
        self._signing = signing

    async def render(self, channel_name: str, subdir: str, name: str) -> Document:
        """Render the document at its newest revision, unless that is there already.

        Raises NotFound `channel-unknown` or `subdir-unknown`.
        """
        async with self._database.read() as connection:
            channel = await get_channel(connection, channel_name)
        revision = _revision_of(channel, subdir)
        found = channel.documents.get((subdir, name))
        if found is not None and found.revision >= revision:
            return found
        source = _Source(asyncio.get_running_loop(), self._database, channel, self._signing)
        before = await self._read_layout(channel, subdir, found) if name == EAGER and found is not None else None
        layout: bytes | None = None

        def write(writer: BlobWriter) -> None:
            nonlocal layout
            if name == EAGER and source.signer(subdir) is None:
                layout = self._write_groups(writer, source, subdir, None if found is None else found.sha256, before)
                return
            compressor = _compressor(name)
            for piece in self._pieces(source, channel, subdir, name):
                writer.write(compressor.compress(piece))
            writer.write(compressor.flush())

        sha256, size_bytes = await self._store.render(write)
        document = Document(revision, sha256, size_bytes, clock.now())
        await self._save(channel, subdir, name, document, layout)
        return document

    def _write_groups(
        self, writer: BlobWriter, source: "_Source", subdir: str, last: Sha256 | None, layout: bytes | None
    ) -> bytes:
        """The eager document, with what has not changed copied from the last one; its layout."""
        eager = EagerDocument({**source.info(subdir), "subdir": subdir}, source.names(subdir), source.bodies)
        with ExitStack() as stack:
            before = None
            if last is not None and layout is not None:
                file = stack.enter_context(self._store.path(last).open("rb"))
                before = Before(file, Layout.unpack(layout))
            for piece in gather(eager.pieces(before)):
                writer.write(piece)
        return eager.layout.pack()

    async def _read_layout(self, channel: Channel, subdir: str, document: Document) -> bytes | None:
        """The layout of a document that is there; None when it has none."""
        columns = document_layout.c
        chosen = (columns.channel_id == channel.id, columns.subdir == subdir, columns.sha256 == document.sha256)
        async with self._database.read() as connection:
            body = (await connection.execute(select(columns.body).where(*chosen))).scalar_one_or_none()
        return body if self._store.find(document.sha256) is not None else None

    async def _save(
        self, channel: Channel, subdir: str, name: str, document: Document, layout: bytes | None = None
    ) -> None:
        values = {
            "revision": document.revision,
            "sha256": document.sha256,
            "size_bytes": document.size_bytes,
            "created_at": document.created_at,
        }
        async with self._database.write() as connection:
            blob = insert(connection, tables.blob).values(
                sha256=document.sha256, size_bytes=document.size_bytes, created_at=document.created_at
            )
            await connection.execute(
                blob.on_conflict_do_update(index_elements=["sha256"], set_={"created_at": document.created_at})
            )
            statement = insert(connection, tables.document).values(
                channel_id=channel.id, subdir=subdir, name=name, **values
            )
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["channel_id", "subdir", "name"],
                    set_=values,
                    where=tables.document.c.revision <= document.revision,
                )
            )
            if layout is not None:
                kept = {"sha256": document.sha256, "body": layout}
                beside = insert(connection, document_layout).values(channel_id=channel.id, subdir=subdir, **kept)
                await connection.execute(
                    beside.on_conflict_do_update(index_elements=["channel_id", "subdir"], set_=kept)
                )
            await advance_epoch(connection, TOPIC)

    def _pieces(self, source: "_Source", channel: Channel, subdir: str, name: str) -> Iterator[bytes]:
        """The document's plain bytes; runs in a thread and borrows the loop for its queries."""
        if name == "channeldata.json":
            return source.channeldata()
        info = {**source.info(subdir), "subdir": subdir}
        if name.startswith("run_exports.json"):
            return render_run_exports(subdir, source.shards(subdir))
        if name.startswith("current_repodata.json"):
            return render_repodata(info, current_repodata(source.shards(subdir)), signer=source.signer(subdir))
        if name.startswith("repodata_from_packages.json"):
            return render_repodata(info, source.unpatched(subdir))
        eager = channel.documents.get((subdir, EAGER))
        if name != EAGER and eager is not None and eager.revision >= channel.subdirs[subdir].revision:
            return self._unpacked(eager)
        return render_repodata(info, source.shards(subdir), signer=source.signer(subdir))

    def _unpacked(self, document: Document) -> Iterator[bytes]:
        with self._store.path(document.sha256).open("rb") as file:
            reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
            while piece := reader.read(_READ):
                yield piece


def _revision_of(channel: Channel, subdir: str) -> int:
    if subdir == CHANNEL_WIDE:
        return channel.revision
    if subdir not in channel.subdirs:
        raise NotFound("subdir-unknown", f"Channel {channel.name} has no {subdir}.")
    return channel.subdirs[subdir].revision


class _Source:
    """Shards of a channel for a thread that renders: iterators over queries that run on the loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        database: Database,
        channel: Channel,
        signing: SigningService | None,
    ) -> None:
        self._signing = signing
        self._loop = loop
        self._database = database
        self._channel = channel

    def shards(self, subdir: str) -> Iterator[Shard]:
        """The published shards, by name."""
        chains = {name: [digest] for name, digest in self.names(subdir).items()}
        return (shard for _, shard in self._merged(chains))

    def info(self, subdir: str) -> dict[str, Any]:
        """What the subdir says of itself besides its name."""
        info: dict[str, Any] = self._wait(self._read_info(subdir))
        return info

    def signer(self, subdir: str) -> Signer | None:
        """What adds signatures to the subdir's records; None in most channels."""
        if not self._channel.settings.is_signing or self._signing is None:
            return open_signer(self._wait, self._database, self._channel, subdir)
        key = self._wait(self._read_key(self._signing))
        return None if key is None else OwnSigner(self._wait, self._database, key, self.names(subdir))

    def unpatched(self, subdir: str) -> Iterator[Shard]:
        """What the sources say, merged, before this channel's own patches; only files that are published at all.

        A gate judges patched records, so what it holds back is told by the published map, here as everywhere.
        """
        chains = self._wait(self._read_chains(subdir))
        published = self.names(subdir) if self._wait(self._is_gated(subdir)) else None
        for name, shard in self._merged(chains):
            if published is None:
                yield shard
            elif name in published:
                body = self.bodies([published[name]])[published[name]]
                yield shard.only({filename for filename, _ in decode_stored(body).records()})

    def channeldata(self) -> Iterator[bytes]:
        """The pieces of channeldata.json, from all subdirs."""
        maps = {subdir: self.names(subdir) for subdir in sorted(self._channel.subdirs)}
        about = self._wait(self._read_about())
        return render_channeldata(sorted(maps), self._entries(maps, about))

    def _entries(
        self, maps: Mapping[str, Mapping[str, bytes]], about: Mapping[str, dict[str, Any]]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        names = sorted(set().union(*maps.values()))
        for start in range(0, len(names), _BATCH):
            some = names[start : start + _BATCH]
            digests = {digests[name] for digests in maps.values() for name in some if name in digests}
            bodies = self.bodies(sorted(digests))
            for name in some:
                found = {subdir: decode_stored(bodies[one[name]]) for subdir, one in maps.items() if name in one}
                if any(any(shard.records()) for shard in found.values()):
                    yield name, summarise(name, found, about.get(name))

    def _merged(self, chains: Chains) -> Iterator[tuple[str, Shard]]:
        names = sorted(chains)
        for start in range(0, len(names), _BATCH):
            some = names[start : start + _BATCH]
            bodies = self.bodies([digest for name in some for digest in chains[name]])
            for name in some:
                shards = [decode_stored(bodies[digest]) for digest in chains[name]]
                yield name, shards[0] if len(shards) == 1 else merge_shards(shards)

    def names(self, subdir: str) -> dict[str, bytes]:
        """The published map: name -> digest."""
        changes = self._wait(self._read_map(subdir))
        return {name: digest for name, digest in changes.items() if digest is not None}

    def bodies(self, digests: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Stored shards by digest."""
        found: Mapping[bytes, bytes] = self._wait(self._read_bodies(digests))
        return found

    def _wait(self, query: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(query, self._loop).result()

    async def _read_map(self, subdir: str) -> dict[str, bytes | None]:
        state = self._channel.subdirs[subdir]
        async with self._database.read() as connection:
            return await read_map(connection, state.id, until=state.revision)

    async def _read_info(self, subdir: str) -> dict[str, Any]:
        columns = tables.subdir.c
        async with self._database.read() as connection:
            found = await connection.execute(select(columns.info).where(columns.id == self._channel.subdirs[subdir].id))
            info: dict[str, Any] = found.scalar_one()
        return info

    async def _read_key(self, signing: SigningService) -> Ed25519PrivateKey | None:
        async with self._database.read() as connection:
            return await signing.signer(connection)

    async def _is_gated(self, subdir: str) -> bool:
        columns = tables.subdir.c
        async with self._database.read() as connection:
            found = await connection.execute(select(columns.gate).where(columns.id == self._channel.subdirs[subdir].id))
            return found.scalar_one() is not None

    async def _read_bodies(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        async with self._database.read() as connection:
            return await read_shards(connection, digests)

    async def _read_chains(self, subdir: str) -> dict[str, list[bytes]]:
        is_hiding = self._channel.kind is ChannelKind.VIRTUAL and self._channel.settings.is_hiding
        chains: dict[str, list[bytes]] = {}
        async with self._database.read() as connection:
            for source in self._channel.sources:
                for name, digest in (await read_offers(connection, source, subdir, None)).items():
                    if not (is_hiding and name in chains):
                        chains.setdefault(name, []).append(digest)
        return chains

    async def _read_about(self) -> dict[str, dict[str, Any]]:
        """about.json facts by package, of the files this channel holds; the newest upload speaks."""
        columns = tables.artifact.c
        subdirs = [state.id for state in self._channel.subdirs.values()]
        statement = (
            select(columns.package, columns.about)
            .where(columns.subdir_id.in_(subdirs), columns.status == "active", columns.about.is_not(None))
            .order_by(columns.created_at)
        )
        async with self._database.read() as connection:
            return {row.package: row.about for row in await connection.execute(statement)}

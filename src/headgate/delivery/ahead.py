"""Which files a channel's mirrors want here before anybody asks: what the settings name, less what is here.

Of each subdir the published map is read, a few hundred names at a time: what the gate or a filter holds back is not in
it, and of two mirrors with the same file the first has it.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.channels.model import Channel, Source, SourceKind, SubdirState
from headgate.channels.modes import FetchSettings, Mode
from headgate.channels.shards import read_shards
from headgate.channels.sources import read_offers, read_published
from headgate.conda.names import ArtifactName, Sha256
from headgate.conda.records import Record, from_wire
from headgate.conda.shards import Shard, decode_stored
from headgate.conda.specs import version_key
from headgate.db import tables
from headgate.db.engine import Database, chunks
from headgate.delivery.located import Located
from headgate.kernel.errors import Invalid

_BATCH = 500

Filenames = Collection[str]


@dataclass(frozen=True, slots=True)
class _Here:
    """What a subdir holds already: file name -> digest, and the packages of a channel that any file is here of."""

    files: Mapping[str, str]
    in_use: Collection[str]


async def iter_missing(
    database: Database, channel: Channel, files: Filenames | None = None
) -> AsyncIterator[list[Located]]:
    """Batches of what is wanted and not here: by the settings, or (with `files`) every listed file of these names."""
    names = None if files is None else {ArtifactName.parse(file).name for file in files}
    sources = [one for one in channel.sources if one.kind is SourceKind.UPSTREAM]
    for subdir in channel.subdirs.values():
        async with database.read() as connection:
            published = await read_published(connection, channel.id, subdir.name, names)
            here = await _here(connection, channel, subdir)
            chains = [(one, await read_offers(connection, one, subdir.name, names)) for one in sources]
        for some in chunks(sorted(published)):
            wanted = {name: published[name] for name in some}
            digests = {*wanted.values(), *(offers[n] for _, offers in chains for n in some if n in offers)}
            async with database.read() as connection:
                bodies = await read_shards(connection, digests)
            batch = _Batch(channel, subdir, wanted, chains, bodies, here, files)
            found = await asyncio.to_thread(batch.missing)
            if found:
                yield found


async def _here(connection: AsyncConnection, channel: Channel, subdir: SubdirState) -> _Here:
    columns = tables.artifact.c
    rows = await connection.execute(
        select(columns.filename, columns.sha256).where(columns.subdir_id == subdir.id, columns.status != "deleted")
    )
    files = {row.filename: row.sha256 for row in rows}
    subdirs = [one.id for one in channel.subdirs.values()]
    used = await connection.execute(
        select(columns.package).where(columns.subdir_id.in_(subdirs), columns.status == "active").distinct()
    )
    return _Here(files, set(used.scalars()))


@dataclass(frozen=True, slots=True)
class _Batch:
    channel: Channel
    subdir: SubdirState
    published: Mapping[str, bytes]
    chains: list[tuple[Source, dict[str, bytes]]]
    bodies: Mapping[bytes, bytes]
    here: _Here
    files: Filenames | None

    def missing(self) -> list[Located]:
        return list(self._iter_missing())

    def _iter_missing(self) -> Iterator[Located]:
        for name, digest in self.published.items():
            listed = decode_stored(self.bodies[digest])
            for filename, record in self._chosen(name, digest, listed):
                sha256 = record.get("sha256")
                if not isinstance(sha256, bytes) or self.here.files.get(filename) == sha256.hex():
                    continue
                artifact = ArtifactName.parse(filename)
                size = record.get("size")
                plain = from_wire(record)
                yield Located(self.channel, self.subdir, artifact, plain, Sha256(sha256.hex()), size)

    def _chosen(self, name: str, digest: bytes, listed: Shard) -> Iterator[tuple[str, Record]]:
        if self.files is not None:
            yield from ((file, record) for file, record in listed.records() if file in self.files)
            return
        taken: set[str] = set()
        for source, offers in self.chains:
            if name not in offers:
                continue
            offered = listed if offers[name] == digest else decode_stored(self.bodies[offers[name]])
            own = {
                file: record
                for file, record in listed.records()
                if file not in taken and (offered.find(file) or {}).get("sha256") == record.get("sha256")
            }
            taken |= own.keys()
            yield from choose(source.settings.fetch, own, is_in_use=name in self.here.in_use)


def choose(settings: FetchSettings, records: Mapping[str, Record], *, is_in_use: bool) -> Iterator[tuple[str, Record]]:
    """The records of one package that a mirror's settings want here ahead."""
    if settings.mode is Mode.ACTIVE:
        yield from records.items()
        return
    if not settings.is_ahead or (settings.in_use and not is_in_use):
        return
    newest = _newest_versions(records, settings.newest or 1)
    yield from ((file, record) for file, record in records.items() if record.get("version") in newest)


def _newest_versions(records: Mapping[str, Record], count: int) -> set[str]:
    versions = set()
    for record in records.values():
        text = record.get("version")
        try:
            versions.add((version_key(text), text))
        except Invalid:
            continue
    return {text for _, text in sorted(versions, reverse=True)[:count] if isinstance(text, str)}

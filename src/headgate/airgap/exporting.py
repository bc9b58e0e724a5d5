"""Making the manifest of a bundle: the channel as it is published now, what of it is new, and its bytes at hand.

take a snapshot -> pick -> write shards and papers, compare with the earlier bundle -> fetch what is not here -> manifest
"""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.airgap.container import member
from headgate.airgap.exports import Exports
from headgate.airgap.listing import iter_files
from headgate.airgap.manifest import (
    FORMAT,
    Manifest,
    Name,
    Section,
    Selection,
    SubdirState,
    check_since,
    decode_manifest,
    encode_manifest,
    manifest_id,
)
from headgate.airgap.papers import CarriedTrust, PaperFinder, Papers
from headgate.airgap.sections import write_sections
from headgate.airgap.selection import Maps, Picked, Read, narrow, pick
from headgate.audit.events import Action, record
from headgate.channels.catalog import Catalog
from headgate.channels.maps import read_map
from headgate.channels.model import Channel, ChannelKind
from headgate.channels.shards import read_shards
from headgate.conda.names import ArtifactName, Sha256
from headgate.conda.records import Record, from_wire
from headgate.conda.shards import Shard, decode_stored, encode_shard
from headgate.db import tables
from headgate.db.engine import Database, chunks
from headgate.delivery.flights import Flight
from headgate.delivery.located import Located, Locator
from headgate.delivery.sidecars import Sidecars
from headgate.delivery.sources import ArtifactSource
from headgate.intake.sync import Progress
from headgate.kernel.errors import HeadgateError, Unavailable
from headgate.storage.local import BlobStore, disk_errors

_NAMES_AT_ONCE = 500
_FETCHES_AT_ONCE = 8
_MOST_SAID = 20


@dataclass(frozen=True, slots=True)
class Prepared:
    """What an export came to: `bundle` is its id, `bytes` the size of what it brings.

    `missing` says which attestations could not be had; the bundle goes without them.
    """

    bundle: str
    channel: str
    number: int
    names: int
    shards: int
    files: int
    bytes: int
    papers: int
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Snapshot:
    channel: Channel
    maps: dict[str, dict[str, bytes]]
    infos: dict[str, dict[str, Any]]


@dataclass(slots=True)
class _Wanted:
    """The files that the bundle brings, with what is needed to fetch them."""

    files: dict[Sha256, tuple[str, ArtifactName, Record]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)


class Exporter:
    """Prepares exports. `locator` and `catalog` find the members that a virtual channel shows.

    `delivery` has the bytes, `sidecars` the attestations.
    """

    def __init__(
        self,
        database: Database,
        store: BlobStore,
        catalog: Catalog,
        locator: Locator,
        delivery: ArtifactSource,
        sidecars: Sidecars,
    ) -> None:
        self._database = database
        self._store = store
        self._catalog = catalog
        self._locator = locator
        self._delivery = delivery
        self._sidecars = sidecars
        self._exports = Exports(store)

    async def prepare(
        self,
        actor: str,
        export_id: str,
        channel: str,
        selection: Selection,
        since: bytes | None,
        progress: Progress,
    ) -> Prepared:
        """Write `exports/<export_id>/`. `since` is the manifest that this bundle shall follow.

        Without a selection, that of `since` counts. Raises NotFound `channel-unknown` or `subdir-unknown`, Conflict
        `bundle-foreign`, Invalid `selection-unmet` or `bundle-invalid`, Unavailable `export-incomplete`.
        """
        earlier = None if since is None else decode_manifest(since)
        if earlier is not None:
            check_since(earlier, channel)
            if selection.is_whole:
                selection = msgspec.structs.replace(earlier.selection, has_advisories=selection.has_advisories)
        snapshot = await self._snapshot(channel)
        maps: Maps = narrow(snapshot.maps, selection)
        picked: Picked | None = None
        if selection.specs or selection.files:
            picked = await pick(maps, selection, self._reader(maps))
            left: dict[str, dict[str, bytes]] = {subdir: {} for subdir in maps}
            for subdir, name in picked:
                left[subdir][name] = maps[subdir][name]
            maps = left
        wanted, finder = _Wanted(), PaperFinder(self._database, self._sidecars, snapshot.channel)
        await finder.open()
        sections = await self._write_sections(export_id, finder.trust, has_advisories=selection.has_advisories)
        states = await self._write_shards(export_id, maps, (earlier, picked), wanted, finder)
        await self._gather(snapshot.channel, wanted, progress)
        chain = () if since is None or earlier is None else (*earlier.chain, manifest_id(since))
        manifest = _manifest(snapshot, chain, selection, _sized(states, wanted.sizes), sections)
        data = encode_manifest(manifest)
        await asyncio.to_thread(self._exports.write, export_id, data)
        done = _prepared(manifest, manifest_id(data), finder.missing)
        async with self._database.write() as connection:
            await record(
                connection, Action.BUNDLE_EXPORT, actor,
                channel=channel, subject=done.bundle, number=done.number, files=done.files, bytes=done.bytes,
            )  # fmt: skip
        return done

    async def _write_sections(
        self, export_id: str, trust: CarriedTrust | None, *, has_advisories: bool
    ) -> dict[str, Section]:
        """Begin `shards.tar` with them."""
        folder = self._exports.folder(export_id)
        with disk_errors():
            folder.mkdir(mode=0o700, exist_ok=True)
            with (folder / "shards.tar").open("wb") as file:
                return await write_sections(self._database, folder, file, trust, has_advisories=has_advisories)

    async def _write_shards(
        self,
        export_id: str,
        maps: Maps,
        about: tuple[Manifest | None, Picked | None],
        wanted: _Wanted,
        finder: PaperFinder,
    ) -> dict[str, dict[str, Name]]:
        """Go on with `shards.tar`; the entries of every name."""
        folder = self._exports.folder(export_id)
        with disk_errors():
            behind = folder / "papers.part"
            with (folder / "shards.tar").open("ab") as file:
                with behind.open("wb") as papers:
                    writer = _ShardWriter(self._database, (file, papers), wanted, about, finder)
                    states = {subdir: await writer.write(subdir, maps[subdir]) for subdir in sorted(maps)}
                await asyncio.to_thread(_append, behind, file)
            behind.unlink()
        return states

    async def _snapshot(self, name: str) -> _Snapshot:
        """Every subdir's map at the revision that the channel had at one moment."""
        async with self._database.read() as connection:
            await self._catalog.load(connection)
            channel = self._catalog.get(name)
            subdirs = {one.name: one for one in channel.subdirs.values() if one.revision}
            maps: dict[str, dict[str, bytes]] = {
                subdir: {
                    name: digest
                    for name, digest in (await read_map(connection, state.id, until=state.revision)).items()
                    if digest is not None
                }
                for subdir, state in subdirs.items()
            }
            infos = await _read_infos(connection, channel)
        return _Snapshot(channel, maps, infos)

    def _reader(self, maps: Maps) -> Read:
        async def read(subdir: str, name: str) -> Shard:
            digest = maps[subdir][name]
            async with self._database.read() as connection:
                return decode_stored((await read_shards(connection, [digest]))[digest])

        return read

    async def _gather(self, channel: Channel, wanted: _Wanted, progress: Progress) -> None:
        """See to it that every file is in the store. Raises Unavailable `export-incomplete`, with a reason per file."""
        failures: list[str] = []
        turns = asyncio.Semaphore(_FETCHES_AT_ONCE)
        done = 0

        async def one(sha256: Sha256, subdir: str, artifact: ArtifactName, listed: Record) -> None:
            nonlocal done
            async with turns:
                try:
                    await self._fetch(channel, subdir, artifact, listed, sha256)
                except HeadgateError as error:
                    failures.append(f"{subdir}/{artifact}: {error.message}")
            done += 1
            await progress("files", done, len(wanted.files))

        for sha256 in wanted.files:
            path = self._store.find(sha256)
            if path is not None:
                wanted.sizes[sha256] = path.stat().st_size
        missing = {sha256: file for sha256, file in wanted.files.items() if sha256 not in wanted.sizes}
        done = len(wanted.files) - len(missing)
        await progress("files", done, len(wanted.files))
        for some in chunks(list(missing.items())):
            async with asyncio.TaskGroup() as group:
                for sha256, file in some:
                    group.create_task(one(sha256, *file))
            if failures:
                raise Unavailable(
                    "export-incomplete",
                    f"Files of {channel.name} could not be fetched, so no bundle was made. "
                    + " ".join(failures[:_MOST_SAID]),
                    failures[:_MOST_SAID],
                )
            wanted.sizes.update({sha256: self._store.path(sha256).stat().st_size for sha256, _ in some})

    async def _fetch(
        self, channel: Channel, subdir: str, artifact: ArtifactName, listed: Record, sha256: Sha256
    ) -> None:
        found = Located(channel, channel.subdirs[subdir], artifact, from_wire(listed), sha256, listed.get("size"))
        if channel.kind is ChannelKind.VIRTUAL:
            found = await self._locator.locate(channel, subdir, artifact)
            if found.sha256 != sha256:
                raise Unavailable("export-stale", f"{artifact} changed while the bundle was made. Export again.")
        body = await self._delivery.open(found)
        if isinstance(body, Flight):
            with body.in_use():
                await body.landed()


def _append(path: Path, file: IO[bytes]) -> None:
    with path.open("rb") as source:
        shutil.copyfileobj(source, file, 1 << 20)


class _ShardWriter:
    """Writes the shards that are new into one file and their papers into another; tells of each name what of it travels."""

    def __init__(
        self,
        database: Database,
        files: tuple[IO[bytes], IO[bytes]],
        wanted: _Wanted,
        about: tuple[Manifest | None, Picked | None],
        finder: PaperFinder,
    ) -> None:
        self._database = database
        self._file, self._papers = files
        self._wanted = wanted
        self._earlier, self._picked = about
        self._finder = finder
        self._written: set[bytes] = set()
        self._written_papers: set[str] = set()

    async def write(self, subdir: str, digests: Mapping[str, bytes]) -> dict[str, Name]:
        """The entries of a subdir's names; the sizes of files are not known yet."""
        state = None if self._earlier is None else self._earlier.subdirs.get(subdir)
        names: dict[str, Name] = {}
        for some in chunks(sorted(digests), _NAMES_AT_ONCE):
            bodies = await self._bodies(subdir, {name: digests[name] for name in some})
            papers = await self._finder.find(subdir, {name: body for name, (_, body) in bodies.items()})
            for name, (digest, body) in bodies.items():
                before = state.names.get(name) if state else None
                entry = self._entry(subdir, digest, body, before)
                names[name] = await self._with_papers(subdir, entry, papers[name], before) if name in papers else entry
        return names

    async def _with_papers(self, subdir: str, entry: Name, papers: Papers, before: Name | None) -> Name:
        signatures = papers.signatures_digest
        wanted = {*papers.sidecars, *(() if signatures is None else (signatures,))}
        had = frozenset() if before is None else before.paper_digests()
        brought = await self._finder.read(subdir, papers, wanted - had)
        for digest, body in sorted(brought.items()):
            if digest not in self._written_papers:
                self._written_papers.add(digest)
                self._papers.write(member(f"papers/{digest}", body))
        return msgspec.structs.replace(
            entry,
            papers={digest: len(body) for digest, body in brought.items()},
            papers_held=tuple(sorted(wanted & had)),
            signatures=signatures,
        )

    async def _bodies(self, subdir: str, digests: Mapping[str, bytes]) -> dict[str, tuple[bytes, bytes]]:
        if self._picked is not None:
            return {name: encode_shard(self._picked[subdir, name]) for name in digests}
        async with self._database.read() as connection:
            bodies = await read_shards(connection, digests.values())
        gone = [name for name, digest in digests.items() if digest not in bodies]
        if gone:
            raise Unavailable("export-stale", f"{subdir}/{gone[0]} changed while the bundle was made. Export again.")
        return {name: (digest, bodies[digest]) for name, digest in digests.items()}

    def _entry(self, subdir: str, digest: bytes, body: bytes, before: Name | None) -> Name:
        if before is not None and before.shard == digest.hex():
            held = tuple(sorted(before.digests()))
            return Name(shard=before.shard, shard_bytes=before.shard_bytes, is_new=False, held=held)
        had = frozenset() if before is None else before.digests()
        files = {sha256: (subdir, artifact, listed) for artifact, sha256, listed in iter_files(decode_stored(body))}
        self._wanted.files.update({sha256: file for sha256, file in files.items() if sha256 not in had})
        if digest not in self._written:
            self._written.add(digest)
            self._file.write(member(f"shards/{digest.hex()}", body))
        return Name(
            shard=digest.hex(),
            shard_bytes=len(body),
            is_new=True,
            files=dict.fromkeys((sha256 for sha256 in files if sha256 not in had), 0),
            held=tuple(sorted(sha256 for sha256 in files if sha256 in had)),
        )


async def _read_infos(connection: AsyncConnection, channel: Channel) -> dict[str, dict[str, Any]]:
    columns = tables.subdir.c
    rows = await connection.execute(select(columns.name, columns.info).where(columns.channel_id == channel.id))
    return {row.name: row.info for row in rows}


def _manifest(
    snapshot: _Snapshot,
    chain: tuple[str, ...],
    selection: Selection,
    states: Mapping[str, dict[str, Name]],
    sections: dict[str, Section],
) -> Manifest:
    channel = snapshot.channel
    return Manifest(
        format=FORMAT,
        channel=channel.name,
        revision=channel.revision,
        made_at=max((state.revised_at for state in channel.subdirs.values()), default=channel.created_at),
        chain=chain,
        selection=selection,
        subdirs={
            subdir: SubdirState(revision=channel.subdirs[subdir].revision, info=snapshot.infos[subdir], names=names)
            for subdir, names in states.items()
        },
        sections=sections,
    )


def _sized(states: Mapping[str, Mapping[str, Name]], sizes: Mapping[str, int]) -> dict[str, dict[str, Name]]:
    return {
        subdir: {
            name: msgspec.structs.replace(entry, files={sha256: sizes[sha256] for sha256 in entry.files})
            for name, entry in names.items()
        }
        for subdir, names in states.items()
    }


def _prepared(manifest: Manifest, bundle: str, missing: Sequence[str]) -> Prepared:
    files = manifest.files()
    return Prepared(
        bundle=bundle,
        channel=manifest.channel,
        number=manifest.number,
        names=sum(len(one.names) for one in manifest.subdirs.values()),
        shards=len(manifest.shards()),
        files=len(files),
        bytes=sum(files.values()),
        papers=len(manifest.papers()),
        missing=tuple(missing[:_MOST_SAID]),
    )

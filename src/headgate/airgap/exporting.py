"""Making the manifest of a bundle: the channel as it is published now, what of it is new, and its bytes at hand.

take a snapshot -> pick -> write shards and papers, compare with the earlier bundle -> fetch what is not here -> manifest
"""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.airgap.exports import Exports
from headgate.airgap.manifest import (
    FORMAT,
    JudgedBy,
    Manifest,
    Name,
    Section,
    Selection,
    SubdirState,
    check_since,
    decode_manifest,
    encode_manifest,
    followed,
    manifest_id,
    told_of_judging,
)
from headgate.airgap.papers import CarriedTrust, PaperFinder
from headgate.airgap.sections import write_sections
from headgate.airgap.selection import Maps, Offer, Picked, Read, narrow, pick
from headgate.airgap.writing import Basis, ShardWriter, Wanted, read_bodies
from headgate.audit.events import Action, record
from headgate.channels.catalog import Catalog
from headgate.channels.maps import read_map
from headgate.channels.model import Channel, ChannelKind
from headgate.channels.sifting import Sieve, meaning_of, open_sieve
from headgate.conda.names import ArtifactName, Sha256
from headgate.conda.records import Record, from_wire
from headgate.conda.shards import decode_stored
from headgate.db import tables
from headgate.db.engine import Database, chunks
from headgate.delivery.flights import Flight
from headgate.delivery.located import Located, Locator
from headgate.delivery.sidecars import Sidecars
from headgate.delivery.sources import ArtifactSource
from headgate.intake.sync import Progress
from headgate.kernel.errors import HeadgateError, Unavailable
from headgate.storage.local import BlobStore, disk_errors

_FETCHES_AT_ONCE = 8
_MOST_SAID = 20


@dataclass(frozen=True, slots=True)
class Prepared:
    """What an export came to: `bundle` is its id, `bytes` the size of what it brings.

    `missing` says which attestations could not be had; the bundle goes without them. With a policy, `held_back` is how many
    records of those that were looked at it holds back. `notes` say how the bundle before was judged otherwise.
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
    policy: str = ""
    held_back: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Snapshot:
    channel: Channel
    maps: dict[str, dict[str, bytes]]
    infos: dict[str, dict[str, Any]]


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
        `bundle-foreign`, Invalid `selection-unmet` or `bundle-invalid`, Unavailable `export-incomplete`, NotFound
        `policy-unknown`.
        """
        earlier = None if since is None else decode_manifest(since)
        if earlier is not None:
            check_since(earlier, channel)
        selection = followed(selection, earlier)
        snapshot = await self._snapshot(channel)
        sieve = await open_sieve(self._database, snapshot.channel, selection.policy) if selection.policy else None
        maps, picked = await self._choose(snapshot, selection, sieve)
        wanted, finder = Wanted(self._store), PaperFinder(self._database, self._sidecars, snapshot.channel)
        await finder.open()
        sections = await self._write_sections(export_id, finder.trust, has_advisories=selection.has_advisories)
        states = await self._write_shards(export_id, maps, Basis(earlier, picked, sieve), wanted, finder)
        await self._gather(snapshot.channel, wanted, progress)
        chain = () if since is None or earlier is None else (*earlier.chain, manifest_id(since))
        manifest = _manifest(snapshot, chain, selection, _sized(states, wanted.sizes), sections)
        if sieve is not None:
            manifest = msgspec.structs.replace(manifest, judged_by=_judged_by(sieve))
        data = encode_manifest(manifest)
        await asyncio.to_thread(self._exports.write, export_id, data)
        done = _prepared(manifest, manifest_id(data), finder.missing, earlier, sieve)
        async with self._database.write() as connection:
            await record(
                connection, Action.BUNDLE_EXPORT, actor,
                channel=channel, subject=done.bundle, number=done.number, files=done.files, bytes=done.bytes,
                **_policy_told(manifest),
            )  # fmt: skip
        return done

    async def _choose(
        self, snapshot: _Snapshot, selection: Selection, sieve: Sieve | None
    ) -> tuple[Maps, Picked | None]:
        """The names that travel, and of them the records where not all do."""
        maps = narrow(snapshot.maps, selection)
        if not (selection.specs or selection.files):
            return maps, None
        picked = await pick(maps, selection, self._reader(maps, sieve))
        left: dict[str, dict[str, bytes]] = {subdir: {} for subdir in maps}
        for subdir, name in picked:
            left[subdir][name] = maps[subdir][name]
        return left, picked

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
        basis: Basis,
        wanted: Wanted,
        finder: PaperFinder,
    ) -> dict[str, dict[str, Name]]:
        """Go on with `shards.tar`; the entries of every name."""
        folder = self._exports.folder(export_id)
        with disk_errors():
            behind = folder / "papers.part"
            with (folder / "shards.tar").open("ab") as file:
                with behind.open("wb") as papers:
                    writer = ShardWriter(self._database, (file, papers), wanted, basis, finder)
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

    def _reader(self, maps: Maps, sieve: Sieve | None) -> Read:
        async def read(subdir: str, name: str) -> Offer:
            found = await read_bodies(self._database, subdir, {name: maps[subdir][name]})
            held = {} if sieve is None else (await sieve.sift(subdir, found))[name].held
            return Offer(decode_stored(found[name][1]), held)

        return read

    async def _gather(self, channel: Channel, wanted: Wanted, progress: Progress) -> None:
        """See to it that every file is in the store. Raises Unavailable `export-incomplete`, with a reason per file."""
        failures: list[str] = []
        turns = asyncio.Semaphore(_FETCHES_AT_ONCE)
        done = len(wanted.sizes)
        total = done + len(wanted.missing)

        async def one(sha256: Sha256, subdir: str, artifact: ArtifactName, listed: Record) -> None:
            nonlocal done
            async with turns:
                try:
                    await self._fetch(channel, subdir, artifact, listed, sha256)
                except HeadgateError as error:
                    failures.append(f"{subdir}/{artifact}: {error.message}")
            done += 1
            await progress("files", done, total)

        await progress("files", done, total)
        for some in chunks(list(wanted.missing.items())):
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


def _judged_by(sieve: Sieve) -> JudgedBy:
    policy = sieve.state.policy
    return JudgedBy(policy.name, sieve.state.version, meaning_of(policy))


def _policy_told(manifest: Manifest) -> dict[str, Any]:
    """What the audit event says of the policy."""
    by = manifest.judged_by
    return {} if by is None else {"policy": by.policy, "policy_version": by.version}


def _prepared(
    manifest: Manifest, bundle: str, missing: Sequence[str], earlier: Manifest | None, sieve: Sieve | None
) -> Prepared:
    files, by = manifest.files(), manifest.judged_by
    note = "" if earlier is None else told_of_judging(earlier.judged_by, by)
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
        policy=manifest.policy_title,
        held_back=0 if sieve is None else sieve.held_back,
        notes=(note,) if note else (),
    )

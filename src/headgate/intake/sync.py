"""Following one subdir of one upstream: read what changed, stamp it, keep it, publish it.

    (filters changed? let what is here through them again)
    fetch listing -> compare fingerprints -> read changed shards -> stamp, keep cached files -> encode -> store
                                            (batches) -> see who vouches for what is stored -> publish (once)

Batches are stored as they come, so a killed sync resumes with the names it had not reached; the published map changes
in one last transaction.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec
import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.advisories.names import learn
from headgate.audit.events import Action, record
from headgate.channels.model import Channel, Source
from headgate.channels.outdating import outdate_documents
from headgate.channels.revisions import publish
from headgate.channels.shards import read_shards, save_shards
from headgate.channels.sources import (
    drop_source_shards,
    read_outline,
    read_source_shards,
    save_outline,
    save_source_shards,
    source_subdir_id,
)
from headgate.conda.attestations import TrustRoot
from headgate.conda.names import Subdir, package_of
from headgate.conda.packing import Packer
from headgate.conda.shards import Shard, decode_stored, encode_shard
from headgate.db import tables
from headgate.db.engine import Database, chunks
from headgate.intake.carrying import carry_over, empty_shard
from headgate.intake.fresh import take_fresh
from headgate.intake.marks import Marks, marks_of
from headgate.intake.screens import Left, Screen, Vouched, open_screen, pack_vouched, refilter, unpack_vouched
from headgate.intake.trusting import Belief, learn_trust
from headgate.intake.upstream import Missing, Unchanged, UpstreamListing, UpstreamState
from headgate.intake.vouching import Found, Voucher
from headgate.kernel import clock
from headgate.kernel.errors import HeadgateError, Invalid

_BATCH = 1000

log = structlog.get_logger(__name__)


class Progress(Protocol):
    """Told how far the work is, as often as one likes."""

    async def __call__(self, step: str, done: int, total: int) -> None:
        """`done` of `total` items of the step."""


class Reader(Protocol):
    """Reads one subdir of a mirror, wherever it is found."""

    async def fetch(
        self, previous: UpstreamState | None, outline: bytes | None = None
    ) -> UpstreamListing | Unchanged | Missing:
        """As `UpstreamReader.fetch`."""

    def keep_base(self, base_url: str) -> str:
        """What is written down of the base URL of the listing that was fetched last."""

    async def read_metadata(self, name: str, elsewhere: str) -> bytes | None:
        """As `UpstreamReader.read_metadata`."""

    async def read_sidecar(self, base_url: str, filename: str, digest: str) -> bytes:
        """As `UpstreamReader.read_sidecar`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a sync of one subdir came to: `state` is `changed`, `unchanged` or `absent`; names touched, names gone."""

    state: str
    changed: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the sync writes, and what it knew before."""

    channel: Channel
    source: Source
    subdir: Subdir
    source_subdir: int
    previous: UpstreamState | None
    is_first: bool
    known: dict[str, tuple[bytes, bytes]]
    screen: Screen
    filter_key: str | None
    signed: bytes | None
    trust_key: str | None
    voucher: Voucher

    @property
    def must_look_again(self) -> bool:
        """Whether all that is here has to be looked at for who vouches for it."""
        return self.trust_key != self.voucher.belief.key or (self.screen.needs_vouched and self.signed is None)


async def sync_subdir(
    database: Database,
    channel: Channel,
    source: Source,
    subdir: Subdir,
    reader: Reader,
    progress: Progress,
    root: TrustRoot | None = None,
) -> Outcome:
    """Bring one subdir up to its upstream. Whatever the upstream answers, a good revision is never lost.

    `root`: whom attestations are checked against; without it they are not. Raises Unavailable or Invalid (remembered as
    the subdir's failure) when the upstream cannot be read, or is not signed as it must be.
    """
    place = await _open_place(database, channel, source, subdir)
    is_refiltered = place.filter_key != place.screen.key
    if is_refiltered:
        await progress(f"{subdir}: filtering what is here", 0, 0)
        await _refilter(database, place)
    await progress(f"{subdir}: reading the upstream's index", 0, 0)
    try:
        belief = await learn_trust(database, source, reader)
        voucher = Voucher(database, source.settings.signatures, place.source_subdir, subdir, belief, root)
        place = replace(place, voucher=voucher)
        async with database.read() as connection:
            outline = await read_outline(connection, place.source_subdir)
        found = await reader.fetch(None if place.must_look_again else place.previous, outline)
        if isinstance(found, Unchanged | Missing):
            outcome = await _note_nothing(database, place, found)
            return Outcome("changed") if is_refiltered else outcome
        try:
            return await _take(database, place, reader, found, progress)
        finally:
            await found.close()
    except HeadgateError as error:
        await _note(database, place, failure=error.message)
        raise


async def _open_place(database: Database, channel: Channel, source: Source, subdir: Subdir) -> _Place:
    async with database.write() as connection:
        number = await source_subdir_id(connection, source.id, subdir)
        columns = tables.source_subdir.c
        wanted = (
            columns.state, columns.synced_at, columns.filter_key, columns.closure, columns.signed, columns.trust_key
        )  # fmt: skip
        row = (await connection.execute(select(*wanted).where(columns.id == number))).one()
        known = await read_source_shards(connection, number)
    screen = open_screen(source.settings, row.closure, row.signed)
    previous = msgspec.convert(row.state, UpstreamState) if row.state is not None else None
    nobody = Voucher(database, source.settings.signatures, number, subdir, Belief(None, "", row.trust_key), None)
    return _Place(
        channel, source, subdir, number, previous, row.synced_at is None, known, screen, row.filter_key, row.signed,
        row.trust_key, nobody,
    )  # fmt: skip


async def _refilter(database: Database, place: _Place) -> None:
    await refilter(database, place.source_subdir, place.screen)
    async with database.write() as connection:
        await _update_place(connection, place, filter_key=place.screen.key)
        if place.subdir in place.channel.subdirs:
            await publish(connection, place.channel.id, place.subdir, None, "filters changed")


def _doubting(place: _Place, names: Collection[str]) -> _Place:
    """Until somebody has looked, nobody vouches for the files of these names."""
    if not place.screen.needs_vouched:
        return place
    vouched = unpack_vouched(place.signed).without(set(names))
    screen = open_screen(place.source.settings, None, pack_vouched(vouched))
    known = replace(screen.known, dependencies=place.screen.known.dependencies)
    return replace(place, screen=Screen(place.source.settings, known))


async def _vouch(
    database: Database, place: _Place, reader: Reader, listing: UpstreamListing, stored: tuple[list[str], set[str]]
) -> Found:
    """See who vouches for what is stored, and let it through the filters again if they ask.

    `stored`: the names that changed, and those of them whose records name no attestations.
    """
    changed, silent = stored
    said = listing.extras.get("signatures")
    signatures = msgspec.json.decode(said, type=dict[str, msgspec.Raw]) if said else {}
    known = listing.fingerprints.keys()
    names = set(known) if place.must_look_again else set(changed)
    names |= await place.voucher.changed_signatures(signatures, known)
    names |= await place.voucher.names_left(known)
    if place.screen.needs_vouched and not place.source.settings.signatures.is_signed:
        # Claims alone count here, and they may change while their records do not.
        names |= {package_of(file) for file in unpack_vouched(place.signed).signed ^ signatures.keys()} & set(known)
    is_signed = bool(signatures) or place.voucher.settings.is_signed
    found = await place.voucher.look(names if is_signed else names - silent, signatures, listing.base_url, reader)
    if not place.screen.needs_vouched:
        return found
    before = unpack_vouched(place.signed).without(names)
    vouched = Vouched(before.signed | found.signed, before.attested | found.attested)
    async with database.write() as connection:
        number = tables.source_subdir.c.id == place.source_subdir
        closure = (await connection.execute(select(tables.source_subdir.c.closure).where(number))).scalar_one()
        await _update_place(connection, place, signed=pack_vouched(vouched))
    screen = open_screen(place.source.settings, closure, pack_vouched(vouched))
    await refilter(database, place.source_subdir, screen, names)
    return found


async def _note_nothing(database: Database, place: _Place, found: Unchanged | Missing) -> Outcome:
    if isinstance(found, Unchanged):
        await _note(database, place, failure=None)
        return Outcome("unchanged")
    if place.subdir.is_noarch:
        async with database.write() as connection:
            await publish(connection, place.channel.id, place.subdir, set(), "upstream has no noarch")
    has_records = bool(place.known)
    await _note(
        database, place, failure="The upstream no longer has this subdir; what it had is kept." if has_records else None
    )
    return Outcome("absent")


async def _note(database: Database, place: _Place, *, failure: str | None) -> None:
    async with database.write() as connection:
        await _update_place(connection, place, checked_at=clock.now(), failure=failure)


async def _update_place(connection: AsyncConnection, place: _Place, **values: Any) -> None:
    chosen = tables.source_subdir.c.id == place.source_subdir
    await connection.execute(update(tables.source_subdir).where(chosen).values(values))


async def _take(
    database: Database, place: _Place, reader: Reader, listing: UpstreamListing, progress: Progress
) -> Outcome:
    known = place.known
    changed = [n for n, fingerprint in listing.fingerprints.items() if known.get(n, (None,))[0] != fingerprint]
    gone = known.keys() - listing.fingerprints.keys()
    place = _doubting(place, listing.fingerprints.keys() if place.must_look_again else changed)
    # Where the bytes are is known from here on, so that a client of an early revision can fetch them; and what was the
    # upstream's state no longer describes what we hold, until `_finish` says what does.
    async with database.write() as connection:
        await _update_place(connection, place, base_url=reader.keep_base(listing.base_url), state=None)

    async def tell(done: int) -> None:
        await progress(f"{place.subdir}: names", done, len(changed))

    silent = set[str]()
    if place.screen.is_open:
        packer = Packer(place.is_first, clock.now_ms())
        fresh = sorted(name for name in changed if name not in known)
        silent = await take_fresh(database, place.source_subdir, listing, packer, fresh, tell)
    done = len(silent)
    async for batch in _batches(listing, [name for name in changed if name not in silent]):
        silent |= await _store(database, place, listing.fingerprints, batch)
        done += len(batch)
        await tell(done)
    found = await _vouch(database, place, reader, listing, (changed, silent))
    await _keep_cached(database, place, gone)
    await progress(f"{place.subdir}: publishing", done, len(changed))
    await _finish(database, place, listing, Counts(len(changed), len(gone), found))
    return Outcome("changed", len(changed), len(gone))


async def _batches(listing: UpstreamListing, names: Collection[str]) -> AsyncIterator[dict[str, Shard]]:
    batch: dict[str, Shard] = {}
    async for name, shard in listing.iter_shards(sorted(names)):
        batch[name] = shard
        if len(batch) == _BATCH:
            yield batch
            batch = {}
    if batch:
        yield batch


async def _store(
    database: Database, place: _Place, fingerprints: Mapping[str, bytes], batch: Mapping[str, Shard]
) -> set[str]:
    """Keep the shards of a batch; the names none of whose records names attestations, which is most."""
    old, cached = await _remembered(database, place, batch.keys())

    def encode() -> tuple[dict[str, tuple[bytes, bytes]], Left, Marks]:
        now_ms = clock.now_ms()
        marks = marks_of(batch)
        encoded = {}
        for name, shard in batch.items():
            merged = carry_over(shard, old.get(name), cached.get(name, ()), is_first=place.is_first, now_ms=now_ms)
            try:
                encoded[name] = encode_shard(merged)
            except Invalid as error:
                log.warning("package-unreadable", package=name, code=error.code, reason=error.message)
        return encoded, place.screen.leave({name: batch[name] for name in encoded}), marks

    encoded, left, marks = await asyncio.to_thread(encode)
    async with database.write() as connection:
        await save_shards(connection, {**dict(encoded.values()), **left.bodies})
        rows = {name: (fingerprints[name], digest) for name, (digest, _) in encoded.items()}
        await save_source_shards(connection, place.source_subdir, rows, left.digests)
        await learn(connection, marks.purls, {})
    return batch.keys() - marks.attested


async def _remembered(
    database: Database, place: _Place, names: Collection[str]
) -> tuple[dict[str, Shard], dict[str, set[str]]]:
    """Our old shard of each name, and the file names of each that we hold the bytes of."""
    digests = {name: place.known[name][1] for name in names if name in place.known}
    if not digests:
        return {}, {}
    async with database.read() as connection:
        bodies = await read_shards(connection, digests.values())
        cached = await _cached_files(connection, place, digests.keys())
    return {name: decode_stored(bodies[digest]) for name, digest in digests.items()}, cached


async def _cached_files(connection: AsyncConnection, place: _Place, names: Collection[str]) -> dict[str, set[str]]:
    if not place.channel.settings.is_keeping_cached or place.subdir not in place.channel.subdirs:
        return {}
    columns = tables.artifact.c
    found: dict[str, set[str]] = {}
    for some in chunks(sorted(names)):
        rows = await connection.execute(
            select(columns.package, columns.filename).where(
                columns.subdir_id == place.channel.subdirs[place.subdir].id,
                columns.status == "active",
                columns.package.in_(some),
            )
        )
        for package, filename in rows:
            found.setdefault(package, set()).add(filename)
    return found


async def _keep_cached(database: Database, place: _Place, gone: Collection[str]) -> None:
    """Drop names that left the upstream, but for the records of files that we hold."""
    for some in chunks(sorted(gone)):
        old, cached = await _remembered(database, place, some)
        kept = {
            name: carry_over(empty_shard(), old[name], cached[name], is_first=False, now_ms=0)
            for name in cached
            if name in old
        }
        kept = {name: shard for name, shard in kept.items() if not shard.is_empty}
        encoded = {name: encode_shard(shard) for name, shard in kept.items()}
        left = place.screen.leave(kept)
        async with database.write() as connection:
            await save_shards(connection, {**dict(encoded.values()), **left.bodies})
            # An upstream that brings the name back will differ from this fingerprint.
            rows = {name: (b"", digest) for name, (digest, _) in encoded.items()}
            await save_source_shards(connection, place.source_subdir, rows, left.digests)
            await drop_source_shards(connection, place.source_subdir, [name for name in some if name not in encoded])


@dataclass(frozen=True, slots=True)
class Counts:
    """How much a sync has changed."""

    changed: int
    gone: int
    found: Found


async def _finish(database: Database, place: _Place, listing: UpstreamListing, counts: Counts) -> None:
    now = clock.now()
    async with database.write() as connection:
        await _update_place(
            connection,
            place,
            state=msgspec.to_builtins(listing.state),
            info=listing.info,
            checked_at=now,
            synced_at=now,
            failure=None,
            filter_key=place.screen.key,
            trust_key=place.voucher.belief.key,
        )
        await save_outline(connection, place.source_subdir, listing.outline)
        detail = {"source": place.source.id, "changed": counts.changed, "removed": counts.gone}
        await record(
            connection, Action.MIRROR_SYNC, "headgate", channel=place.channel.name, subject=place.subdir, **detail
        )
        await publish(connection, place.channel.id, place.subdir, None, "upstream synced")
        if counts.found.has_news:
            await outdate_documents(connection, place.channel.id, place.subdir)

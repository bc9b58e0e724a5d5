"""What a mirror's filters leave of each raw shard, kept beside it, so that other filters need no other download."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import zstandard
from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.channels.mirrors import MirrorSettings
from headgate.channels.shards import read_shards, save_shards
from headgate.conda.names import package_of
from headgate.conda.shards import Shard, decode_stored, encode_shard
from headgate.db import tables
from headgate.db.engine import Database, chunks
from headgate.intake.filters import Known, Sieve

_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Left:
    """What filters leave of some shards: the digest per name (empty: nothing), and the bodies that are new."""

    digests: Mapping[str, bytes]
    bodies: Mapping[bytes, bytes]


class Screen:
    """The filters of a mirror, for one of its subdirs; `key` is the same for the same filters, None without any."""

    def __init__(self, settings: MirrorSettings, known: Known) -> None:
        self.key = screen_key(settings)
        self.filters = settings.filters
        self.known = known
        self._sieve = None if self.key is None else Sieve(settings.filters)

    @property
    def needs_vouched(self) -> bool:
        """Whether it asks who vouches for files."""
        return self.filters.only_signed or bool(self.known.demands)

    @property
    def is_open(self) -> bool:
        """Whether everything passes."""
        return self._sieve is None

    def leave(self, shards: Mapping[str, Shard]) -> Left:
        """What passes of each shard; those that pass whole are left out. Blocks."""
        digests: dict[str, bytes] = {}
        bodies: dict[bytes, bytes] = {}
        if self._sieve is None:
            return Left(digests, bodies)
        for name, shard in shards.items():
            sifted = self._sieve.sift(name, shard, self.known)
            if not sifted.held_back:
                continue
            if next(sifted.passed.records(), None) is None:
                digests[name] = b""
                continue
            digest, body = encode_shard(sifted.passed)
            digests[name], bodies[digest] = digest, body
        return Left(digests, bodies)


def screen_key(settings: MirrorSettings) -> str | None:
    """The same for settings that let the same pass; None when everything does."""
    demands = settings.signatures.demands
    if not (settings.filters.only_signed or demands):
        return settings.filters.key
    checks = f"{settings.signatures.content_trust} {settings.signatures.attestations}"
    return f"{settings.filters.key or ''} {checks}"


def open_screen(settings: MirrorSettings, closure: bytes | None, vouched: bytes | None) -> Screen:
    """The screen of one subdir, from what its row keeps."""
    dependencies = unpack_names(closure) if settings.filters.include_dependencies else frozenset()
    return Screen(settings, known_of(settings, dependencies, vouched))


def known_of(settings: MirrorSettings, dependencies: Collection[str], vouched: bytes | None) -> Known:
    """What a row keeps of who vouches for files, as these settings want it."""
    if not (settings.filters.only_signed or settings.signatures.demands):
        return Known(dependencies)
    found = unpack_vouched(vouched)
    attested = found.attested if settings.signatures.is_attested else None
    return Known(dependencies, found.signed, attested, settings.signatures.demands)


class Vouched(msgspec.Struct, frozen=True):
    """Files that somebody vouches for: by a signature of the record, by an attestation."""

    signed: frozenset[str] = frozenset()
    attested: frozenset[str] = frozenset()

    def without(self, names: Collection[str]) -> "Vouched":
        """All but the files of these packages."""
        return Vouched(
            *(
                frozenset(file for file in files if package_of(file) not in names)
                for files in (self.signed, self.attested)
            )
        )


def pack_vouched(vouched: Vouched) -> bytes:
    """As a row keeps it."""
    return zstandard.compress(
        msgspec.msgpack.encode({"signed": sorted(vouched.signed), "attested": sorted(vouched.attested)})
    )


def unpack_vouched(packed: bytes | None) -> Vouched:
    """As it was packed; a list of names, as earlier versions kept it, has those with signatures."""
    if not packed:
        return Vouched()
    found = msgspec.msgpack.decode(zstandard.decompress(packed))
    return Vouched(frozenset(found)) if isinstance(found, list) else msgspec.convert(found, Vouched)


def pack_names(names: Iterable[str]) -> bytes:
    """File names as a row keeps them."""
    return zstandard.compress(msgspec.msgpack.encode(sorted(names)))


def unpack_names(packed: bytes | None) -> frozenset[str]:
    """File names as they were packed; none when there is nothing."""
    return frozenset() if not packed else frozenset(msgspec.msgpack.decode(zstandard.decompress(packed)))


async def refilter(
    database: Database, source_subdir: int, screen: Screen, names: Collection[str] | None = None
) -> None:
    """Let the raw shards of `names` (None: all) through the screen again, without asking the upstream."""
    columns = tables.source_shard.c
    mine = columns.source_subdir_id == source_subdir
    if screen.is_open:
        async with database.write() as connection:
            await connection.execute(
                update(tables.source_shard).where(mine, columns.filtered.is_not(None)).values(filtered=None)
            )
        return
    async with database.read() as connection:
        rows = await connection.execute(select(columns.name, columns.digest).where(mine))
        raw = {row.name: row.digest for row in rows if names is None or row.name in names}
    for some in chunks(sorted(raw), _BATCH):
        async with database.read() as connection:
            bodies = await read_shards(connection, (raw[name] for name in some))
        left = await asyncio.to_thread(_leave, screen, {name: bodies[raw[name]] for name in some})
        async with database.write() as connection:
            await save_shards(connection, left.bodies)
            await _save_left(connection, source_subdir, {name: left.digests.get(name) for name in some})


def _leave(screen: Screen, bodies: Mapping[str, bytes]) -> Left:
    return screen.leave({name: decode_stored(body) for name, body in bodies.items()})


async def _save_left(connection: AsyncConnection, source_subdir: int, left: Mapping[str, bytes | None]) -> None:
    columns = tables.source_shard.c
    statement = (
        update(tables.source_shard)
        .where(columns.source_subdir_id == source_subdir, columns.name == bindparam("of"))
        .values(filtered=bindparam("left"))
    )
    rows: list[dict[str, Any]] = [{"of": name, "left": digest} for name, digest in left.items()]
    await connection.execute(statement, rows)

"""What was found out about signatures and attestations, as it is kept, and as the gate is told.

An attestation speaks of bytes, so what it proves is the same in every channel. A signature speaks of a record, and its
outcome depends on whom a mirror trusts: it counts in the channel of that mirror, and in virtual channels that show it, and
only while the record is what was signed.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import zstandard
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.channels.model import Channel, Source, SourceKind
from headgate.conda.attestations import (
    Attested,
    Publisher,
    bundles_of,
    claimed_sidecar,
    join_bundles,
    sidecar_digest,
)
from headgate.conda.content_trust import canonical
from headgate.conda.names import ArtifactName
from headgate.conda.records import Record, from_wire
from headgate.conda.shards import Shard
from headgate.db import tables, tables_signatures
from headgate.db.engine import Database, advance_epoch, chunks, insert
from headgate.kernel import clock
from headgate.policy.proofs import ABSENT, Proof, Proofs, ProofState

TOPIC = "proofs"
_NOBODY_LOOKED = Proof(ProofState.NOT_CHECKED, "nobody has looked at it yet")
_CHANGED = Proof(ProofState.INVALID, "the record was changed since it was signed")
_VOUCHED_FOR = frozenset({SourceKind.UPSTREAM, SourceKind.BUNDLE})
# Ours, or of another document: no part of what an upstream signs, unless it says so itself.
_ADDED = ("run_exports", "indexed_timestamp")


class SignatureEntry(msgspec.Struct, array_like=True, frozen=True):
    """What is known of the signatures of one file's record.

    `digest`: of the record without what we add to it. `has_stamp`: whether `indexed_timestamp` was signed as well.
    `signatures`: as they came, kept while they are good.
    """

    filename: str
    digest: bytes
    state: ProofState
    reason: str = ""
    signers: tuple[str, ...] = ()
    has_stamp: bool = False
    signatures: dict[str, dict[str, Any]] = {}

    @property
    def proof(self) -> Proof:
        """For the gate."""
        return Proof(self.state, self.reason, self.signers)


@dataclass(frozen=True, slots=True)
class NameProofs:
    """All that was found out about the files of one name; `key` changes when any of it does."""

    attestations: Mapping[tuple[str, str, str], Proof] = field(default_factory=dict)
    """By sha256, file name, and sha256 of the sidecar."""
    signatures: Mapping[int, Mapping[str, SignatureEntry]] = field(default_factory=dict)
    """By id of the mirror's source, and file name."""
    key: bytes = b""


NOTHING_FOUND = NameProofs()


def signed_form(record: Record, *, has_stamp: bool) -> Record:
    """A record in wire form as repodata has it, without what this server adds."""
    plain = from_wire(record)
    for key in _ADDED:
        if not (has_stamp and key == "indexed_timestamp"):
            plain.pop(key, None)
    return plain


def record_digest(record: Record) -> bytes:
    """Names the content of a record, but for what this server adds."""
    return hashlib.sha256(canonical(signed_form(record, has_stamp=False))).digest()


def pack_entries(entries: Iterable[SignatureEntry]) -> bytes:
    """Entries as a row keeps them."""
    return zstandard.compress(msgspec.msgpack.encode(list(entries)))


def unpack_entries(body: bytes) -> list[SignatureEntry]:
    """Entries as they were packed."""
    return msgspec.msgpack.decode(zstandard.decompress(body), type=list[SignatureEntry])


def places_behind(channels: Mapping[int, Channel], source: Source) -> set[int]:
    """The mirrors and bundles, by the ids of their sources, that what a source brings may come from."""
    if source.kind in _VOUCHED_FOR:
        return {source.id}
    member = channels.get(source.member_id or 0)
    return set() if member is None else {one for inner in member.sources for one in places_behind(channels, inner)}


async def read_proofs(
    connection: AsyncConnection, channels: Mapping[int, Channel], channel: Channel, subdir: str, names: Collection[str]
) -> dict[str, NameProofs]:
    """What is known of the files of some names in a subdir of a channel; names of which nothing is known are left out."""
    attestations = await _read_attestations(connection, names)
    places = {one for source in channel.sources for one in places_behind(channels, source)}
    signatures = await read_signatures(connection, places, subdir, names) if places else {}
    return {
        name: NameProofs(
            {key: proof for key, (proof, _) in attestations.get(name, {}).items()},
            {place: {one.filename: one for one in entries} for place, (entries, _) in signatures.get(name, {}).items()},
            _key(attestations.get(name, {}), signatures.get(name, {})),
        )
        for name in attestations.keys() | signatures.keys()
    }


def _key(
    attestations: Mapping[tuple[str, str, str], tuple[Proof, int]], signatures: Mapping[int, tuple[Any, bytes]]
) -> bytes:
    parts = (
        sorted((key, at) for key, (_, at) in attestations.items()),
        sorted((place, inputs) for place, (_, inputs) in signatures.items()),
    )
    return hashlib.sha256(msgspec.msgpack.encode(parts)).digest()


async def _read_attestations(
    connection: AsyncConnection, names: Collection[str]
) -> dict[str, dict[tuple[str, str, str], tuple[Proof, int]]]:
    columns = tables_signatures.attestation.c
    found: dict[str, dict[tuple[str, str, str], tuple[Proof, int]]] = {}
    for some in chunks(sorted(names)):
        for row in await connection.execute(select(tables_signatures.attestation).where(columns.package.in_(some))):
            proof = _proof_of(row.state, row.reason, row.publishers)
            key = (row.sha256, row.filename, row.sidecar)
            found.setdefault(row.package, {})[key] = (proof, clock.to_ms(row.checked_at))
    return found


async def read_signatures(
    connection: AsyncConnection, places: Collection[int], subdir: str, names: Collection[str]
) -> dict[str, dict[int, tuple[list[SignatureEntry], bytes]]]:
    """Name -> source id -> the entries, and what they were made from."""
    columns, subdirs = tables_signatures.source_signature.c, tables.source_subdir.c
    found: dict[str, dict[int, tuple[list[SignatureEntry], bytes]]] = {}
    for some in chunks(sorted(names)):
        statement = (
            select(columns.name, columns.inputs, columns.body, subdirs.source_id)
            .join(tables.source_subdir, subdirs.id == columns.source_subdir_id)
            .where(subdirs.source_id.in_(sorted(places)), subdirs.name == subdir, columns.name.in_(some))
        )
        for row in await connection.execute(statement):
            found.setdefault(row.name, {})[row.source_id] = (unpack_entries(row.body), row.inputs)
    return found


async def read_signatures_from(
    connection: AsyncConnection, places: Collection[int], subdir: str, first: str, limit: int
) -> list[tuple[str, list[SignatureEntry]]]:
    """The entries of names from `first` on, by name; several for a name that several mirrors have."""
    columns, subdirs = tables_signatures.source_signature.c, tables.source_subdir.c
    statement = (
        select(columns.name, columns.body)
        .join(tables.source_subdir, subdirs.id == columns.source_subdir_id)
        .where(subdirs.source_id.in_(sorted(places)), subdirs.name == subdir, columns.name >= first)
        .order_by(columns.name)
        .limit(limit)
    )
    return [(row.name, unpack_entries(row.body)) for row in await connection.execute(statement)]


def prove(found: NameProofs, shard: Shard, behind: Mapping[str, Collection[int]]) -> tuple[Proofs, Proofs]:
    """Signatures and attestations of the files of a shard; `behind`: the mirrors that each file may come from."""
    signatures: dict[str, Proof] = {}
    attestations: dict[str, Proof] = {}
    for filename, record in shard.records():
        attested = attestation_of(found, filename, record)
        if attested is not ABSENT:
            attestations[filename] = attested
        signed = _signature_of(found, filename, record, behind.get(filename, ()))
        if signed is not ABSENT:
            signatures[filename] = signed
    return signatures, attestations


def attestation_of(found: NameProofs, filename: str, record: Record) -> Proof:
    """What is known of the attestations that a record names."""
    sidecar, sha256 = claimed_sidecar(record), from_wire(record).get("sha256")
    if sidecar is None:
        return ABSENT
    return found.attestations.get((str(sha256), filename, sidecar), _NOBODY_LOOKED)


def _signature_of(found: NameProofs, filename: str, record: Record, places: Collection[int]) -> Proof:
    entries = [entries[filename] for place in places if filename in (entries := found.signatures.get(place, {}))]
    if not entries:
        return ABSENT
    digest = record_digest(record)
    same = [one for one in entries if one.digest == digest]
    if not same:
        return _CHANGED if any(one.state is ProofState.VERIFIED for one in entries) else entries[0].proof
    return max(same, key=lambda one: one.state is ProofState.VERIFIED).proof


@dataclass(frozen=True, slots=True)
class Checked:
    """A sidecar, byte for byte (None: it could not be had), and what it proves of a file, against the trust root `root`."""

    artifact: ArtifactName
    subdir: str
    sha256: str
    sidecar: str
    body: bytes | None
    attested: Attested
    root: str

    @property
    def state(self) -> ProofState:
        """Not checked when the sidecar could not be had: its reason says why."""
        if self.body is None:
            return ProofState.NOT_CHECKED
        return ProofState.VERIFIED if self.attested.is_verified else ProofState.INVALID


async def save_attestation(connection: AsyncConnection, checked: Checked) -> None:
    """Keep a sidecar and its outcome."""
    now = clock.now()
    if checked.body is not None:
        await save_sidecar(connection, checked.sidecar, checked.body)
    attested = checked.attested
    values = {
        "package": str(checked.artifact.name),
        "subdir": checked.subdir,
        "state": checked.state,
        "reason": attested.reason,
        "publishers": [msgspec.to_builtins(one) for one in attested.publishers],
        "root": checked.root,
        "checked_at": now,
    }
    table = tables_signatures.attestation
    row = insert(connection, table).values(
        sha256=checked.sha256, filename=checked.artifact.filename, sidecar=checked.sidecar, **values
    )
    await connection.execute(row.on_conflict_do_update(index_elements=["sha256", "filename", "sidecar"], set_=values))
    await advance_epoch(connection, TOPIC)


async def save_sidecar(connection: AsyncConnection, sidecar: str, body: bytes) -> None:
    """Keep the bytes of a sidecar, whatever they may prove."""
    row = insert(connection, tables_signatures.sidecar).values(
        sha256=sidecar, body=zstandard.compress(body), created_at=clock.now()
    )
    await connection.execute(row.on_conflict_do_nothing(index_elements=["sha256"]))


async def add_attestation(connection: AsyncConnection, record: Record, checked: Checked) -> Checked | None:
    """Keep an attestation of a file beside those that its record names already: the whole; None when it is no news."""
    named = claimed_sidecar(record)
    known = None if named is None else await find_sidecar(connection, named)
    if named is not None and known is not None:
        before, more = bundles_of(known), bundles_of(checked.body or b"")
        fresh = [one for one in more if one not in before]
        if not fresh:
            return None
        columns = tables_signatures.attestation.c
        chosen = (columns.sha256 == checked.sha256, columns.sidecar == named)
        told = (await connection.execute(select(columns.publishers).where(*chosen))).scalars().first() or []
        publishers = tuple(msgspec.convert(one, Publisher) for one in told) + checked.attested.publishers
        body = join_bundles([*before, *fresh])
        bundles_of(body)
        checked = replace(checked, body=body, sidecar=sidecar_digest(body), attested=Attested(publishers))
    await save_attestation(connection, checked)
    return checked


async def find_sidecar(connection: AsyncConnection, sidecar: str) -> bytes | None:
    """The bytes of a sidecar, if we have them."""
    columns = tables_signatures.sidecar.c
    body = (await connection.execute(select(columns.body).where(columns.sha256 == sidecar))).scalar_one_or_none()
    return None if body is None else zstandard.decompress(body)


async def has_attestation(connection: AsyncConnection, sha256: str, filename: str, sidecar: str) -> bool:
    """Whether a sidecar was ever one of this file."""
    columns = tables_signatures.attestation.c
    chosen = (columns.sha256 == sha256, columns.filename == filename, columns.sidecar == sidecar)
    return (await connection.execute(select(columns.state).where(*chosen))).first() is not None


def _proof_of(state: str, reason: str, publishers: list[dict[str, Any]]) -> Proof:
    def told(key: str) -> tuple[str, ...]:
        return tuple(sorted({one[key] for one in publishers if one.get(key)}))

    return Proof(ProofState(state), reason, told("identity"), told("issuer"), told("channel"))


async def count_attestations(database: Database) -> dict[str, int]:
    """How many came to what, by state."""
    columns = tables_signatures.attestation.c
    async with database.read() as connection:
        rows = await connection.execute(select(columns.state, func.count()).group_by(columns.state))
        return {row[0]: row[1] for row in rows}

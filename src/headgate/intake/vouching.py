"""Who vouches for what a mirror brings: signatures of its records, attestations of its files, checked as they come.

    changed names, or all once whom to believe has changed
        -> signatures: said by the document, verified over our record       -> source_signature
        -> attestations: named by records, fetched, verified                -> sidecar, attestation
        -> files that somebody vouches for, where the mirror's filters ask  -> source_subdir.signed

Nothing of this costs anything where records name no attestations, and signatures are not looked at.
"""

import asyncio
import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import structlog
from sqlalchemy import delete, select

from headgate.channels.proofs import (
    TOPIC,
    Checked,
    SignatureEntry,
    find_sidecar,
    pack_entries,
    record_digest,
    save_attestation,
    signed_form,
    unpack_entries,
)
from headgate.channels.shards import read_shards
from headgate.channels.trusts import TrustSettings
from headgate.conda.attestations import Attested, TrustRoot, claimed_sidecar
from headgate.conda.content_trust import Delegation, Signatures, canonical, explain_signatures
from headgate.conda.names import ArtifactName, Sha256, Subdir, package_of
from headgate.conda.records import Record
from headgate.conda.shards import Shard, decode_stored
from headgate.db import tables, tables_signatures
from headgate.db.engine import Database, advance_epoch, chunks, insert
from headgate.intake.trusting import Belief
from headgate.kernel.errors import HeadgateError, Invalid
from headgate.policy.proofs import ProofState

_BATCH = 1_000
_AT_ONCE = 16

log = structlog.get_logger(__name__)


class SidecarReader(Protocol):
    """Reads attestations of an upstream."""

    async def read_sidecar(self, base_url: str, filename: str, digest: str) -> bytes:
        """As `UpstreamReader.read_sidecar`."""


@dataclass(slots=True)
class Found:
    """What came of it: files that somebody vouches for, of the names that were looked at.

    `has_news`: a signature is another than before.
    """

    signed: set[str] = field(default_factory=set)
    attested: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    has_news: bool = False


@dataclass(frozen=True, slots=True)
class Voucher:
    """Looks at what is stored of one subdir of one mirror; `root` None: attestations are not checked."""

    database: Database
    settings: TrustSettings
    place: int
    subdir: Subdir
    belief: Belief
    root: TrustRoot | None

    async def look(
        self, names: Collection[str], said: Mapping[str, msgspec.Raw], base_url: str, reader: SidecarReader
    ) -> Found:
        """Look at stored shards of some names; `said` has the signatures of every file of the document."""
        found = Found(names=set(names))
        grouped = _by_name(said) if self.settings.is_signed else {}
        for some in chunks(sorted(names), _BATCH):
            shards = await self._shards(some)
            found.names.update(shards)
            if self.settings.is_signed:
                await self._look_at_signatures(shards, grouped, found)
            elif said:
                found.signed |= {file for shard in shards.values() for file, _ in shard.records() if file in said}
            if self.settings.is_attested and self.root is not None:
                await self._look_at_attestations(shards, base_url, reader, found)
        return found

    async def changed_signatures(self, said: Mapping[str, msgspec.Raw], known: Collection[str]) -> set[str]:
        """Names whose signatures are others than before, though their records may be the same."""
        if not self.settings.is_signed:
            return set()
        columns = tables_signatures.source_signature.c
        async with self.database.read() as connection:
            rows = await connection.execute(
                select(columns.name, columns.body).where(columns.source_subdir_id == self.place)
            )
            kept = {row.name: row.body for row in rows}
        grouped = _by_name(said)
        return await asyncio.to_thread(_differing, grouped, kept, set(known))

    async def names_left(self, known: Collection[str]) -> set[str]:
        """Names with attestations that could not be had until now."""
        if not self.settings.is_attested or self.root is None:
            return set()
        columns = tables_signatures.attestation.c
        chosen = (columns.state == ProofState.NOT_CHECKED, columns.subdir == self.subdir)
        async with self.database.read() as connection:
            rows = await connection.execute(select(columns.package).where(*chosen))
            return set(rows.scalars()) & set(known)

    async def _shards(self, names: Collection[str]) -> dict[str, Shard]:
        columns = tables.source_shard.c
        async with self.database.read() as connection:
            rows = await connection.execute(
                select(columns.name, columns.digest).where(
                    columns.source_subdir_id == self.place, columns.name.in_(list(names))
                )
            )
            digests = {row.name: row.digest for row in rows}
            bodies = await read_shards(connection, digests.values())
        return await asyncio.to_thread(lambda: {name: decode_stored(bodies[one]) for name, one in digests.items()})

    async def _look_at_signatures(
        self, shards: Mapping[str, Shard], said: Mapping[str, Mapping[str, msgspec.Raw]], found: Found
    ) -> None:
        entries = await asyncio.to_thread(self._verified, shards, said)
        table = tables_signatures.source_signature
        chosen = (table.c.source_subdir_id == self.place, table.c.name.in_(list(shards)))
        async with self.database.write() as connection:
            before = {row.name: row.inputs for row in await connection.execute(select(table).where(*chosen))}
            gone = [name for name in before if not entries.get(name)]
            for some in chunks(gone):
                await connection.execute(
                    delete(table).where(table.c.source_subdir_id == self.place, table.c.name.in_(some))
                )
            is_new = bool(gone)
            for name, those in entries.items():
                if not those:
                    continue
                body = pack_entries(those)
                inputs = hashlib.sha256(msgspec.msgpack.encode(those)).digest()
                if before.get(name) == inputs:
                    continue
                is_new = True
                row = insert(connection, table).values(source_subdir_id=self.place, name=name, inputs=inputs, body=body)
                changed = {key: row.excluded[key] for key in ("inputs", "body")}
                await connection.execute(
                    row.on_conflict_do_update(index_elements=["source_subdir_id", "name"], set_=changed)
                )
            if is_new:
                found.has_news = True
                await advance_epoch(connection, TOPIC)
        found.signed |= {
            one.filename for those in entries.values() for one in those if one.state is ProofState.VERIFIED
        }

    def _verified(
        self, shards: Mapping[str, Shard], said: Mapping[str, Mapping[str, msgspec.Raw]]
    ) -> dict[str, list[SignatureEntry]]:
        return {
            name: [
                self._verify(filename, record, said[name][filename])
                for filename, record in shard.records()
                if filename in said.get(name, ())
            ]
            for name, shard in shards.items()
        }

    def _verify(self, filename: str, record: Record, raw: msgspec.Raw) -> SignatureEntry:
        digest = record_digest(record)
        if self.belief.trust is None:
            return SignatureEntry(filename, digest, ProofState.INVALID, self.belief.failure)
        try:
            signatures = msgspec.json.decode(raw, type=dict[str, dict[str, object]])
        except (ValueError, RecursionError):
            return SignatureEntry(filename, digest, ProofState.INVALID, "its signatures make no sense")
        return judge_record(filename, record, digest, signatures, self.belief.trust.signers)

    async def _look_at_attestations(
        self, shards: Mapping[str, Shard], base_url: str, reader: SidecarReader, found: Found
    ) -> None:
        claims = {
            (filename, record["sha256"].hex(), sidecar)
            for shard in shards.values()
            for filename, record in shard.records()
            if (sidecar := claimed_sidecar(record)) and isinstance(record.get("sha256"), bytes)
        }
        if not claims:
            return
        assert self.root is not None
        columns = tables_signatures.attestation.c
        known: dict[tuple[str, str, str], str] = {}
        async with self.database.read() as connection:
            for some in chunks(sorted(shards)):
                rows = await connection.execute(
                    select(tables_signatures.attestation).where(
                        columns.package.in_(some), columns.root == self.root.key
                    )
                )
                known |= {(row.filename, row.sha256, row.sidecar): row.state for row in rows}
        slots = asyncio.Semaphore(_AT_ONCE)
        wanted = sorted(claims - known.keys())
        for some_claims in (wanted[at : at + _BATCH] for at in range(0, len(wanted), _BATCH)):
            checked = await asyncio.gather(*(self._check(slots, reader, base_url, *claim) for claim in some_claims))
            async with self.database.write() as connection:
                for one in filter(None, checked):
                    await save_attestation(connection, one)
                    known[one.artifact.filename, one.sha256, one.sidecar] = one.state
        found.attested |= {claim[0] for claim in claims if known.get(claim) == ProofState.VERIFIED}

    async def _check(
        self, slots: asyncio.Semaphore, reader: SidecarReader, base_url: str, filename: str, sha256: str, sidecar: str
    ) -> Checked | None:
        assert self.root is not None
        async with slots:
            try:
                artifact = ArtifactName.parse(filename)
            except Invalid:
                return None
            try:
                async with self.database.read() as connection:
                    body = await find_sidecar(connection, sidecar)
                if body is None:
                    body = await reader.read_sidecar(base_url, filename, sidecar)
            except HeadgateError as error:
                log.warning("attestations_missing", file=filename, code=error.code, reason=error.message)
                # With no root: what could not be had is asked for again.
                missing = Attested(reason=error.message)
                return Checked(artifact, self.subdir, sha256, sidecar, None, missing, "")
            attested = await self.root.verify(artifact, self.subdir, Sha256(sha256), body)
            return Checked(artifact, self.subdir, sha256, sidecar, body, attested, self.root.key)


def judge_record(
    filename: str, record: Record, digest: bytes, signatures: Signatures, wanted: Delegation
) -> SignatureEntry:
    """What signatures prove of a record; the stamp that it bears may be its own, and signed with it, or ours."""
    reason = ""
    for has_stamp in (False, True) if "indexed_timestamp" in record else (False,):
        message = canonical(signed_form(record, has_stamp=has_stamp))
        signers, reason = explain_signatures(message, signatures, wanted)
        if not reason:
            kept = {key: dict(value) for key, value in signatures.items()}
            return SignatureEntry(filename, digest, ProofState.VERIFIED, "", tuple(sorted(signers)), has_stamp, kept)
    return SignatureEntry(filename, digest, ProofState.INVALID, reason, signatures=_plain(signatures))


def _plain(signatures: Signatures) -> dict[str, dict[str, object]]:
    return {key: dict(value) for key, value in signatures.items()}


def _by_name(said: Mapping[str, msgspec.Raw]) -> dict[str, dict[str, msgspec.Raw]]:
    found: dict[str, dict[str, msgspec.Raw]] = {}
    for filename, raw in said.items():
        if filename.count("-") >= 2:
            found.setdefault(package_of(filename), {})[filename] = raw
    return found


def _differing(
    said: Mapping[str, Mapping[str, msgspec.Raw]], kept: Mapping[str, bytes], known: Collection[str]
) -> set[str]:
    """Names whose signatures differ from those that are kept."""
    return {
        name
        for name in (said.keys() | kept.keys()) & set(known)
        if dict(_told(said.get(name, {}))) != {one.filename: one.signatures for one in _entries(kept.get(name))}
    }


def _told(said: Mapping[str, msgspec.Raw]) -> Iterator[tuple[str, object]]:
    for filename, raw in said.items():
        try:
            yield filename, msgspec.json.decode(raw, type=dict[str, dict[str, object]])
        except (ValueError, RecursionError):
            yield filename, None


def _entries(body: bytes | None) -> list[SignatureEntry]:
    return [] if body is None else unpack_entries(body)

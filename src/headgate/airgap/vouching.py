"""Who vouches for what a bundle brings: found out here anew, before it lands, with nothing taken for true.

    sidecars      verified against this server's trust root                        -> attestation
    roots         the next one signed as the one before it demands, never going back -> source_trust
    signatures    verified over the records as they came, by whom the roots lead to  -> source_signature

What is not good is kept as such, with the reason, as it is for a mirror. Signatures land with the bundle.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.airgap.manifest import Manifest, Name
from headgate.airgap.papers import CarriedTrust, claims_of, decode_signatures, decode_trust
from headgate.channels.catalog import find_channel
from headgate.channels.metadata import read_trust
from headgate.channels.proofs import (
    TOPIC,
    Checked,
    SignatureEntry,
    find_sidecar,
    pack_entries,
    record_digest,
    save_attestation,
    unpack_entries,
)
from headgate.channels.revising import republish
from headgate.channels.shards import read_shards
from headgate.conda.attestations import TrustRoot
from headgate.conda.content_trust import (
    KEY_MGR,
    ROOT,
    Metadata,
    Signatures,
    Trust,
    advance_root,
    check_current,
    check_key_manager,
    parse_root,
)
from headgate.conda.names import ArtifactName, ChannelName, Sha256, Subdir
from headgate.conda.shards import Shard, decode_stored
from headgate.db import tables, tables_signatures
from headgate.db.engine import Database, advance_epoch, chunks, insert
from headgate.intake.vouching import judge_record
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, HeadgateError, Invalid
from headgate.policy.proofs import ProofState

_NAMES_AT_ONCE = 200
_MOST_SAID = 20
_CAUSE = "attestations checked"

Documents = dict[str, dict[int, bytes]]
"""What is kept of an upstream's people: kind -> version -> bytes."""


@dataclass(slots=True)
class Vouched:
    """What was found out: numbers of what is good, sentences of what is not, and the rows that land with the bundle.

    `signatures`: subdir -> name -> (what they were made from, entries), of names to write. `signed`: subdir -> every name
    that has any. `documents` None: what was known before stays.
    """

    attestations: int = 0
    verified: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)
    signatures: dict[str, dict[str, tuple[bytes, bytes]]] = field(default_factory=dict)
    signed: dict[str, set[str]] = field(default_factory=dict)
    documents: Documents | None = None

    def fail(self, sentence: str) -> None:
        """Say what is not good; not more of it than anybody reads."""
        self.failed += 1
        if len(self.failures) < _MOST_SAID:
            self.failures.append(sentence)

    async def save_trust(self, connection: AsyncConnection, source_id: int) -> None:
        """Keep the roots and the key manager."""
        if self.documents is None:
            return
        table = tables_signatures.source_trust
        await connection.execute(delete(table).where(table.c.source_id == source_id))
        rows = [
            {"source_id": source_id, "kind": kind, "version": version, "body": body, "created_at": clock.now()}
            for kind, some in self.documents.items()
            for version, body in some.items()
        ]
        if rows:
            await connection.execute(table.insert(), rows)

    async def save_signatures(self, connection: AsyncConnection, place: int, subdir: str) -> set[str]:
        """Write the rows of one subdir; the names whose signatures are others than before."""
        table = tables_signatures.source_signature
        known = select(table.c.name).where(table.c.source_subdir_id == place)
        gone = set((await connection.execute(known)).scalars()) - self.signed.get(subdir, set())
        for some in chunks(sorted(gone)):
            await connection.execute(delete(table).where(table.c.source_subdir_id == place, table.c.name.in_(some)))
        rows = [
            {"source_subdir_id": place, "name": name, "inputs": inputs, "body": body}
            for name, (inputs, body) in self.signatures.get(subdir, {}).items()
        ]
        if rows:
            row = insert(connection, table)
            changed = {key: row.excluded[key] for key in ("inputs", "body")}
            await connection.execute(
                row.on_conflict_do_update(index_elements=["source_subdir_id", "name"], set_=changed), rows
            )
        if rows or gone:
            await advance_epoch(connection, TOPIC)
        return gone | self.signatures.get(subdir, {}).keys()


@dataclass(frozen=True, slots=True)
class _Belief:
    trust: Trust | None = None
    failure: str = "the bundle brings no roots"

    @property
    def key(self) -> bytes:
        return self.failure.encode() if self.trust is None else self.trust.root.body + self.trust.key_manager.body


class Examiner:
    """Looks at the papers of one bundle, whose shards and sidecars are staged.

    `papers` has the signatures that it brings, by digest; `told` its section about roots.
    """

    def __init__(
        self, database: Database, root: TrustRoot, manifest: Manifest, papers: Mapping[str, bytes], told: bytes | None
    ) -> None:
        self._database = database
        self._root = root
        self._manifest = manifest
        self._papers = papers
        self._told = told
        self._found = Vouched()

    async def examine(self, name: ChannelName) -> Vouched:
        """Check attestations, and keep what came of it; check signatures, and give what is to be kept."""
        kept, rows = await self._read(name)
        belief = self._learn(kept)
        names: set[str] = set()
        for subdir, state in self._manifest.subdirs.items():
            entries = {name: entry for name, entry in state.names.items() if entry.paper_digests()}
            self._found.signed[subdir] = {name for name, entry in entries.items() if entry.signatures is not None}
            for some in chunks(sorted(entries), _NAMES_AT_ONCE):
                chosen = {name: entries[name] for name in some}
                names |= await self._attest(subdir, await self._shards(chosen, is_news=True))
                await self._sign(subdir, chosen, rows.get(subdir, {}), belief)
        if names:
            await republish(self._database, names, _CAUSE)
        return self._found

    async def _read(self, name: ChannelName) -> tuple[Documents, dict[str, dict[str, tuple[bytes, bytes]]]]:
        """What the channel has: documents, and subdir -> name -> (inputs, entries)."""
        rows: dict[str, dict[str, tuple[bytes, bytes]]] = {}
        async with self._database.read() as connection:
            channel = await find_channel(connection, name)
            if channel is None:
                return {}, rows
            columns, subdirs = tables_signatures.source_signature.c, tables.source_subdir.c
            statement = (
                select(subdirs.name.label("subdir"), columns.name, columns.inputs, columns.body)
                .join(tables.source_subdir, subdirs.id == columns.source_subdir_id)
                .where(subdirs.source_id == channel.sources[0].id)
            )
            for row in await connection.execute(statement):
                rows.setdefault(row.subdir, {})[row.name] = (row.inputs, row.body)
            return await read_trust(connection, channel.sources[0].id), rows

    def _learn(self, kept: Documents) -> _Belief:
        if self._told is None:
            self._found.documents = {}
            return _Belief()
        carried = decode_trust(self._told)
        try:
            # Whoever signed a full bundle says with what root to begin; an increment goes on from there.
            trust, self._found.documents = follow(carried, kept if self._manifest.chain else {})
        except HeadgateError as error:
            self._found.fail(f"Signatures: {error.message}")
            return _Belief(failure=error.message)
        return _Belief(trust, "")

    async def _shards(self, entries: Mapping[str, Name], *, is_news: bool = False) -> dict[str, Shard]:
        chosen = {
            name: bytes.fromhex(entry.shard)
            for name, entry in entries.items()
            if not is_news or entry.is_new or entry.papers
        }
        async with self._database.read() as connection:
            bodies = await read_shards(connection, chosen.values())
        gone = [name for name, digest in chosen.items() if digest not in bodies]
        if gone:
            raise Conflict(
                "bundle-state-differs",
                f"The bundle leaves {gone[0]} as it was, but this server does not have it. Take in a full bundle.",
            )
        return await asyncio.to_thread(lambda: {name: decode_stored(bodies[one]) for name, one in chosen.items()})

    async def _attest(self, subdir: str, shards: Mapping[str, Shard]) -> set[str]:
        """Verify what nobody has verified yet; the names that this is news of."""
        claims = [
            (artifact, sha256, sidecar)
            for shard in shards.values()
            for sidecar, files in claims_of(shard).items()
            for artifact, sha256 in files
        ]
        if not claims:
            return set()
        states = await self._known(shards)
        checked = []
        for artifact, sha256, sidecar in claims:
            key = (artifact.filename, sha256, sidecar)
            if key not in states and (one := await self._check(Subdir(subdir), artifact, sha256, sidecar)):
                checked.append(one)
                states[key] = (one.state, one.attested.reason)
            state, reason = states.get(key, (ProofState.NOT_CHECKED, "its attestations are not in the bundle"))
            if state == ProofState.VERIFIED:
                self._found.attestations += 1
            else:
                self._found.fail(f"{subdir}/{artifact}: {reason}")
        async with self._database.write() as connection:
            for one in checked:
                await save_attestation(connection, one)
        return {str(one.artifact.name) for one in checked}

    async def _known(self, names: Mapping[str, Shard]) -> dict[tuple[str, str, str], tuple[str, str]]:
        table = tables_signatures.attestation
        chosen = (table.c.package.in_(list(names)), table.c.root == self._root.key)
        async with self._database.read() as connection:
            rows = await connection.execute(select(table).where(*chosen))
            return {(row.filename, row.sha256, row.sidecar): (row.state, row.reason) for row in rows}

    async def _check(self, subdir: Subdir, artifact: ArtifactName, sha256: str, sidecar: str) -> Checked | None:
        async with self._database.read() as connection:
            body = await find_sidecar(connection, sidecar)
        if body is None:
            return None
        attested = await self._root.verify(artifact, subdir, Sha256(sha256), body)
        return Checked(artifact, subdir, sha256, sidecar, body, attested, self._root.key)

    async def _sign(
        self, subdir: str, entries: Mapping[str, Name], rows: Mapping[str, tuple[bytes, bytes]], belief: _Belief
    ) -> None:
        stale = {}
        for name, entry in entries.items():
            if entry.signatures is None:
                continue
            inputs = hashlib.sha256(f"{entry.signatures} {entry.shard} ".encode() + belief.key).digest()
            before = rows.get(name)
            if before is None or before[0] != inputs:
                stale[name] = (entry, inputs, None if before is None else before[1])
        if not stale:
            return
        shards = await self._shards({name: entry for name, (entry, _, _) in stale.items()})
        written = self._found.signatures.setdefault(subdir, {})
        for name, (entry, inputs, before_body) in stale.items():
            said = self._said(name, entry, before_body)
            judged = await asyncio.to_thread(_judged, shards[name], said, belief)
            written[name] = (inputs, pack_entries(judged))
            for one in judged:
                if one.state is ProofState.VERIFIED:
                    self._found.verified += 1
                elif belief.trust is not None:
                    self._found.fail(f"{subdir}/{one.filename}: {one.reason}")

    def _said(self, name: str, entry: Name, before: bytes | None) -> Mapping[str, Signatures]:
        assert entry.signatures is not None
        body = self._papers.get(entry.signatures)
        if body is not None:
            return decode_signatures(body)
        if before is None:
            raise Conflict(
                "bundle-state-differs",
                f"The bundle leaves the signatures of {name} as they were, but this channel has none. "
                "Take in a full bundle.",
            )
        return {one.filename: one.signatures for one in unpack_entries(before)}


def _judged(shard: Shard, said: Mapping[str, Signatures], belief: _Belief) -> list[SignatureEntry]:
    found = []
    for filename, record in shard.records():
        if filename not in said:
            continue
        digest = record_digest(record)
        if belief.trust is None:
            kept = msgspec.to_builtins(said[filename])
            found.append(SignatureEntry(filename, digest, ProofState.INVALID, belief.failure, signatures=kept))
        else:
            found.append(judge_record(filename, record, digest, said[filename], belief.trust.signers))
    return found


def follow(carried: CarriedTrust, kept: Documents) -> tuple[Trust, Documents]:
    """Whom a bundle's signatures are to be believed from, beginning with the newest root that is kept; what to keep.

    Raises Invalid `content-trust-…` for roots that do not follow it, and for metadata that are not good.
    """
    roots = [Metadata.parse(body, ROOT) for body in carried.roots]
    if not roots:
        raise Invalid("content-trust-invalid", "The bundle has no root of content trust.")
    known = dict(kept.get(ROOT, {}))
    root = parse_root(known[max(known)] if known else roots[0].body)
    _check_same(roots, known)
    for one in sorted(roots, key=lambda one: one.version):
        if one.version > root.version:
            root = advance_root(root, one.body)
    manager = check_key_manager(root, carried.key_manager)
    newest = max(kept.get(KEY_MGR, {}), default=0)
    if manager.version < newest:
        raise Invalid(
            "content-trust-invalid",
            f"The bundle has version {manager.version} of the key_mgr, and version {newest} came before.",
        )
    if not carried.accept_expired:
        check_current(root, clock.now())
        check_current(manager, clock.now())
    known |= {one.version: one.body for one in roots}
    return Trust(root, manager), {ROOT: known, KEY_MGR: kept.get(KEY_MGR, {}) | {manager.version: carried.key_manager}}


def _check_same(roots: Sequence[Metadata], known: Mapping[int, bytes]) -> None:
    for one in roots:
        if known.get(one.version, one.body) != one.body:
            raise Invalid(
                "content-trust-invalid",
                f"The bundle has another root of version {one.version} than this channel believes. "
                "If that is right, take in a full bundle.",
            )

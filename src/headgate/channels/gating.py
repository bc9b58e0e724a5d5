"""The gate where maps are made: raw shards in, digests of published shards out, name by name.

A shard of which nothing is held back keeps its digest, and most are never decoded: a quick look suffices.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.advisories.findings import Assessments
from headgate.channels.corrections import Corrections
from headgate.channels.model import Channel, Source, SourceKind
from headgate.channels.proofs import NOTHING_FOUND, NameProofs, places_behind, prove, read_proofs
from headgate.channels.shards import read_shards, save_shards
from headgate.conda.shards import Shard, decode_stored, encode_shard, merge_shards
from headgate.db import tables, tables_gate
from headgate.db.engine import chunks
from headgate.kernel.errors import Invalid
from headgate.policy.facts import Facts, Origin
from headgate.policy.gate import Gate, Judging
from headgate.policy.glance import Glance
from headgate.policy.memo import Memo
from headgate.policy.proofs import Proofs
from headgate.policy.verdicts import Evaluation, Ruling

_BATCH = 1_000
# From so many names on, a thread is worth its while.
_MANY = 20

Chain = Sequence[tuple[Source, bytes]]


@dataclass(frozen=True, slots=True)
class Note:
    """What to remember of a name: how many records each rule held back, and until when that is so."""

    held: Mapping[str, int] = field(default_factory=dict)
    valid_until: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to remember."""
        return not self.held and self.valid_until is None


@dataclass(frozen=True, slots=True)
class Passed:
    """What became of a name: the digest of what is published (None: nothing), its bytes when they are new, the note."""

    digest: bytes | None
    body: bytes | None
    note: Note


Answers = Memo[Passed]


@dataclass(frozen=True, slots=True)
class Setting:
    """What is the same for all names of one subdir while they are judged at one moment."""

    channels: Mapping[int, Channel]
    channel: Channel
    subdir: str
    gate: Gate
    book: Assessments
    corrections: Corrections
    corrected: Collection[str]
    """The names that the corrections are about."""
    now: datetime

    def origin(self, source: Source) -> Origin:
        """Where what a source brings comes from."""
        if source.kind is SourceKind.HOSTED:
            return Origin("hosted", self.channel.name, source.id)
        if source.kind is SourceKind.MEMBER:
            member = self.channels.get(source.member_id or 0)
            kind = "virtual" if member is None else member.kind.value
            return Origin(kind, str(source.member), source.id)
        if source.kind is SourceKind.BUNDLE:
            return Origin("bundle", self.channel.name, source.id)
        return Origin("mirror", str(source.name), source.id)


async def pass_names(
    connection: AsyncConnection, setting: Setting, chains: Mapping[str, Chain], answers: Answers, *, does_save: bool
) -> dict[str, Passed]:
    """Judge every name. Saves new shards, or leaves that to whoever asks again with the same `answers`."""
    found: dict[str, Passed] = {}
    told = await read_told(connection, setting, chains.keys())
    names = list(chains)
    for start in range(0, len(names), _BATCH):
        some = names[start : start + _BATCH]
        keys = {name: _key(setting, name, chains[name], told) for name in some}
        known = {name: answer for name in some if (answer := answers.find(keys[name], setting.now)) is not None}
        left = {name: chains[name] for name in some if name not in known}
        bodies = await read_shards(connection, (digest for chain in left.values() for _, digest in chain))
        if len(left) > _MANY:
            fresh = await asyncio.to_thread(_judged, setting, left, bodies, told)
        else:
            fresh = _judged(setting, left, bodies, told)
        if does_save:
            made = [one for one in (*known.values(), *fresh.values()) if one.digest is not None]
            await save_shards(connection, {one.digest: one.body for one in made if one.digest and one.body is not None})
        else:
            for name, passed in fresh.items():
                answers.keep(keys[name], passed, setting.now, passed.note.valid_until)
        found |= known | fresh
    return found


async def judge_name(
    connection: AsyncConnection, setting: Setting, name: str, chain: Chain, extra: Shard | None = None
) -> Evaluation:
    """The whole answer on one name; `extra` holds records that the sources do not list like that: yanked files."""
    return (await judge_knowing(connection, setting, name, chain, extra))[0]


async def judge_knowing(
    connection: AsyncConnection,
    setting: Setting,
    name: str,
    chain: Chain,
    extra: Shard | None = None,
    *,
    has_proofs: bool = False,
) -> tuple[Evaluation, Facts]:
    """The same, and what it was judged by; with who vouches for the files, if wanted."""
    bodies = await read_shards(connection, (digest for _, digest in chain))
    told = await read_told(connection, setting, [name], has_proofs=has_proofs)
    shard, facts = compose(setting, name, chain, bodies, told, extra)
    return setting.gate.evaluate(shard, facts, setting.now), facts


@dataclass(frozen=True, slots=True)
class Told:
    """What rules may ask about names besides their records."""

    about_of: Mapping[str, Mapping[str, Mapping[str, Any]]]
    """By name, and then by sha256."""
    owners: Mapping[str, str]
    proofs: Mapping[str, NameProofs] | None
    """None when nobody asked."""


async def read_told(
    connection: AsyncConnection, setting: Setting, names: Collection[str], *, has_proofs: bool = False
) -> Told:
    """Only what the gate's rules ask for is read, and what is known of signatures if wanted (`has_proofs`)."""
    about = await _read_about(connection, names) if setting.gate.needs_about else {}
    owners = await _read_owners(connection, names) if setting.gate.needs_owners else {}
    proofs = None
    if has_proofs or setting.gate.needs_proofs:
        proofs = await read_proofs(connection, setting.channels, setting.channel, setting.subdir, names)
    return Told(about, owners, proofs)


async def _read_about(connection: AsyncConnection, names: Collection[str]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """What archives showed: of uploads to any channel, for the same bytes are the same everywhere."""
    columns = tables.artifact.c
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for some in chunks(sorted(names)):
        statement = select(columns.package, columns.sha256, columns.about)
        statement = statement.where(columns.package.in_(some), columns.about.is_not(None))
        for row in await connection.execute(statement):
            found.setdefault(row.package, {})[row.sha256] = row.about
    return found


async def _read_owners(connection: AsyncConnection, names: Collection[str]) -> dict[str, str]:
    """Names that hosted channels have, and which channel that is."""
    shards, places, sources, channels = tables.source_shard.c, tables.source_subdir.c, tables.source.c, tables.channel.c
    statement = (
        select(shards.name, channels.name.label("channel"))
        .distinct()
        .join(tables.source_subdir, places.id == shards.source_subdir_id)
        .join(tables.source, sources.id == places.source_id)
        .join(tables.channel, channels.id == sources.channel_id)
        .where(sources.kind == SourceKind.HOSTED)
        .order_by(channels.name.desc())
    )
    if len(names) < _MANY:
        statement = statement.where(shards.name.in_(sorted(names)))
    return {row.name: row.channel for row in await connection.execute(statement)}


def _key(setting: Setting, name: str, chain: Chain, told: Told) -> tuple[Any, ...]:
    return (
        setting.channel.id, setting.subdir, name, tuple((source.id, digest) for source, digest in chain),
        setting.gate.digest, setting.book.digest(name), setting.book.newest_feed_at(), told.owners.get(name),
        tuple(sorted(told.about_of.get(name, ()))), setting.corrections.digest if name in setting.corrected else b"",
        (told.proofs or {}).get(name, NOTHING_FOUND).key,
    )  # fmt: skip


def _judged(
    setting: Setting, chains: Mapping[str, Chain], bodies: Mapping[bytes, bytes], told: Told
) -> dict[str, Passed]:
    judging = Judging(setting.gate, setting.now)
    return {name: _pass_one(setting, judging, name, chain, bodies, told) for name, chain in chains.items()}


def _pass_one(
    setting: Setting, judging: Judging, name: str, chain: Chain, bodies: Mapping[bytes, bytes], told: Told
) -> Passed:
    quick = rule_quickly(setting, [judging], name, chain, bodies, told)
    if quick is not None:
        return _quickly_passed(chain[0][1], quick[0], quick[1][0])
    shard, facts = compose(setting, name, chain, bodies, told)
    evaluation = setting.gate.evaluate(shard, facts, setting.now)
    note = Note(_counted(evaluation), evaluation.valid_until)
    if len(chain) == 1 and name not in setting.corrected and not evaluation.held_back:
        return Passed(chain[0][1], None, note)
    if evaluation.published.is_empty:
        return Passed(None, None, note)
    try:
        digest, body = encode_shard(evaluation.published)
    except Invalid:
        return Passed(None, None, note)
    return Passed(digest, body, note)


def rule_quickly(
    setting: Setting, judgings: Sequence[Judging], name: str, chain: Chain, bodies: Mapping[bytes, bytes], told: Told
) -> tuple[Glance, list[Ruling]] | None:
    """What gates say of a name of which one stored shard tells everything; None: only a close look will do."""
    if len(chain) != 1 or name in setting.corrected or name in told.about_of:
        return None
    source, digest = chain[0]
    facts = Facts(name=name, origin=setting.origin(source), owner=told.owners.get(name), book=setting.book)
    try:
        glance = Glance(bodies[digest])
        rulings = [judging.rule(glance, facts) for judging in judgings]
    except Exception:  # noqa: BLE001 - a close look holds back what it cannot judge either
        return None
    found = [one for one in rulings if one is not None]
    return (glance, found) if len(found) == len(rulings) else None


def _quickly_passed(raw: bytes, glance: Glance, ruling: Ruling) -> Passed:
    note, held = Note(_counted(ruling), ruling.valid_until), ruling.held_back
    if not held:
        return Passed(raw, None, note)
    left = glance.fragments.encode_without(held)
    return Passed(None, None, note) if left is None else Passed(*left, note)


def compose(
    setting: Setting,
    name: str,
    chain: Chain,
    bodies: Mapping[bytes, bytes],
    told: Told,
    extra: Shard | None = None,
) -> tuple[Shard, Facts]:
    """The merged and patched shard of a name, with `extra` before it, and what is known of it besides."""
    shards = [(source, decode_stored(bodies[digest])) for source, digest in chain]
    origins: dict[str, Origin] = {}
    if len(shards) > 1:
        for source, shard in reversed(shards):
            origins.update(dict.fromkeys((filename for filename, _ in shard.records()), setting.origin(source)))
    merged = shards[0][1] if len(shards) == 1 else merge_shards([shard for _, shard in shards])
    shard = merged if setting.corrections.is_empty else setting.corrections.apply(merged)
    if extra is not None:
        shard = merge_shards([extra, shard])
    shown = told.about_of.get(name, {})
    about = {
        filename: shown[digest.hex()]
        for filename, record in (shard.records() if shown else ())
        if isinstance(digest := record.get("sha256"), bytes) and digest.hex() in shown
    }
    signatures, attestations = _proofs(setting, name, chain, origins, shard, told)
    facts = Facts(
        name=name,
        origin=setting.origin(chain[0][0]) if chain else Origin("hosted", setting.channel.name),
        origins=origins,
        about=about,
        signatures=signatures,
        attestations=attestations,
        owner=told.owners.get(name),
        book=setting.book,
    )
    return shard, facts


def _proofs(
    setting: Setting, name: str, chain: Chain, origins: Mapping[str, Origin], shard: Shard, told: Told
) -> tuple[Proofs, Proofs]:
    """Who vouches for the files of a shard: signatures and attestations."""
    if told.proofs is None:
        return {}, {}
    behind = {source.id: places_behind(setting.channels, source) for source, _ in chain}
    usual = chain[0][0].id if chain else 0
    places = {
        filename: behind.get(origins[filename].source if filename in origins else usual, ())
        for filename, _ in shard.records()
    }
    return prove(told.proofs.get(name, NOTHING_FOUND), shard, places)


def _counted(ruling: Ruling) -> dict[str, int]:
    """How many records each rule holds back, and each exemption lets pass."""
    if not ruling.verdicts:
        return {}
    alike = Counter(map(id, ruling.verdicts.values()))
    counts: dict[str, int] = {}
    for key, verdict in ruling.distinct.items():
        for policy, rule in {*verdict.rules, *verdict.exemptions}:
            counts[f"{policy}/{rule}"] = counts.get(f"{policy}/{rule}", 0) + alike[key]
    return counts


async def save_notes(
    connection: AsyncConnection, subdir_id: int, names: Collection[str] | None, notes: Mapping[str, Note]
) -> None:
    """Replace what is remembered of these names (None: of all)."""
    columns = tables_gate.gate_name.c
    chosen = tables_gate.gate_name.delete().where(columns.subdir_id == subdir_id)
    if names is None:
        await connection.execute(chosen)
    else:
        for some in chunks(sorted(names)):
            await connection.execute(chosen.where(columns.name.in_(some)))
    rows = [
        {"subdir_id": subdir_id, "name": name, "valid_until": note.valid_until, "held": dict(note.held)}
        for name, note in notes.items()
        if not note.is_empty
    ]
    if rows:
        await connection.execute(tables_gate.gate_name.insert(), rows)

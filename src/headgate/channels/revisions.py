"""Publishing: sources, merged by priority, patched, past the gate, into the next revision of a subdir.

Everything happens in the caller's transaction, so readers see the old revision or the new one, never a mixture; and the
virtual channels that show this one are revised in the same transaction.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.advisories.findings import Assessments
from headgate.channels.catalog import TOPIC, read_channels
from headgate.channels.consistency import Broken, Ground, settle
from headgate.channels.corrections import Corrections, read_corrections
from headgate.channels.gating import Answers, Chain, Note, Passed, Setting, pass_names, save_notes
from headgate.channels.info import published_info
from headgate.channels.knowledge import assessments_at
from headgate.channels.model import Channel, ChannelKind, Source
from headgate.channels.policies import PolicyBook, read_policies
from headgate.channels.shards import read_shards, save_shards
from headgate.channels.sources import read_offers, read_published
from headgate.channels.waiting import is_frozen, let_wait
from headgate.conda.shards import decode_stored, encode_shard, merge_shards
from headgate.db import tables
from headgate.db.engine import advance_epoch, insert
from headgate.kernel import clock
from headgate.policy.gate import Gate

_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class World:
    """What publishing sees of everything else, as of its transaction."""

    channels: Mapping[int, Channel]
    policies: PolicyBook
    book: Assessments
    answers: Answers = field(default_factory=Answers)

    def gate_of(self, channel: Channel) -> Gate | None:
        """The channel's gate; None when everything passes."""
        return self.policies.gate_of(channel, has_feeds=self.book.newest_feed_at() is not None)


async def read_world(connection: AsyncConnection, answers: Answers | None = None) -> World:
    """The world as this connection sees it; `answers` were found beforehand."""
    channels = {channel.id: channel for channel in await read_channels(connection)}
    return World(channels, await read_policies(connection), await assessments_at(connection), answers or Answers())


@dataclass(frozen=True, slots=True)
class _Subdir:
    id: int
    revision: int
    info: dict[str, Any]
    gate: bytes | None


@dataclass(frozen=True, slots=True)
class _Derived:
    """What a subdir is to publish; `passed` is the gate's answer, None where there is none."""

    digests: dict[str, bytes]
    passed: Mapping[str, Passed] | None = None

    @classmethod
    def of(cls, passed: Mapping[str, Passed]) -> "_Derived":
        """What the gate let pass."""
        return cls({name: one.digest for name, one in passed.items() if one.digest is not None}, passed)

    @property
    def notes(self) -> dict[str, Note]:
        """What to remember of the names."""
        return {name: one.note for name, one in (self.passed or {}).items()}


async def publish(
    connection: AsyncConnection,
    channel_id: int,
    subdir: str,
    names: Collection[str] | None,
    cause: str,
    *,
    world: World | None = None,
) -> None:
    """Bring the published map of a subdir up to what its sources say of `names` (None: of every name).

    Makes one revision when anything differs (or the subdir is new), and revises dependent virtual channels likewise. While
    the channel is frozen it only remembers the names.
    """
    world = world or await read_world(connection)
    await _publish(connection, world, world.channels[channel_id], subdir, names, cause)
    await advance_epoch(connection, TOPIC)


async def ensure_subdir(connection: AsyncConnection, channel_id: int, subdir: str) -> int:
    """The id of a channel's subdir; made, unpublished, at the first question."""
    statement = insert(connection, tables.subdir).values(
        channel_id=channel_id, name=subdir, revision=0, revised_at=clock.now(), info={}
    )
    await connection.execute(statement.on_conflict_do_nothing(index_elements=["channel_id", "name"]))
    return (await _locked_subdir(connection, channel_id, subdir)).id


async def _publish(
    connection: AsyncConnection,
    world: World,
    channel: Channel,
    subdir: str,
    names: Collection[str] | None,
    cause: str,
) -> None:
    await ensure_subdir(connection, channel.id, subdir)
    state = await _locked_subdir(connection, channel.id, subdir)
    if await is_frozen(connection, channel.id):
        await let_wait(connection, state.id, names)
        return
    gate = world.gate_of(channel)
    derived = await _derive(connection, world, channel, subdir, names)
    others: dict[str, _Derived] = {}
    if gate is not None and channel.settings.is_hiding_broken:
        ground = _ground(connection, world, channel, gate, {subdir: state.id})
        others = await _settle(ground, subdir, names, derived)
        derived = others.pop(subdir)
        names = None if names is None else {*names, *derived.notes}
    await _take_over(connection, world, channel, subdir, names, derived, cause)
    for other, part in others.items():
        await _take_over(connection, world, channel, other, part.notes.keys(), part, cause)


async def _take_over(
    connection: AsyncConnection,
    world: World,
    channel: Channel,
    subdir: str,
    names: Collection[str] | None,
    derived: _Derived,
    cause: str,
) -> None:
    """Make a revision of what was derived, if it differs, and revise those who show it."""
    state = await _locked_subdir(connection, channel.id, subdir)
    gate = world.gate_of(channel)
    if gate is not None or state.gate is not None:
        await _note(connection, state, gate, names, derived)
    wanted = derived.digests
    current = await read_published(connection, channel.id, subdir, names)
    changes = {
        name: wanted.get(name) for name in wanted.keys() | current.keys() if wanted.get(name) != current.get(name)
    }
    info = await published_info(connection, world.channels, channel, subdir)
    if not changes and info == state.info and state.revision > 0:
        return
    await _append_revision(connection, channel.id, state, info, changes, cause)
    for dependent in world.channels.values():
        if any(source.member_id == channel.id for source in dependent.sources) or (
            subdir in dependent.subdirs and _asks_who_owns(world, channel, dependent)
        ):
            await _publish(connection, world, dependent, subdir, changes.keys(), f"{cause} in {channel.name}")


async def _settle(ground: Ground, subdir: str, names: Collection[str] | None, derived: _Derived) -> dict[str, _Derived]:
    """By subdir, what is left of what passed once everything is hidden whose dependencies cannot be had."""
    fresh = dict(derived.passed or {})
    for name in await ground.published(subdir) if names is None else names:
        fresh.setdefault(name, Passed(None, None, Note()))
    settled = await settle(ground, {subdir: fresh})
    return {one: _Derived.of(passed) for one, passed in settled.passed.items()} | (
        {} if subdir in settled.passed else {subdir: derived}
    )


def _ground(
    connection: AsyncConnection, world: World, channel: Channel, gate: Gate, more: Mapping[str, int] | None = None
) -> Ground:
    return Ground(
        connection=connection,
        answers=world.answers,
        subdirs={name: state.id for name, state in channel.subdirs.items()} | dict(more or {}),
        published=lambda subdir: read_published(connection, channel.id, subdir, None),
        chains=lambda subdir, names: read_chains(connection, channel, subdir, names),
        setting=lambda subdir: read_setting(connection, world, channel, subdir, gate),
    )


async def find_broken(connection: AsyncConnection, world: World, channel: Channel, platform: str) -> list[Broken]:
    """Records of a platform and of noarch that pass the gate, but whose dependencies it keeps out, hidden or not."""
    gate = world.gate_of(channel)
    if gate is None:
        return []
    ground = _ground(connection, world, channel, gate)
    subdirs = {name: number for name, number in ground.subdirs.items() if name in {platform, "noarch"}}
    return (await settle(replace(ground, subdirs=subdirs), {}, is_whole=True, does_save=False)).broken


def _asks_who_owns(world: World, channel: Channel, other: Channel) -> bool:
    """True when names that this channel takes or leaves count in the gate of the other."""
    if channel.kind is not ChannelKind.HOSTED or channel.id == other.id or other.kind is ChannelKind.HOSTED:
        return False
    gate = world.gate_of(other)
    return gate is not None and gate.needs_owners


async def _note(
    connection: AsyncConnection, state: _Subdir, gate: Gate | None, names: Collection[str] | None, derived: _Derived
) -> None:
    """Remember what the gate said, and which gate all names of the subdir have now passed."""
    await save_notes(connection, state.id, names, derived.notes)
    digest = None if gate is None else gate.digest
    if (names is None or state.revision == 0) and state.gate != digest:
        await connection.execute(update(tables.subdir).where(tables.subdir.c.id == state.id).values(gate=digest))


async def _locked_subdir(connection: AsyncConnection, channel_id: int, subdir: str) -> _Subdir:
    columns = tables.subdir.c
    statement = select(columns.id, columns.revision, columns.info, columns.gate).where(
        columns.channel_id == channel_id, columns.name == subdir
    )
    row = (await connection.execute(statement.with_for_update())).one()
    return _Subdir(row.id, row.revision, row.info, row.gate)


async def _append_revision(
    connection: AsyncConnection,
    channel_id: int,
    state: _Subdir,
    info: Mapping[str, Any],
    changes: Mapping[str, bytes | None],
    cause: str,
) -> None:
    number, at = state.revision + 1, clock.now()
    rows = [
        {"subdir_id": state.id, "name": name, "revision": number, "digest": digest} for name, digest in changes.items()
    ]
    if rows:
        await connection.execute(tables.entry.insert(), rows)
    await connection.execute(
        tables.revision.insert().values(
            subdir_id=state.id, number=number, created_at=at, cause=cause, changed=len(changes)
        )
    )
    await connection.execute(
        update(tables.subdir).where(tables.subdir.c.id == state.id).values(revision=number, revised_at=at, info=info)
    )
    columns = tables.channel.c
    await connection.execute(
        update(tables.channel).where(columns.id == channel_id).values(revision=columns.revision + 1)
    )


async def read_chains(
    connection: AsyncConnection, channel: Channel, subdir: str, names: Collection[str] | None
) -> dict[str, Chain]:
    """What the sources offer, by name, each in order of priority."""
    chains: dict[str, list[tuple[Source, bytes]]] = {}
    for source in channel.sources:
        for name, digest in (await read_offers(connection, source, subdir, names)).items():
            chains.setdefault(name, []).append((source, digest))
    if channel.kind is ChannelKind.VIRTUAL and channel.settings.is_hiding:
        return {name: chain[:1] for name, chain in chains.items()}
    return dict(chains)


async def read_setting(
    connection: AsyncConnection, world: World, channel: Channel, subdir: str, gate: Gate, now: datetime | None = None
) -> Setting:
    """All that is the same for the names of a subdir while they are judged."""
    corrections = await read_corrections(connection, channel.id, subdir)
    return Setting(
        channels=world.channels,
        channel=channel,
        subdir=subdir,
        gate=gate,
        book=world.book,
        corrections=corrections,
        corrected=corrections.names(),
        now=now or clock.now(),
    )


async def _derive(
    connection: AsyncConnection,
    world: World,
    channel: Channel,
    subdir: str,
    names: Collection[str] | None,
) -> _Derived:
    chains = await read_chains(connection, channel, subdir, names)
    gate = world.gate_of(channel)
    if gate is not None:
        setting = await read_setting(connection, world, channel, subdir, gate)
        passed = await pass_names(connection, setting, chains, world.answers, does_save=True)
        return _Derived.of(passed)
    corrections = await read_corrections(connection, channel.id, subdir)
    patched = corrections.names()
    as_is = {name: chain[0][1] for name, chain in chains.items() if len(chain) == 1 and name not in patched}
    composed = [name for name in chains if name not in as_is]
    for start in range(0, len(composed), _BATCH):
        some = {name: chains[name] for name in composed[start : start + _BATCH]}
        as_is |= await _compose(connection, some, corrections)
    return _Derived(as_is)


async def _compose(
    connection: AsyncConnection, chains: Mapping[str, Chain], corrections: Corrections
) -> dict[str, bytes]:
    """Merge and correct the shards of each name; the digests of what is left, stored."""
    bodies = await read_shards(connection, (digest for chain in chains.values() for _, digest in chain))
    composed: dict[str, tuple[bytes, bytes]] = {}
    for name, chain in chains.items():
        merged = merge_shards([decode_stored(bodies[digest]) for _, digest in chain])
        published = corrections.apply(merged)
        if not published.is_empty:
            composed[name] = encode_shard(published)
    await save_shards(connection, dict(composed.values()))
    return {name: digest for name, (digest, _) in composed.items()}


async def publish_all(connection: AsyncConnection, channel_id: int, cause: str) -> None:
    """Publish every subdir that the channel has or its members have, and `noarch`, which clients insist on.

    A mirror's `noarch` waits for its first sync: an empty one would be a lie.
    """
    channels = {channel.id: channel for channel in await read_channels(connection)}
    channel = channels[channel_id]
    subdirs = set(channel.subdirs) | (set() if channel.kind is ChannelKind.MIRROR else {"noarch"})
    for source in channel.sources:
        if source.member_id is not None:
            subdirs |= channels[source.member_id].subdirs.keys()
    for subdir in sorted(subdirs):
        await publish(connection, channel_id, subdir, None, cause)
    await advance_epoch(connection, TOPIC)  # there may have been nothing to publish

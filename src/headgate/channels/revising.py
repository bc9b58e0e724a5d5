"""Judging again: what a changed policy, exemption or advisory, or time alone, makes of what is published.

`subdir.gate` is the digest of the gate that all its names have passed; a subdir that has another one than its channel's
gate is stale, and stays so until somebody judges it again. So nothing has to be remembered that a crash could lose.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import String, cast, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.channels.dependencies import read_heads
from headgate.channels.gating import Answers, pass_names
from headgate.channels.model import Channel, ChannelKind
from headgate.channels.revisions import World, publish, read_chains, read_setting, read_world
from headgate.db import tables, tables_gate
from headgate.db.engine import Database
from headgate.kernel import clock
from headgate.policy.verdicts import EXEMPTION

# What so few names take is done at once, in the transaction of the change; for more there is a job.
MOST_AT_ONCE = 2_000
CAUSE = "gate: "
"""How the cause of a revision begins that the gate, and no package, made necessary."""
NamesIn = Callable[[int], Collection[str]]


@dataclass(frozen=True, slots=True)
class Stale:
    """A subdir to judge again: all its names, or (`names`) those that time has changed."""

    channel: Channel
    subdir: str
    subdir_id: int
    names: frozenset[str] | None = None


async def find_stale(connection: AsyncConnection, world: World, now: datetime | None = None) -> list[Stale]:
    """Subdirs that did not pass their channel's gate as it is now; with a moment, also names that are due by then.

    What is frozen is judged again when it is unfrozen.
    """
    columns = tables.subdir.c
    rows = (await connection.execute(select(columns.channel_id, columns.id, columns.name, columns.gate))).all()
    due: dict[int, set[str]] = {}
    if now is not None:
        notes = tables_gate.gate_name.c
        for note in await connection.execute(select(notes.subdir_id, notes.name).where(notes.valid_until <= now)):
            due.setdefault(note.subdir_id, set()).add(note.name)
    found = []
    for row in rows:
        channel = world.channels.get(row.channel_id)
        if channel is None or channel.frozen is not None:
            continue
        gate = world.gate_of(channel)
        if row.gate != (None if gate is None else gate.digest):
            found.append(Stale(channel, row.name, row.id))
        elif row.id in due:
            found.append(Stale(channel, row.name, row.id, frozenset(due[row.id])))
    # Members before those who show them.
    return sorted(found, key=lambda one: (one.channel.kind is ChannelKind.VIRTUAL, one.channel.name, one.subdir))


async def revise_now_or_later(connection: AsyncConnection, cause: str) -> None:
    """After a change of policies, in its transaction: judge again what is stale, unless that is too much."""
    world = await read_world(connection)
    stale = await find_stale(connection, world)
    if await _count_names(connection, stale) > MOST_AT_ONCE:
        return
    for one in stale:
        await publish(connection, one.channel.id, one.subdir, None, f"{CAUSE}{cause}", world=world)


async def revise_names(connection: AsyncConnection, before: World, names_in: NamesIn, cause: str) -> None:
    """The same after a change that can only concern some names of each subdir (by its id); `before`: the world until then.

    Subdirs that were stale already, and those in which too many names are concerned, are left to the job.
    """
    world = await read_world(connection)
    columns = tables.subdir.c
    for one in await find_stale(connection, world):
        gate, old = world.gate_of(one.channel), before.gate_of(one.channel)
        known = (await connection.execute(select(columns.gate).where(columns.id == one.subdir_id))).scalar_one()
        names = names_in(one.subdir_id)
        if gate is None or old is None or known != old.digest or len(names) > MOST_AT_ONCE:
            continue
        if names:
            await publish(connection, one.channel.id, one.subdir, names, f"{CAUSE}{cause}", world=world)
        await connection.execute(update(tables.subdir).where(columns.id == one.subdir_id).values(gate=gate.digest))


async def revise_subdir(database: Database, channel_name: str, subdir: str) -> int:
    """Judge again what is stale in one subdir; how many names that were.

    The work is done before the transaction that publishes it, so that the database is not locked meanwhile. Raises
    nothing when the channel is gone.
    """
    answers = Answers()
    async with database.read() as connection:
        world = await read_world(connection, answers)
        stale = _of(await find_stale(connection, world, clock.now()), channel_name, subdir)
        if stale is None:
            return 0
        gate = world.gate_of(stale.channel)
        chains = await read_chains(connection, stale.channel, subdir, stale.names)
        if gate is not None:
            setting = await read_setting(connection, world, stale.channel, subdir, gate)
            await pass_names(connection, setting, chains, answers, does_save=False)
            if stale.channel.settings.is_hiding_broken:
                await read_heads(connection, {digest for chain in chains.values() for _, digest in chain})
    async with database.write() as connection:
        world = await read_world(connection, answers)
        stale = _of(await find_stale(connection, world, clock.now()), channel_name, subdir)
        if stale is not None:
            cause = "policies changed" if stale.names is None else "a waiting time or an exemption ended"
            await publish(connection, stale.channel.id, subdir, stale.names, f"{CAUSE}{cause}", world=world)
    return len(chains)


async def republish(database: Database, names: Collection[str], cause: str) -> None:
    """Judge some names again wherever there is a gate: what is known of them has changed."""
    async with database.read() as connection:
        world = await read_world(connection)
    for channel in sorted(world.channels.values(), key=lambda one: one.kind is ChannelKind.VIRTUAL):
        if world.gate_of(channel) is None:
            continue
        for subdir in sorted(channel.subdirs):
            async with database.write() as connection:
                now = await read_world(connection)
                if channel.id in now.channels:
                    await publish(connection, channel.id, subdir, names, f"{CAUSE}{cause}", world=now)


@dataclass(frozen=True, slots=True)
class Standing:
    """How the gate stands: records held back by (channel, `policy/rule`), and `channel/subdir` of what is stale."""

    held: dict[tuple[str, str], int]
    pending: list[str]

    @property
    def stale(self) -> int:
        """How many subdirs are."""
        return len(self.pending)


async def read_standing(database: Database, world: World | None = None) -> Standing:
    """For whoever watches the server; `world` is what this process knows of channels and policies, if it does."""
    notes, subdirs, channels = tables_gate.gate_name.c, tables.subdir.c, tables.channel.c
    statement = (
        select(channels.name, notes.held)
        .join(tables.subdir, subdirs.id == notes.subdir_id)
        .join(tables.channel, channels.id == subdirs.channel_id)
        .where(cast(notes.held, String) != "{}")  # a rule that waits notes every name
    )
    held: dict[tuple[str, str], int] = {}
    async with database.read() as connection:
        for row in await connection.execute(statement):
            for rule, number in row.held.items():
                if not rule.startswith(f"{EXEMPTION}/"):
                    held[row.name, rule] = held.get((row.name, rule), 0) + number
        pending = await read_pending(connection, world)
    return Standing(held, pending)


async def read_pending(connection: AsyncConnection, world: World | None = None) -> list[str]:
    """`channel/subdir` of what is still to be judged again after a change."""
    stale = await find_stale(connection, world or await read_world(connection))
    return [f"{one.channel.name}/{one.subdir}" for one in stale]


def _of(stale: Collection[Stale], channel: str, subdir: str) -> Stale | None:
    return next((one for one in stale if one.channel.name == channel and one.subdir == subdir), None)


async def _count_names(connection: AsyncConnection, stale: Collection[Stale]) -> int:
    """How many names are published or noted there: a bound for the work, not an exact number."""
    ids = [one.subdir_id for one in stale]
    entries, notes = tables.entry.c, tables_gate.gate_name.c
    published = await connection.execute(
        select(func.count()).select_from(tables.entry).where(entries.subdir_id.in_(ids))
    )
    noted = await connection.execute(
        select(func.count()).select_from(tables_gate.gate_name).where(notes.subdir_id.in_(ids))
    )
    return int(published.scalar_one()) + int(noted.scalar_one())

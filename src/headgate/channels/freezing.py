"""Freezing: a channel whose index stands still, whatever is uploaded, promoted, synced or judged meanwhile.

    (thawed) --freeze--> frozen --unfreeze--> (thawed)

Unfreezing publishes all that waited: at most one revision per subdir, in the transaction that unfreezes.
"""

from collections.abc import Mapping

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.audit.events import Action, record
from headgate.channels.catalog import TOPIC, get_channel
from headgate.channels.gating import Answers, pass_names
from headgate.channels.model import Channel
from headgate.channels.revisions import World, publish, read_chains, read_setting, read_world
from headgate.channels.waiting import count_waiting, take_waiting
from headgate.db import tables
from headgate.db.engine import Database, advance_epoch
from headgate.kernel import clock
from headgate.kernel.errors import Conflict


class FreezeService:
    """Freezes and unfreezes channels."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def freeze(self, actor: str, name: str, why: str = "") -> None:
        """Let a channel's index stand still. Raises NotFound `channel-unknown`, Conflict `channel-frozen`."""
        async with self._database.write() as connection:
            channel = await get_channel(connection, name)
            await _lock_subdirs(connection, channel.id)
            await require_thawed(connection, name)
            await _set(connection, channel.id, frozen_at=clock.now(), frozen_by=actor, frozen_why=why)
            await record(connection, Action.CHANNEL_FREEZE, actor, channel=name, comment=why)
            await advance_epoch(connection, TOPIC)

    async def unfreeze(self, actor: str, name: str, comment: str = "") -> None:
        """Let it move again, and publish what waited.

        Raises NotFound `channel-unknown`, Conflict `channel-thawed`.
        """
        answers = await self._judge_beforehand(name)
        async with self._database.write() as connection:
            channel = await get_channel(connection, name)
            subdirs = await _lock_subdirs(connection, channel.id)
            if (await get_channel(connection, name)).frozen is None:
                raise Conflict("channel-thawed", f"Channel {name} is not frozen.")
            await _set(connection, channel.id, frozen_at=None, frozen_by=None, frozen_why=None)
            world = await read_world(connection, answers)
            for subdir, (number, gate) in subdirs.items():
                names = await take_waiting(connection, number)
                if is_every_name(world, channel, gate):
                    names = None
                await publish(connection, channel.id, subdir, names, "channel unfrozen", world=world)
            await record(connection, Action.CHANNEL_UNFREEZE, actor, channel=name, comment=comment)
            await advance_epoch(connection, TOPIC)

    async def waiting(self, channel: Channel) -> Mapping[str, int | None]:
        """How many names wait, by subdir; None: every name."""
        async with self._database.read() as connection:
            return await count_waiting(connection, channel.id)

    async def _judge_beforehand(self, name: str) -> Answers:
        """What the gate will be asked, asked before the transaction that locks the database."""
        answers = Answers()
        async with self._database.read() as connection:
            world = await read_world(connection, answers)
            channel = await get_channel(connection, name)
            gate = world.gate_of(channel)
            for subdir in channel.subdirs if gate is not None and channel.frozen is not None else ():
                chains = await read_chains(connection, channel, subdir, None)
                setting = await read_setting(connection, world, channel, subdir, gate) if gate else None
                if setting is not None:
                    await pass_names(connection, setting, chains, answers, does_save=False)
        return answers


def is_every_name(world: World, channel: Channel, gate: bytes | None) -> bool:
    """Whether every name has to be looked at: where there is a gate, or was, time and advisories went on."""
    return gate is not None or world.gate_of(channel) is not None


async def require_thawed(connection: AsyncConnection, name: str) -> None:
    """Raises Conflict `channel-frozen`, NotFound `channel-unknown`."""
    channel = await get_channel(connection, name)
    if channel.frozen is not None:
        raise Conflict(
            "channel-frozen",
            f"Channel {name} is frozen by {channel.frozen.by} since {channel.frozen.at:%Y-%m-%d %H:%M} UTC"
            f"{f': {channel.frozen.why}' if channel.frozen.why else ''}. Unfreeze it first.",
        )


async def _lock_subdirs(connection: AsyncConnection, channel_id: int) -> dict[str, tuple[int, bytes | None]]:
    """(id, digest of the gate passed) by name; whoever publishes waits, and then sees what was decided here."""
    columns = tables.subdir.c
    statement = select(columns.name, columns.id, columns.gate).where(columns.channel_id == channel_id)
    rows = await connection.execute(statement.order_by(columns.id).with_for_update())
    return {row.name: (row.id, row.gate) for row in rows}


async def _set(connection: AsyncConnection, channel_id: int, **values: object) -> None:
    await connection.execute(update(tables.channel).where(tables.channel.c.id == channel_id).values(values))

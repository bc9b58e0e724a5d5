"""Creating, changing and deleting channels; each change one transaction with its audit event."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.granting import remove_grants_of
from headgate.access.tokens import narrow_tokens
from headgate.audit.events import Action, record
from headgate.channels.catalog import TOPIC, get_channel, read_channels
from headgate.channels.mirror_service import follow
from headgate.channels.mirrors import Mirror
from headgate.channels.model import Channel, ChannelKind, ChannelSettings, Privacy, SourceKind
from headgate.channels.outdating import outdate_documents
from headgate.channels.revisions import publish, publish_all
from headgate.channels.signing import require_keys
from headgate.channels.sources import add_source, forget_fingerprints
from headgate.conda.names import ChannelName, Subdir
from headgate.db import tables
from headgate.db.engine import Database, advance_epoch
from headgate.db.sealing import Sealer
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, Invalid

# What follows a channel's name in a path of the API cannot end it; the long ones have more behind them.
_NOUNS = frozenset(
    {
        "affected",
        "artifacts",
        "batches",
        "unsatisfiable",
        "coverage",
        "exports",
        "fetch",
        "freeze",
        "imports",
        "patches",
        "mirror",
        "mirrors",
        "packages",
        "retention",
        "revisions",
        "rollback",
        "sync",
        "unfreeze",
        "waiting",
        "why",
    }
)
_LONG_NOUNS = frozenset({"artifacts", "batches", "exports", "imports", "mirrors", "packages", "patches", "rollback"})
# Kinds whose one source comes with the channel.
_OWN_SOURCES = {ChannelKind.HOSTED: SourceKind.HOSTED, ChannelKind.BUNDLE: SourceKind.BUNDLE}


class ChannelService:
    """Writes channels and their sources."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def create(
        self,
        actor: str,
        name: ChannelName,
        kind: ChannelKind,
        *,
        privacy: Privacy = Privacy.PRIVATE,
        settings: ChannelSettings | None = None,
        members: Sequence[ChannelName] = (),
        mirrors: Sequence[Mirror] = (),
    ) -> None:
        """Add a channel, with a `noarch` at once unless it is a mirror. Members only, and at least one, for a virtual channel.

        Raises Conflict `channel-exists`, NotFound `channel-unknown` (a member), Invalid `members-misplaced` or
        `channel-name-invalid`, and what `MirrorService.add` raises.
        """
        try:
            async with self._database.write() as connection:
                number = await create_channel(
                    connection, actor, name, kind, privacy=privacy, settings=settings, members=members
                )
                for mirror in mirrors:
                    await follow(connection, self._sealer, actor, name, mirror)
                await publish_all(connection, number, "channel created")
        except IntegrityError as error:
            raise Conflict("channel-exists", f"There is already a channel {name}.") from error

    async def set(
        self,
        actor: str,
        name: ChannelName,
        *,
        privacy: Privacy | None = None,
        settings: dict[str, Any] | None = None,
        members: Sequence[ChannelName] | None = None,
    ) -> None:
        """Change what is given, leave the rest.

        Raises NotFound `channel-unknown`, Invalid `setting-invalid`, Conflict `signing-missing`.
        """
        async with self._database.write() as connection:
            channel = await get_channel(connection, name)
            changed: dict[str, Any] = {}
            if privacy is not None:
                changed["privacy"] = privacy
            if settings:
                changed["settings"] = _merged_settings(channel.settings, settings)
                if changed["settings"]["is_keeping_cached"] != channel.settings.is_keeping_cached:
                    await forget_fingerprints(connection, [source.id for source in channel.sources])
                if changed["settings"]["is_signing"] != channel.settings.is_signing:
                    await _sign_or_not(connection, channel, is_signing=changed["settings"]["is_signing"])
            if changed:
                chosen = tables.channel.c.id == channel.id
                await connection.execute(update(tables.channel).where(chosen).values(changed))
            if members is not None:
                if channel.kind is not ChannelKind.VIRTUAL:
                    raise Invalid(
                        "members-misplaced", f"Channel {name} is {channel.kind}; only virtual ones have members."
                    )
                await _set_members(connection, channel.id, members)
                changed["members"] = list(members)
            await record(connection, Action.CHANNEL_SET, actor, channel=name, **changed)
            await publish_all(connection, channel.id, "channel settings changed")

    async def delete(self, actor: str, name: ChannelName) -> None:
        """Delete a channel with all it lists, and what grants and tokens say of it by name.

        Bytes nobody else lists go at the next clean-up.

        Raises NotFound `channel-unknown`, Conflict `channel-in-use` while a virtual channel shows it.
        """
        async with self._database.write() as connection:
            channels = await read_channels(connection)
            channel = await get_channel(connection, name)
            users = [one.name for one in channels if any(source.member_id == channel.id for source in one.sources)]
            if users:
                raise Conflict(
                    "channel-in-use", f"Channel {name} is a member of {', '.join(users)}. Remove it there first."
                )
            await connection.execute(delete(tables.channel).where(tables.channel.c.id == channel.id))
            await record(connection, Action.CHANNEL_DELETE, actor, channel=name, kind=channel.kind)
            # The next channel of this name is another one: what opened this one must not open that.
            if await remove_grants_of(connection, actor, name) + await narrow_tokens(connection, actor, name):
                await advance_epoch(connection, "access")
            await advance_epoch(connection, TOPIC)

    async def note_wish(self, actor: str, wish: Action, name: ChannelName, **detail: Any) -> None:
        """Write down that somebody asks for a job of a mirror; the job is not of this database, and comes after."""
        async with self._database.write() as connection:
            await record(connection, wish, actor, channel=name, **detail)

    async def open_subdir(self, channel: Channel, subdir: Subdir) -> None:
        """See to it that the channel has the subdir, if only an empty one."""
        async with self._database.write() as connection:
            columns = tables.subdir.c
            chosen = select(columns.id).where(columns.channel_id == channel.id, columns.name == subdir)
            if (await connection.execute(chosen)).first() is not None:
                return
            await record(connection, Action.CHANNEL_OPEN_SUBDIR, "headgate", channel=channel.name, subject=subdir)
            await publish(connection, channel.id, subdir, set(), "subdir opened")


async def create_channel(
    connection: AsyncConnection,
    actor: str,
    name: ChannelName,
    kind: ChannelKind,
    *,
    privacy: Privacy = Privacy.PRIVATE,
    settings: ChannelSettings | None = None,
    members: Sequence[ChannelName] = (),
) -> int:
    """Add an unpublished channel in the open transaction; its id. Raises as `ChannelService.create` does."""
    _check_name(name)
    if bool(members) != (kind is ChannelKind.VIRTUAL):
        raise Invalid("members-misplaced", "A virtual channel needs members, in order; no other kind has any.")
    values = {
        "name": name,
        "kind": kind,
        "privacy": privacy,
        "settings": msgspec.to_builtins(settings or ChannelSettings()),
        "revision": 0,
        "created_at": clock.now(),
    }
    made = await connection.execute(tables.channel.insert().values(values).returning(tables.channel.c.id))
    number: int = made.scalar_one()
    if settings is not None and settings.is_signing:
        await require_keys(connection)
    if kind in _OWN_SOURCES:
        await add_source(connection, number, _OWN_SOURCES[kind])
    await _set_members(connection, number, members)
    await record(connection, Action.CHANNEL_CREATE, actor, channel=name, kind=kind, privacy=privacy)
    return number


async def _sign_or_not(connection: AsyncConnection, channel: Channel, *, is_signing: bool) -> None:
    if is_signing:
        await require_keys(connection)
    await outdate_documents(connection, channel.id)


async def _set_members(connection: AsyncConnection, channel_id: int, members: Sequence[ChannelName]) -> None:
    await connection.execute(
        delete(tables.source).where(tables.source.c.channel_id == channel_id, tables.source.c.kind == SourceKind.MEMBER)
    )
    for member in members:
        found = await get_channel(connection, member)
        if await _shows(connection, found.id, channel_id):
            raise Invalid("members-circular", f"Channel {member} shows this channel itself, or is it.")
        await add_source(connection, channel_id, SourceKind.MEMBER, member_id=found.id)


async def _shows(connection: AsyncConnection, channel_id: int, other_id: int) -> bool:
    """True when the channel is `other_id`, or has it among its members at any depth."""
    channels = {channel.id: channel for channel in await read_channels(connection)}
    waiting = [channel_id]
    while waiting:
        number = waiting.pop()
        if number == other_id:
            return True
        waiting.extend(source.member_id for source in channels[number].sources if source.member_id is not None)
    return False


def _merged_settings(old: ChannelSettings, changes: dict[str, Any]) -> dict[str, Any]:
    try:
        merged = msgspec.convert({**msgspec.to_builtins(old), **changes}, ChannelSettings)
    except msgspec.ValidationError as error:
        raise Invalid("setting-invalid", f"A channel setting is wrong: {error}.") from error
    values: dict[str, Any] = msgspec.to_builtins(merged)
    return values


def _check_name(name: ChannelName) -> None:
    components = name.split("/")
    taken = _NOUNS.intersection(components[-1:]) | _LONG_NOUNS.intersection(components)
    if taken:
        raise Invalid("channel-name-invalid", f"{name!r} is not a channel name: the part {min(taken)!r} is taken.")

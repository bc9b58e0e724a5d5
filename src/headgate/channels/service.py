"""Creating, changing and deleting channels; each change one transaction with its audit event."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.granting import remove_grants_of
from headgate.access.tokens import narrow_tokens
from headgate.audit.events import Action, record
from headgate.channels.catalog import TOPIC, get_channel, read_channels
from headgate.channels.model import Channel, ChannelKind, ChannelSettings, Privacy, Source, SourceKind
from headgate.channels.revisions import ensure_subdir, publish
from headgate.channels.sources import forget_fingerprints
from headgate.conda.names import ChannelName, Subdir
from headgate.conda.patches import PatchInstructions
from headgate.db import tables
from headgate.db.engine import Database, advance_epoch
from headgate.http.masking import mask_url
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, Invalid, NotFound

# What follows a channel's name in a path of the API cannot end it; the first two have more behind them.
_NOUNS = frozenset({"artifacts", "patches", "mirror", "revisions", "sync", "upstreams"})
_LONG_NOUNS = frozenset({"artifacts", "patches"})


@dataclass(frozen=True, slots=True)
class Upstream:
    """What a mirror is to follow; `subdirs` None: every subdir a client asks for."""

    url: str
    subdirs: Sequence[Subdir] | None = None


class ChannelService:
    """Writes channels and their sources."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        actor: str,
        name: ChannelName,
        kind: ChannelKind,
        *,
        privacy: Privacy = Privacy.PRIVATE,
        settings: ChannelSettings | None = None,
        members: Sequence[ChannelName] = (),
        upstreams: Sequence[Upstream] = (),
    ) -> None:
        """Add a channel, with a `noarch` at once unless it is a mirror. Members only, and at least one, for a virtual channel.

        Raises Conflict `channel-exists`, NotFound `channel-unknown` (a member), Invalid `members-misplaced` or
        `channel-name-invalid`, and what `add_upstream` raises.
        """
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
        try:
            async with self._database.write() as connection:
                made = await connection.execute(tables.channel.insert().values(values).returning(tables.channel.c.id))
                number = made.scalar_one()
                if kind is ChannelKind.HOSTED:
                    await _add_source(connection, number, SourceKind.HOSTED)
                await _set_members(connection, number, members)
                await record(connection, Action.CHANNEL_CREATE, actor, channel=name, kind=kind, privacy=privacy)
                for upstream in upstreams:
                    await _follow(connection, actor, name, upstream)
                await _publish_all(connection, number, "channel created")
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
        """Change what is given, leave the rest. Raises NotFound `channel-unknown`, Invalid `setting-invalid`."""
        async with self._database.write() as connection:
            channel = await get_channel(connection, name)
            changed: dict[str, Any] = {}
            if privacy is not None:
                changed["privacy"] = privacy
            if settings:
                changed["settings"] = _merged_settings(channel.settings, settings)
                if changed["settings"]["is_keeping_cached"] != channel.settings.is_keeping_cached:
                    await forget_fingerprints(connection, [source.id for source in channel.sources])
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
            await _publish_all(connection, channel.id, "channel settings changed")

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

    async def add_upstream(
        self, actor: str, name: ChannelName, url: str, subdirs: Sequence[Subdir] | None = None
    ) -> None:
        """Give a mirror another upstream, behind those it has. `subdirs` None: every subdir a client asks for.

        Raises NotFound `channel-unknown`, Conflict `kind-unfit` or `upstream-exists`, Invalid `url-invalid`.
        """
        async with self._database.write() as connection:
            await _follow(connection, actor, name, Upstream(url, subdirs))
            await advance_epoch(connection, TOPIC)

    async def remove_upstream(self, actor: str, name: ChannelName, url: str | None = None) -> None:
        """Stop following an upstream (the only one when `url` is None); its records leave the index.

        Raises NotFound `upstream-unknown`, Conflict `upstream-ambiguous`.
        """
        async with self._database.write() as connection:
            channel = await get_channel(connection, name)
            found = [one for one in channel.sources if one.kind is SourceKind.UPSTREAM and _is_meant(one, url)]
            if not found:
                raise NotFound("upstream-unknown", f"Channel {name} has no such upstream.")
            if len(found) > 1:
                raise Conflict("upstream-ambiguous", f"Channel {name} has {len(found)} upstreams; say which URL.")
            await connection.execute(delete(tables.source).where(tables.source.c.id == found[0].id))
            await record(connection, Action.MIRROR_REMOVE, actor, channel=name, subject=mask_url(found[0].url or ""))
            await _publish_all(connection, channel.id, "upstream removed")

    async def note_wish_for_sync(self, actor: str, name: ChannelName, subdirs: Sequence[Subdir] | None) -> None:
        """Write down that somebody asks for a sync; the job is not of this database, and comes after."""
        async with self._database.write() as connection:
            wanted = None if subdirs is None else sorted(subdirs)
            await record(connection, Action.MIRROR_ASK_SYNC, actor, channel=name, subdirs=wanted)

    async def open_subdir(self, channel: Channel, subdir: Subdir) -> None:
        """See to it that the channel has the subdir, if only an empty one."""
        async with self._database.write() as connection:
            await publish(connection, channel.id, subdir, set(), "subdir opened")

    async def patch(self, actor: str, name: ChannelName, subdir: Subdir, document: bytes) -> None:
        """Replace a subdir's patch instructions (`{}`: none) and publish what they change.

        Raises NotFound `channel-unknown`, Invalid `patch-invalid`.
        """
        new = PatchInstructions.parse(document)
        async with self._database.write() as connection:
            channel = await get_channel(connection, name)
            number = await ensure_subdir(connection, channel.id, subdir)
            columns = tables.subdir.c
            old = (await connection.execute(select(columns.patch).where(columns.id == number))).scalar_one()
            await connection.execute(update(tables.subdir).where(columns.id == number).values(patch=document))
            touched = new.names() | PatchInstructions.parse(old or b"{}").names()
            await record(connection, Action.CHANNEL_PATCH, actor, channel=name, subject=subdir, names=len(touched))
            await publish(connection, channel.id, subdir, touched, "patch instructions changed")

    async def get_patch(self, channel: Channel, subdir: Subdir) -> bytes:
        """The subdir's patch instructions as they were given."""
        columns = tables.subdir.c
        async with self._database.read() as connection:
            found = await connection.execute(
                select(columns.patch).where(columns.channel_id == channel.id, columns.name == subdir)
            )
            return found.scalar_one_or_none() or b'{"patch_instructions_version":1}'


async def _follow(connection: AsyncConnection, actor: str, name: ChannelName, upstream: Upstream) -> None:
    _check_url(upstream.url)
    channel = await get_channel(connection, name)
    if channel.kind is not ChannelKind.MIRROR:
        raise Conflict("kind-unfit", f"Channel {name} is {channel.kind}; only mirrors have upstreams.")
    if any(source.url == upstream.url for source in channel.sources):
        raise Conflict("upstream-exists", f"Channel {name} already follows {mask_url(upstream.url)}.")
    await _add_source(connection, channel.id, SourceKind.UPSTREAM, url=upstream.url, subdirs=upstream.subdirs)
    await record(connection, Action.MIRROR_ADD, actor, channel=name, subject=mask_url(upstream.url))


def _is_meant(source: Source, url: str | None) -> bool:
    """Whether `url` names the upstream: as it was given, as it is shown, or not at all."""
    return url is None or url in {source.url, mask_url(source.url or "")}


async def _add_source(connection: AsyncConnection, channel_id: int, kind: SourceKind, **values: Any) -> None:
    columns = tables.source.c
    last = await connection.execute(select(func.max(columns.position)).where(columns.channel_id == channel_id))
    position = (last.scalar_one_or_none() or 0) + 1
    await connection.execute(
        tables.source.insert().values(
            channel_id=channel_id, kind=kind, position=position, created_at=clock.now(), **values
        )
    )


async def _set_members(connection: AsyncConnection, channel_id: int, members: Sequence[ChannelName]) -> None:
    await connection.execute(
        delete(tables.source).where(tables.source.c.channel_id == channel_id, tables.source.c.kind == SourceKind.MEMBER)
    )
    for member in members:
        found = await get_channel(connection, member)
        if await _shows(connection, found.id, channel_id):
            raise Invalid("members-circular", f"Channel {member} shows this channel itself, or is it.")
        await _add_source(connection, channel_id, SourceKind.MEMBER, member_id=found.id)


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


async def _publish_all(connection: AsyncConnection, channel_id: int, cause: str) -> None:
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


def _check_url(url: str) -> None:
    if not url.startswith(("http://", "https://", "file:///")) or any(c.isspace() or ord(c) < 32 for c in url):
        raise Invalid("url-invalid", f"{mask_url(url)} is not an http, https or file URL of a channel.")

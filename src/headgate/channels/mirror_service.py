"""Adding, changing and removing the mirrors of a channel; each change one transaction with its audit event."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.audit.events import Action, record
from headgate.channels.authorities import check_known
from headgate.channels.catalog import TOPIC, get_channel
from headgate.channels.mirrors import FIRST_NAME, Mirror, changed, check, complete, differing, hide
from headgate.channels.model import Channel, ChannelKind, Source, SourceKind
from headgate.channels.revisions import publish_all
from headgate.channels.sources import add_source, forget_state
from headgate.conda.names import ChannelName
from headgate.db import tables
from headgate.db.engine import Database, advance_epoch
from headgate.db.sealing import Sealer
from headgate.http.masking import mask_url
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, NotFound


class MirrorService:
    """Writes mirrors."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def add(self, actor: str, name: ChannelName, mirror: Mirror) -> str:
        """Let a channel follow another mirror, behind those it has; the mirror's name.

        Raises NotFound `channel-unknown`, Conflict `kind-unfit` or `mirror-exists`, and what `mirrors.check` raises.
        """
        async with self._database.write() as connection:
            chosen = await follow(connection, self._sealer, actor, name, mirror)
            await advance_epoch(connection, TOPIC)
            return chosen

    async def set(self, actor: str, name: ChannelName, mirror: str, given: Mapping[str, Any]) -> None:
        """Change what is given, as `mirrors.changed` takes it, and leave the rest.

        Raises NotFound `channel-unknown` or `mirror-unknown`, Conflict `mirror-exists`, and what `changed` raises.
        """
        async with self._database.write() as connection:
            channel = await get_channel(connection, name)
            source = find_mirror(channel, mirror)
            old = mirror_of(source)
            wanted = changed(old, complete(old, source.sealed, self._sealer), given)
            _check_new(channel, wanted, source, self._sealer)
            await check_known(connection, wanted.settings.network.ca)
            shown, sealed = hide(wanted, self._sealer)
            chosen = tables.source.c.id == source.id
            values = _row(shown, sealed)
            if old.settings.schedule != shown.settings.schedule:
                values["next_run_at"] = next_run(name, shown)
            await connection.execute(update(tables.source).where(chosen).values(values))
            told = {"renamed": shown.name} if shown.name != mirror else {}
            await record(
                connection, Action.MIRROR_SET, actor, channel=name, subject=mirror, changed=sorted(given),
                urls=list(shown.urls), settings=differing(shown.settings), **told,
            )  # fmt: skip
            if old.urls != shown.urls:
                await forget_state(connection, source.id)
            if shown.subdirs is not None and old.subdirs != shown.subdirs:
                await _leave_subdirs(connection, source.id, shown)
                await publish_all(connection, channel.id, "mirror changed")
            await advance_epoch(connection, TOPIC)

    async def remove(self, actor: str, name: ChannelName, mirror: str) -> None:
        """Stop following a mirror; what only it has leaves the index. Raises NotFound `mirror-unknown`."""
        async with self._database.write() as connection:
            channel = await get_channel(connection, name)
            source = find_mirror(channel, mirror)
            await connection.execute(delete(tables.source).where(tables.source.c.id == source.id))
            urls = list(source.urls)
            await record(connection, Action.MIRROR_REMOVE, actor, channel=name, subject=mirror, urls=urls)
            await publish_all(connection, channel.id, "mirror removed")


async def reschedule(connection: AsyncConnection, channel: Channel, source: Source) -> None:
    """The run that was due has been asked for: the next one is the first from now on, however many were missed."""
    columns = tables.source.c
    chosen = (columns.id == source.id, columns.next_run_at == source.next_run_at)
    following = next_run(channel.name, mirror_of(source))
    await connection.execute(update(tables.source).where(*chosen).values(next_run_at=following))
    await advance_epoch(connection, TOPIC)


def find_mirror(channel: Channel, name: str) -> Source:
    """The source of a channel that has the mirror's name. Raises NotFound `mirror-unknown`."""
    for source in channel.sources:
        if source.kind is SourceKind.UPSTREAM and source.name == name:
            return source
    raise NotFound("mirror-unknown", f"Channel {channel.name} has no mirror {name}.")


def mirror_of(source: Source) -> Mirror:
    """The mirror that a source reads from, as it is shown."""
    return Mirror(source.name, source.urls, source.subdirs, source.settings)


async def follow(connection: AsyncConnection, sealer: Sealer, actor: str, name: ChannelName, mirror: Mirror) -> str:
    """Add a mirror in the caller's transaction; its name, made up when it has none. Raises as `MirrorService.add`."""
    check(mirror)
    channel = await get_channel(connection, name)
    if channel.kind is not ChannelKind.MIRROR:
        raise Conflict("kind-unfit", f"Channel {name} is {channel.kind}; only those of kind mirror have mirrors.")
    chosen = mirror.name or _free_name(channel)
    _check_new(channel, replace(mirror, name=chosen), None, sealer)
    await check_known(connection, mirror.settings.network.ca)
    shown, sealed = hide(replace(mirror, name=chosen), sealer)
    await add_source(
        connection, channel.id, SourceKind.UPSTREAM, next_run_at=next_run(name, shown), **_row(shown, sealed)
    )
    await record(
        connection, Action.MIRROR_ADD, actor, channel=name, subject=chosen,
        urls=list(shown.urls), settings=differing(shown.settings),
    )  # fmt: skip
    return chosen


def next_run(channel: str, mirror: Mirror) -> datetime | None:
    """When the mirror is synced by itself for the next time."""
    return mirror.settings.schedule.next_after(clock.now(), f"{channel}/{mirror.name}")


def _row(shown: Mirror, sealed: str | None) -> dict[str, Any]:
    return {
        "name": shown.name,
        "urls": list(shown.urls),
        "subdirs": None if shown.subdirs is None else list(shown.subdirs),
        "settings": differing(shown.settings),
        "sealed": sealed,
    }


def _free_name(channel: Channel) -> str:
    taken = {source.name for source in channel.sources}
    number = 1
    while (name := FIRST_NAME if number == 1 else f"{FIRST_NAME}-{number}") in taken:
        number += 1
    return name


def _check_new(channel: Channel, wanted: Mirror, own: Source | None, sealer: Sealer) -> None:
    for other in channel.sources:
        if other.kind is not SourceKind.UPSTREAM or (own is not None and other.id == own.id):
            continue
        if other.name == wanted.name:
            raise Conflict("mirror-exists", f"Channel {channel.name} has a mirror {wanted.name} already.")
        both = set(complete(mirror_of(other), other.sealed, sealer).urls).intersection(wanted.urls)
        if both:
            shown = mask_url(min(both))
            raise Conflict("mirror-exists", f"Channel {channel.name} follows {shown} already, as mirror {other.name}.")


async def _leave_subdirs(connection: AsyncConnection, source_id: int, shown: Mirror) -> None:
    columns = tables.source_subdir.c
    kept = columns.name.in_(list(shown.subdirs or ()))
    await connection.execute(delete(tables.source_subdir).where(columns.source_id == source_id, ~kept))

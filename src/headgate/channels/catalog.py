"""All channels, in memory: a snapshot of topic `channels`, small enough to load whole."""

from collections import defaultdict
from collections.abc import Iterable

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.channels.mirrors import settings_of
from headgate.channels.model import (
    Channel,
    ChannelKind,
    ChannelSettings,
    Document,
    Freeze,
    Privacy,
    Source,
    SourceKind,
    SubdirState,
)
from headgate.conda.names import ChannelName, Sha256, Subdir
from headgate.db import tables
from headgate.kernel.errors import NotFound

TOPIC = "channels"


class Catalog:
    """Finds channels by name or id, without asking the database."""

    def __init__(self) -> None:
        self._by_name: dict[str, Channel] = {}
        self._by_id: dict[int, Channel] = {}

    async def load(self, connection: AsyncConnection) -> None:
        """Read every channel again."""
        channels = await read_channels(connection)
        self._by_name = {channel.name: channel for channel in channels}
        self._by_id = {channel.id: channel for channel in channels}

    def find(self, name: str) -> Channel | None:
        """The channel, or None."""
        return self._by_name.get(name)

    def get(self, name: str) -> Channel:
        """The channel. Raises NotFound `channel-unknown`."""
        channel = self._by_name.get(name)
        if channel is None:
            raise NotFound("channel-unknown", f"There is no channel {name}.")
        return channel

    def all(self) -> list[Channel]:
        """Every channel, by name."""
        return sorted(self._by_name.values(), key=lambda channel: channel.name)


async def read_channels(connection: AsyncConnection) -> list[Channel]:
    """Every channel with its sources, subdirs and documents: four queries."""
    rows = (await connection.execute(select(tables.channel))).all()
    names = {row.id: ChannelName(row.name) for row in rows}
    sources = await _read_sources(connection, names)
    subdirs = await _read_subdirs(connection)
    documents = await _read_documents(connection)
    return [
        Channel(
            id=row.id,
            name=names[row.id],
            kind=ChannelKind(row.kind),
            privacy=Privacy(row.privacy),
            settings=msgspec.convert(row.settings, ChannelSettings),
            revision=row.revision,
            created_at=row.created_at,
            frozen=None if row.frozen_at is None else Freeze(row.frozen_at, row.frozen_by, row.frozen_why),
            sources=tuple(sources[row.id]),
            subdirs=subdirs[row.id],
            documents=documents[row.id],
        )
        for row in rows
    ]


async def find_channel(connection: AsyncConnection, name: str) -> Channel | None:
    """The channel as this connection sees it, or None."""
    return next((channel for channel in await read_channels(connection) if channel.name == name), None)


async def get_channel(connection: AsyncConnection, name: str) -> Channel:
    """The channel as this connection sees it. Raises NotFound `channel-unknown`."""
    channel = await find_channel(connection, name)
    if channel is None:
        raise NotFound("channel-unknown", f"There is no channel {name}.")
    return channel


async def require_channel(connection: AsyncConnection, channel: Channel) -> None:
    """Keep a channel from being deleted in this transaction. Raises NotFound `channel-unknown` when it was already."""
    statement = select(tables.channel.c.id).where(tables.channel.c.id == channel.id)
    if (await connection.execute(statement.with_for_update(read=True, key_share=True))).first() is None:
        raise NotFound("channel-unknown", f"Channel {channel.name} was deleted meanwhile.")


async def _read_sources(connection: AsyncConnection, names: dict[int, ChannelName]) -> dict[int, list[Source]]:
    found: dict[int, list[Source]] = defaultdict(list)
    for row in await connection.execute(select(tables.source).order_by(tables.source.c.position)):
        found[row.channel_id].append(
            Source(
                id=row.id,
                kind=SourceKind(row.kind),
                position=row.position,
                name=row.name,
                urls=tuple(row.urls),
                settings=settings_of(row.settings),
                sealed=row.sealed,
                member=names.get(row.member_id),
                member_id=row.member_id,
                subdirs=_subdirs(row.subdirs),
                next_run_at=row.next_run_at,
            )
        )
    return found


def _subdirs(names: Iterable[str] | None) -> tuple[Subdir, ...] | None:
    return None if names is None else tuple(Subdir(name) for name in names)


async def _read_subdirs(connection: AsyncConnection) -> dict[int, dict[str, SubdirState]]:
    """Those that were published: the first revision of one may wait for its channel to be unfrozen."""
    found: dict[int, dict[str, SubdirState]] = defaultdict(dict)
    columns = tables.subdir.c
    statement = select(columns.channel_id, columns.id, columns.name, columns.revision, columns.revised_at)
    statement = statement.where(columns.revision > 0)
    for row in await connection.execute(statement):
        found[row.channel_id][row.name] = SubdirState(row.id, Subdir(row.name), row.revision, row.revised_at)
    return found


async def _read_documents(connection: AsyncConnection) -> dict[int, dict[tuple[str, str], Document]]:
    found: dict[int, dict[tuple[str, str], Document]] = defaultdict(dict)
    for row in await connection.execute(select(tables.document)):
        found[row.channel_id][row.subdir, row.name] = Document(
            row.revision, Sha256(row.sha256), row.size_bytes, row.created_at
        )
    return found

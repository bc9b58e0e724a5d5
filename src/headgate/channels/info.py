"""What an index says of itself: the upstream's `info`, as far as it still holds here."""

import posixpath
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.channels.model import Channel, SourceKind
from headgate.db import tables

_SPEAKING = frozenset({SourceKind.UPSTREAM, SourceKind.BUNDLE})
# Written anew by whoever renders the index.
_OURS = frozenset({"subdir", "base_url", "shards_base_url", "created_at", "arch", "platform"})


async def published_info(
    connection: AsyncConnection, channels: Mapping[int, Channel], channel: Channel, subdir: str
) -> dict[str, Any]:
    """The `info` keys that a channel passes on: those of its only upstream, when it has just one and nothing else.

    A bundle speaks for the channel it was made of, and counts as an upstream here.

    CEP 42's `channel_relations` name siblings by relative path, so they are kept only while every one of them is a
    channel of this server.
    """
    if len(channel.sources) != 1 or channel.sources[0].kind not in _SPEAKING:
        return {}
    columns = tables.source_subdir.c
    found = await connection.execute(
        select(columns.info).where(columns.source_id == channel.sources[0].id, columns.name == subdir)
    )
    info = {key: value for key, value in (found.scalar_one_or_none() or {}).items() if key not in _OURS}
    names = {one.name for one in channels.values()}
    if not _is_resolved(info.get("channel_relations"), channel.name, names):
        info.pop("channel_relations", None)
    return info


def _is_resolved(relations: Any, name: str, names: Collection[str]) -> bool:
    references = _texts(relations)
    return all(posixpath.normpath(posixpath.join(name, reference)) in names for reference in references)


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for child in children for text in _texts(child)]

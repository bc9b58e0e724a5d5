"""Roots and key managers of conda content trust, where clients look for them: below the channel."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.channels.catalog import read_channels
from headgate.channels.model import Channel
from headgate.channels.proofs import places_behind
from headgate.channels.signing import find_document, parse_metadata_name
from headgate.db import tables_signatures
from headgate.db.engine import Database
from headgate.kernel.errors import NotFound


async def read_metadata(database: Database, channel: Channel, name: str) -> bytes:
    """Ours where the channel is signed by us; else those of the one upstream whose signatures it passes on.

    Raises NotFound `signing-unknown`.
    """
    async with database.read() as connection:
        if channel.settings.is_signing:
            body = await find_document(connection, name)
        else:
            channels = {one.id: one for one in await read_channels(connection)}
            places = {one for source in channel.sources for one in places_behind(channels, source)}
            kept = [found for place in sorted(places) if (found := await read_trust(connection, place))]
            kind, version = parse_metadata_name(name)
            versions = kept[0].get(kind, {}) if len(kept) == 1 else {}
            body = versions.get(max(versions, default=0) if version is None else version)
    if body is None:
        raise NotFound("signing-unknown", f"Channel {channel.name} has no {name}.")
    return body


async def read_trust(connection: AsyncConnection, source_id: int) -> dict[str, dict[int, bytes]]:
    """What was learned of a mirror's upstream: kind -> version -> bytes."""
    columns = tables_signatures.source_trust.c
    found: dict[str, dict[int, bytes]] = {}
    for row in await connection.execute(select(tables_signatures.source_trust).where(columns.source_id == source_id)):
        found.setdefault(row.kind, {})[row.version] = row.body
    return found

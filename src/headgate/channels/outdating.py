"""Documents that say what no longer holds, though no revision was made: they are rendered again, and served until then."""

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.channels.catalog import TOPIC
from headgate.db import tables
from headgate.db.engine import advance_epoch


async def outdate_documents(connection: AsyncConnection, channel_id: int, subdir: str | None = None) -> None:
    """Have the documents of a channel (of one subdir, or all), and of the virtual channels that show it, rendered again."""
    columns, sources = tables.document.c, tables.source.c
    waiting, seen = [channel_id], set[int]()
    while waiting:
        number = waiting.pop()
        if number in seen:
            continue
        seen.add(number)
        waiting += (await connection.execute(select(sources.channel_id).where(sources.member_id == number))).scalars()
    chosen: list[ColumnElement[bool]] = [columns.channel_id.in_(sorted(seen))]
    if subdir is not None:
        chosen.append(columns.subdir == subdir)
    await connection.execute(update(tables.document).where(*chosen).values(revision=columns.revision - 1))
    await advance_epoch(connection, TOPIC)

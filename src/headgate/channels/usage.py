"""How much is kept: bytes by channel, blobs, shards, documents; asked of the database, never of the disk."""

from dataclasses import dataclass

from sqlalchemy import func, select

from headgate.db import tables
from headgate.db.engine import Database


@dataclass(frozen=True, slots=True)
class ChannelUsage:
    """What one channel holds; files that several channels hold count in each."""

    name: str
    kind: str
    files: int
    file_bytes: int
    documents: int
    document_bytes: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What is kept in all; each blob once."""

    channels: list[ChannelUsage]
    blobs: int
    blob_bytes: int
    shards: int


async def read_usage(database: Database) -> Usage:
    """Three queries, whatever the number of files."""
    channels, subdirs, artifacts, documents = tables.channel.c, tables.subdir.c, tables.artifact.c, tables.document.c
    blobs = tables.blob.c
    files = (
        select(subdirs.channel_id, func.count().label("number"), func.sum(artifacts.size_bytes).label("size"))
        .join(tables.artifact, artifacts.subdir_id == subdirs.id)
        .where(artifacts.status != "deleted")
        .group_by(subdirs.channel_id)
        .subquery()
    )
    rendered = (
        select(documents.channel_id, func.count().label("number"), func.sum(documents.size_bytes).label("size"))
        .group_by(documents.channel_id)
        .subquery()
    )
    statement = (
        select(channels.name, channels.kind, files.c.number, files.c.size, rendered.c.number, rendered.c.size)
        .outerjoin(files, files.c.channel_id == channels.id)
        .outerjoin(rendered, rendered.c.channel_id == channels.id)
        .order_by(func.coalesce(files.c.size, 0).desc(), channels.name)
    )
    async with database.read() as connection:
        found = [
            ChannelUsage(row[0], row[1], *(int(value or 0) for value in row[2:]))
            for row in await connection.execute(statement)
        ]
        kept = (await connection.execute(select(func.count(), func.sum(blobs.size_bytes)))).one()
        shards = (await connection.execute(select(func.count()).select_from(tables.shard))).scalar_one()
    return Usage(found, kept[0], int(kept[1] or 0), shards)

"""What each source of a channel offers: name -> digest of the raw shard."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.channels.model import Source, SourceKind
from headgate.db import tables
from headgate.db.engine import chunks, insert
from headgate.db.tables_documents import source_outline
from headgate.kernel import clock

# Above this many names one scan of the whole map is cheaper than asking for each.
_MANY_NAMES = 2_000


async def add_source(connection: AsyncConnection, channel_id: int, kind: SourceKind, **values: Any) -> None:
    """Give a channel another source, behind those it has."""
    columns = tables.source.c
    last = await connection.execute(select(func.max(columns.position)).where(columns.channel_id == channel_id))
    position = (last.scalar_one_or_none() or 0) + 1
    await connection.execute(
        tables.source.insert().values(
            channel_id=channel_id, kind=kind, position=position, created_at=clock.now(), **values
        )
    )


async def source_subdir_id(connection: AsyncConnection, source_id: int, subdir: str) -> int:
    """The row that keeps a source's state of one subdir; made at the first question."""
    columns = tables.source_subdir.c
    statement = insert(connection, tables.source_subdir).values(source_id=source_id, name=subdir, info={})
    await connection.execute(statement.on_conflict_do_nothing(index_elements=["source_id", "name"]))
    found = await connection.execute(select(columns.id).where(columns.source_id == source_id, columns.name == subdir))
    number: int = found.scalar_one()
    return number


async def save_source_shards(
    connection: AsyncConnection,
    source_subdir: int,
    shards: Mapping[str, tuple[bytes, bytes]],
    filtered: Mapping[str, bytes] | None = None,
) -> None:
    """Remember, for each name, (fingerprint of what the source said, digest of our raw shard of it).

    `filtered` has the digest of what filters left of a shard, an empty one when nothing; names not in it pass whole.
    """
    left = filtered or {}
    rows = [
        {
            "source_subdir_id": source_subdir,
            "name": name,
            "fingerprint": fingerprint,
            "digest": digest,
            "filtered": left.get(name),
        }
        for name, (fingerprint, digest) in shards.items()
    ]
    if not rows:
        return
    statement = insert(connection, tables.source_shard)
    statement = statement.on_conflict_do_update(
        index_elements=["source_subdir_id", "name"],
        set_={key: statement.excluded[key] for key in ("fingerprint", "digest", "filtered")},
    )
    await connection.execute(statement, rows)


async def drop_source_shards(connection: AsyncConnection, source_subdir: int, names: Collection[str]) -> None:
    """Forget names that the source no longer has."""
    columns = tables.source_shard.c
    for some in chunks(sorted(names)):
        await connection.execute(
            delete(tables.source_shard).where(columns.source_subdir_id == source_subdir, columns.name.in_(some))
        )


async def forget_state(connection: AsyncConnection, source_id: int) -> None:
    """Let the next sync of a source ask without conditions: what it was told came from elsewhere."""
    places = tables.source_subdir.c
    await connection.execute(update(tables.source_subdir).where(places.source_id == source_id).values(state=None))


async def forget_fingerprints(connection: AsyncConnection, sources: Collection[int]) -> None:
    """Let the next sync of these sources read everything anew; what was read until now stays."""
    places = tables.source_subdir.c
    await connection.execute(update(tables.source_subdir).where(places.source_id.in_(sources)).values(state=None))
    chosen = tables.source_shard.c.source_subdir_id.in_(select(places.id).where(places.source_id.in_(sources)))
    await connection.execute(update(tables.source_shard).where(chosen).values(fingerprint=b""))


async def read_outline(connection: AsyncConnection, source_subdir: int) -> bytes | None:
    """By what the upstream's next document is read, packed."""
    columns = source_outline.c
    found = await connection.execute(select(columns.body).where(columns.source_subdir_id == source_subdir))
    body: bytes | None = found.scalar_one_or_none()
    return body


async def save_outline(connection: AsyncConnection, source_subdir: int, body: bytes | None) -> None:
    """Keep what the next document is to be read by."""
    if body is None:
        await connection.execute(delete(source_outline).where(source_outline.c.source_subdir_id == source_subdir))
        return
    statement = insert(connection, source_outline).values(source_subdir_id=source_subdir, body=body)
    await connection.execute(statement.on_conflict_do_update(index_elements=["source_subdir_id"], set_={"body": body}))


async def read_source_shards(connection: AsyncConnection, source_subdir: int) -> dict[str, tuple[bytes, bytes]]:
    """Every name's (fingerprint, digest)."""
    columns = tables.source_shard.c
    rows = await connection.execute(
        select(columns.name, columns.fingerprint, columns.digest).where(columns.source_subdir_id == source_subdir)
    )
    return {name: (fingerprint, digest) for name, fingerprint, digest in rows}


async def read_offers(
    connection: AsyncConnection, source: Source, subdir: str, names: Collection[str] | None
) -> dict[str, bytes]:
    """name -> digest of what the source offers in a subdir; of all names when `names` is None."""
    if source.kind is SourceKind.MEMBER:
        statement = _published_by(source.member_id, subdir)
        column = tables.entry.c.name
    else:
        columns = tables.source_shard.c
        statement = (
            select(columns.name, func.coalesce(columns.filtered, columns.digest))
            .join(tables.source_subdir, tables.source_subdir.c.id == columns.source_subdir_id)
            .where(tables.source_subdir.c.source_id == source.id, tables.source_subdir.c.name == subdir)
        )
        column = columns.name
    last = dict(await _rows(connection, statement, column, names))
    return {name: digest for name, digest in last.items() if digest}


async def read_published(
    connection: AsyncConnection, channel_id: int, subdir: str, names: Collection[str] | None
) -> dict[str, bytes]:
    """name -> digest of a channel's newest revision of a subdir."""
    last = dict(await _rows(connection, _published_by(channel_id, subdir), tables.entry.c.name, names))
    return {name: digest for name, digest in last.items() if digest is not None}


def _published_by(channel_id: int | None, subdir: str) -> Select[Any]:
    return (
        select(tables.entry.c.name, tables.entry.c.digest)
        .join(tables.subdir, tables.subdir.c.id == tables.entry.c.subdir_id)
        .where(tables.subdir.c.channel_id == channel_id, tables.subdir.c.name == subdir)
        .order_by(tables.entry.c.revision)
    )


async def _rows(
    connection: AsyncConnection, statement: Select[Any], column: Any, names: Collection[str] | None
) -> list[tuple[str, bytes | None]]:
    if names is None or len(names) > _MANY_NAMES:
        rows = [(name, digest) for name, digest in await connection.execute(statement)]
        return rows if names is None else [row for row in rows if row[0] in names]
    found: list[tuple[str, bytes | None]] = []
    for some in chunks(sorted(names)):
        found.extend((row[0], row[1]) for row in await connection.execute(statement.where(column.in_(some))))
    return found

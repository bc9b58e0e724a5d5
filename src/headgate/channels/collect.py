"""Collecting what nobody names any more: superseded entries, shards, blobs."""

import time
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, delete, exists, or_, select

from headgate.conda.names import Sha256
from headgate.db import tables
from headgate.db.engine import Database, chunks
from headgate.kernel import clock
from headgate.storage.local import BlobStore


def superseded_entries(age: timedelta) -> tuple[Any, Any]:
    """Entries, under another name, and when a revision older than `age` has superseded one."""
    old, newer, revision = tables.entry.alias("old"), tables.entry.alias("newer"), tables.revision
    superseding = (
        select(newer.c.revision)
        .join(revision, (revision.c.subdir_id == newer.c.subdir_id) & (revision.c.number == newer.c.revision))
        .where(
            newer.c.subdir_id == old.c.subdir_id,
            newer.c.name == old.c.name,
            newer.c.revision > old.c.revision,
            revision.c.created_at < clock.now() - age,
        )
    )
    return old, exists(superseding)


def unnamed_shard(age: timedelta, named: Any) -> Any:
    """When a shard is older than `age` and no mirror has it; `named`: when an entry has it."""
    columns, sources = tables.shard.c, tables.source_shard.c
    is_offered: Any = exists(select(sources.digest).where(sources.digest == columns.digest))
    is_offered |= exists(select(sources.name).where(sources.filtered == columns.digest))
    return and_(columns.created_at < clock.now() - age, ~named, ~is_offered)


def unnamed_blob(age: timedelta) -> Any:
    """When a blob is older than `age`, and no file that is there and no document has it."""
    columns = tables.blob.c
    artifact, document = tables.artifact.c, tables.document.c
    is_there = exists(select(artifact.id).where(artifact.sha256 == columns.sha256, artifact.status != "deleted"))
    is_rendered = exists(select(document.sha256).where(document.sha256 == columns.sha256))
    # Whoever asks may join the same tables: these are tables of their own.
    is_named = or_(is_there.correlate(tables.blob), is_rendered.correlate(tables.blob))
    return and_(columns.created_at < clock.now() - age, ~is_named)


async def collect_entries(database: Database, age: timedelta) -> int:
    """Forget entries that a revision older than `age` superseded; how many.

    What is left still tells every revision of the last `age`, and the newest entry of each name for ever.
    """
    old, is_superseded = superseded_entries(age)
    async with database.write() as connection:
        rows = await connection.execute(
            select(old.c.subdir_id, old.c.name, old.c.revision).where(is_superseded).limit(50_000)
        )
        found = [dict(row) for row in rows.mappings()]
        columns = tables.entry.c
        for row in found:
            await connection.execute(delete(tables.entry).where(*(columns[key] == value for key, value in row.items())))
    return len(found)


async def collect_shards(database: Database, age: timedelta) -> int:
    """Delete shards older than `age` that no map names; how many. Clients of a stale index have had that long."""
    is_named = exists(select(tables.entry.c.digest).where(tables.entry.c.digest == tables.shard.c.digest))
    async with database.write() as connection:
        gone = await connection.execute(delete(tables.shard).where(unnamed_shard(age, is_named)))
    return gone.rowcount


async def collect_blobs(database: Database, store: BlobStore, age: timedelta) -> int:
    """Delete blobs older than `age` that no artifact and no document names; how many.

    Files go inside the transaction: whoever adds the same bytes waits for it, and then sees that they are gone.
    """
    columns = tables.blob.c
    statement = select(columns.sha256).where(unnamed_blob(age))
    async with database.write() as connection:
        doomed = (await connection.execute(statement.with_for_update())).scalars().all()
        for some in chunks(doomed):
            await connection.execute(delete(tables.blob).where(columns.sha256.in_(some)))
        for sha256 in doomed:
            store.remove(Sha256(sha256))
    return len(doomed) + await _collect_strays(database, store, age)


async def _collect_strays(database: Database, store: BlobStore, age: timedelta) -> int:
    """Files that no row names: their process was killed between the rename and the commit."""
    async with database.read() as connection:
        known = set((await connection.execute(select(tables.blob.c.sha256))).scalars())
    horizon = time.time() - age.total_seconds()
    strays = [one for one in store.iter_digests() if one not in known and _is_older(store, one, horizon)]
    for sha256 in strays:
        store.remove(sha256)
    return len(strays)


def _is_older(store: BlobStore, sha256: Sha256, horizon: float) -> bool:
    path: Any = store.find(sha256)
    return path is not None and path.stat().st_mtime < horizon

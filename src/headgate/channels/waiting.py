"""What waits while a channel is frozen: its index stands still, and the names that changed beneath it are remembered."""

from collections.abc import Collection

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.db import tables
from headgate.db.engine import insert
from headgate.db.tables_life import waiting_name

_EVERY_NAME = ""


async def is_frozen(connection: AsyncConnection, channel_id: int) -> bool:
    """Whether it is, as of now: who asks holds the lock of a subdir, which freezing and unfreezing take too."""
    columns = tables.channel.c
    found = await connection.execute(select(columns.frozen_at).where(columns.id == channel_id))
    return found.scalar_one() is not None


async def let_wait(connection: AsyncConnection, subdir_id: int, names: Collection[str] | None) -> None:
    """Remember names (None: every name) whose publishing has to wait."""
    rows = [{"subdir_id": subdir_id, "name": name} for name in sorted([_EVERY_NAME] if names is None else names)]
    if rows:
        await connection.execute(insert(connection, waiting_name).on_conflict_do_nothing(), rows)


async def take_waiting(connection: AsyncConnection, subdir_id: int) -> set[str] | None:
    """What waited in a subdir (None: every name); forgotten with this."""
    columns = waiting_name.c
    found = await connection.execute(select(columns.name).where(columns.subdir_id == subdir_id))
    names = set(found.scalars())
    await connection.execute(delete(waiting_name).where(columns.subdir_id == subdir_id))
    return None if _EVERY_NAME in names else names


async def count_waiting(connection: AsyncConnection, channel_id: int) -> dict[str, int | None]:
    """How many names wait, by subdir (None: every name); subdirs where none does are left out."""
    columns = waiting_name.c
    rows = await connection.execute(
        select(tables.subdir.c.name, columns.name)
        .join(tables.subdir, tables.subdir.c.id == columns.subdir_id)
        .where(tables.subdir.c.channel_id == channel_id)
    )
    found: dict[str, set[str]] = {}
    for subdir, name in rows:
        found.setdefault(subdir, set()).add(name)
    return {subdir: None if _EVERY_NAME in names else len(names) for subdir, names in sorted(found.items())}

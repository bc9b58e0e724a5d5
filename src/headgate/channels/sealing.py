"""Sealing what earlier versions kept in the clear: run at every start, does nothing when there is nothing to do."""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.channels.bases import keep_base
from headgate.channels.mirrors import Mirror, hide
from headgate.db import tables
from headgate.db.engine import Database
from headgate.db.sealing import Sealer


async def seal_mirrors(database: Database, sealer: Sealer) -> int:
    """Seal the credentials in mirrors' URLs, and take them out of base URLs; how many mirrors had any."""
    async with database.write() as connection:
        bare = await _seal_sources(connection, sealer)
    if bare and database.is_sqlite:
        # Pages that are free now still hold what was in them.
        async with database.engine.connect() as connection:
            raw = (await connection.get_raw_connection()).driver_connection
            assert raw is not None
            await raw.execute("VACUUM")
            await raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return bare


async def _seal_sources(connection: AsyncConnection, sealer: Sealer) -> int:
    columns = tables.source.c
    number = 0
    statement = select(columns.id, columns.urls).where(columns.kind == "upstream", columns.sealed.is_(None))
    for row in (await connection.execute(statement)).all():
        await _shorten_bases(connection, row.id, row.urls, sealer)
        shown, sealed = hide(Mirror(None, tuple(row.urls)), sealer)
        if sealed is not None:
            number += 1
            values = {"urls": list(shown.urls), "sealed": sealed}
            await connection.execute(update(tables.source).where(columns.id == row.id).values(values))
    return number


async def _shorten_bases(connection: AsyncConnection, source_id: int, urls: list[str], sealer: Sealer) -> None:
    columns = tables.source_subdir.c
    statement = select(columns.id, columns.name, columns.base_url).where(
        columns.source_id == source_id, columns.base_url.contains("://")
    )
    for row in (await connection.execute(statement)).all():
        kept = keep_base(row.base_url, f"{urls[0].rstrip('/')}/{row.name}/", sealer)
        if kept != row.base_url:
            await connection.execute(update(tables.source_subdir).where(columns.id == row.id).values(base_url=kept))

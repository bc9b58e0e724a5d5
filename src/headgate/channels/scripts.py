"""What upstreams say of the install scripts of their packages (channeldata.json, CEP 38), by mirror and package.

They speak of a package as a whole, mostly of its newest version; an archive that was read is believed before them.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache

import msgspec
import zstandard
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.db.engine import insert
from headgate.db.tables_gate import source_scripts
from headgate.kernel import clock

Scripts = Mapping[str, frozenset[str]]
"""Package -> CEP 38's flags of the scripts that it brings."""


@dataclass(frozen=True, slots=True)
class Said:
    """What one upstream said, and the ETag under which it did."""

    scripts: Scripts
    etag: str | None


NOTHING_SAID = Said({}, None)


async def read_said(connection: AsyncConnection, sources: Collection[int]) -> dict[int, Said]:
    """What the upstreams of these mirrors (by the ids of their sources) said; of those that were ever read."""
    columns = source_scripts.c
    rows = await connection.execute(
        select(columns.source_id, columns.etag, columns.body).where(columns.source_id.in_(sorted(sources)))
    )
    return {row.source_id: Said(_unpack(row.body), row.etag) for row in rows}


async def save_said(connection: AsyncConnection, source_id: int, said: Said) -> None:
    """Keep what an upstream says now."""
    plain = {name: sorted(flags) for name, flags in sorted(said.scripts.items())}
    body = zstandard.compress(msgspec.msgpack.encode(plain))
    values = {"etag": said.etag, "body": body, "read_at": clock.now()}
    statement = insert(connection, source_scripts).values(source_id=source_id, **values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["source_id"], set_=values))


@lru_cache(maxsize=8)
def _unpack(body: bytes) -> Scripts:
    plain = msgspec.msgpack.decode(zstandard.decompress(body), type=dict[str, list[str]])
    alike: dict[tuple[str, ...], frozenset[str]] = {}
    return {name: alike.setdefault(tuple(flags), frozenset(flags)) for name, flags in plain.items()}

"""What search knows of each name: made in the jobs process from the shards that a revision changed, never while publishing.

revision of a subdir ──changed names──> shards ──glance──> search_card   (upserted, in pieces; done twice is as good)
"""

import asyncio
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.channels.maps import read_map
from headgate.channels.shards import read_shards
from headgate.conda.shards import decode_as
from headgate.conda.specs import version_key
from headgate.db import tables
from headgate.db.engine import Database, chunks, insert
from headgate.db.tables_search import search_card, search_subdir
from headgate.kernel import clock
from headgate.kernel.errors import Invalid

HEAD_BYTES = 6
"""So much of each sha256 is kept; who asks for one looks into the shards of the names that remain."""
_BATCH = 500
_LONGEST = 300
_SPEC_END = re.compile(r"[\s=<>!~\[]")


class _Glance(msgspec.Struct):
    """What of a record is looked at."""

    version: Any = None
    license: Any = None
    timestamp: Any = None
    sha256: Any = None
    depends: msgspec.Raw = msgspec.Raw(b"")


class _Glances(msgspec.Struct):
    packages: dict[str, _Glance] = {}
    conda: dict[str, _Glance] = msgspec.field(name="packages.conda", default_factory=dict)
    v3: dict[str, dict[str, _Glance]] = {}

    def all(self) -> Iterable[_Glance]:
        yield from self.packages.values()
        yield from self.conda.values()
        for group in self.v3.values():
            yield from group.values()


_decoder = msgspec.msgpack.Decoder(_Glances)


class CardWriter:
    """Brings the cards of every subdir up to its newest revision."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def catch_up(self) -> int:
        """Make what is missing; how many cards that were."""
        made = 0
        for subdir, behind, newest in await self._behind():
            made += await self._follow(subdir, behind, newest)
        return made

    async def _behind(self) -> list[tuple[int, int, int]]:
        """(subdir, revision of its cards, newest revision) of those that are behind."""
        statement = select(tables.subdir.c.id, tables.subdir.c.revision, search_subdir.c.revision.label("carded"))
        statement = statement.outerjoin(search_subdir, search_subdir.c.subdir_id == tables.subdir.c.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [(row.id, row.carded or 0, row.revision) for row in rows if (row.carded or 0) < row.revision]

    async def _follow(self, subdir: int, since: int, until: int) -> int:
        async with self._database.read() as connection:
            changes = await read_map(connection, subdir, after=since, until=until)
        names = list(changes)
        for start in range(0, len(names), _BATCH):
            some = {name: changes[name] for name in names[start : start + _BATCH]}
            async with self._database.read() as connection:
                bodies = await read_shards(connection, [digest for digest in some.values() if digest is not None])
                summaries = await _read_summaries(connection, subdir, some)
            rows = await asyncio.to_thread(_cards, subdir, until, some, bodies, summaries)
            async with self._database.write() as connection:
                await _save(connection, rows)
        async with self._database.write() as connection:
            done = insert(connection, search_subdir).values(subdir_id=subdir, revision=until)
            await connection.execute(
                done.on_conflict_do_update(
                    index_elements=["subdir_id"], set_={"revision": until}, where=search_subdir.c.revision < until
                )
            )
        return len(names)


async def _save(connection: AsyncConnection, rows: list[dict[str, Any]]) -> None:
    statement = insert(connection, search_card)
    kept = {key: statement.excluded[key] for key in rows[0] if key not in {"subdir_id", "name"}}
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["subdir_id", "name"],
            set_=kept,
            where=search_card.c.revision <= statement.excluded.revision,
        ),
        rows,
    )


async def _read_summaries(connection: AsyncConnection, subdir: int, names: Iterable[str]) -> dict[str, str]:
    """What the files that are here say of themselves; the newest speaks."""
    columns, found = tables.artifact.c, {}
    for some in chunks(sorted(names)):
        statement = (
            select(columns.package, columns.about)
            .where(columns.subdir_id == subdir, columns.package.in_(some), columns.about.is_not(None))
            .order_by(columns.created_at)
        )
        for row in await connection.execute(statement):
            found[row.package] = _line((row.about or {}).get("summary"))
    return found


def _cards(
    subdir: int,
    revision: int,
    digests: Mapping[str, bytes | None],
    bodies: Mapping[bytes, bytes],
    summaries: Mapping[str, str],
) -> list[dict[str, Any]]:
    rows = []
    for name, digest in digests.items():
        body = None if digest is None else bodies.get(digest)
        glances = [] if body is None else list(decode_as(body, _decoder).all())
        newest_ms = max((one for one in (_ms(glance.timestamp) for glance in glances) if one), default=None)
        version = _newest({str(one.version) for one in glances})
        rows.append(
            {
                "subdir_id": subdir,
                "name": name,
                "revision": revision,
                "files": len(glances),
                "version": version,
                "newest_at": None if newest_ms is None else clock.from_ms(newest_ms),
                "licences": "\n".join(sorted({_line(one.license) for one in glances} - {""})),
                "summary": summaries.get(name, ""),
                "depends": _needed(one for one in glances if str(one.version) == version),
                "heads": b"".join(one.sha256[:HEAD_BYTES] for one in glances if isinstance(one.sha256, bytes)),
            }
        )
    return rows


def _needed(glances: Iterable[_Glance]) -> str:
    """The names that they depend on, each between line ends, so that one is found by looking for it with both."""
    needed = set()
    for one in glances:
        said = msgspec.msgpack.decode(one.depends) if one.depends else None
        needed |= {_SPEC_END.split(spec, maxsplit=1)[0] for spec in said or () if isinstance(spec, str)}
    return "\n".join(("", *sorted(needed - {""}), "")) if needed else ""


def _newest(versions: Iterable[str]) -> str:
    return max(versions, key=_order, default="")


def _order(version: str) -> tuple[Any, ...]:
    try:
        return (True, version_key(version))
    except Invalid:
        return (False, version)


def _ms(timestamp: object) -> int | None:
    """Milliseconds; old records have seconds. What no clock can show is none."""
    if not isinstance(timestamp, int | float) or not 0 < timestamp < 253_402_300_800_000:
        return None
    return int(timestamp if timestamp > 253_402_300_799 else timestamp * 1000)


def _line(text: object) -> str:
    return " ".join(str(text).split())[:_LONGEST] if text else ""

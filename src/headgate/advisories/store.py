"""Statements in, advisories out: what a batch of statements changes is merged anew, and nothing else.

Everything happens in the caller's transaction. `TOPIC` is the epoch that processes follow; its value in a transaction
is the revision that changed rows bear.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import zstandard
from sqlalchemy import delete, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.advisories.merging import Advisory, group, merge, names_of
from headgate.advisories.purls import Package
from headgate.advisories.statements import Affected, Statement, pack, unpack_statement
from headgate.db import tables_advisories as tables
from headgate.db.engine import advance_epoch, chunks, insert, read_epochs
from headgate.kernel import clock

TOPIC = "advisories"
ALL_NAMES = "*"

_decoder = msgspec.msgpack.Decoder(Advisory)


async def next_revision(connection: AsyncConnection) -> int:
    """Announce a change to every process; the revision that its rows bear."""
    await advance_epoch(connection, TOPIC)
    return (await read_epochs(connection))[TOPIC]


def pack_body(value: Statement | Advisory) -> bytes:
    """As it is kept: msgpack, compressed."""
    return zstandard.compress(pack(value), 3)


def unpack_body(data: bytes) -> Advisory:
    """An advisory as it was kept."""
    return _decoder.decode(zstandard.decompress(data))


@dataclass(slots=True)
class Changed:
    """What a batch changed: ids of advisories, and the packages that they name or named."""

    advisories: set[str] = field(default_factory=set)
    packages: set[Package] = field(default_factory=set)


async def rebuild(connection: AsyncConnection, ids: Collection[str], revision: int) -> Changed:
    """Merge anew every advisory that one of these ids belongs to, or belonged to."""
    known = await _known_ids(connection, ids)
    statements = await _statements(connection, known)
    wanted = {one.id: one for one in map(merge, group(statements))}
    previous = await _previous(connection, known | wanted.keys())
    fresh = {name: one for name, one in wanted.items() if previous.get(name, (b"", ""))[0] != _digest(one)}
    gone = {name for name, (_, state) in previous.items() if state != "merged" and name not in wanted}
    changed = Changed(set(fresh) | gone)
    changed.packages |= await _drop_affected(connection, changed.advisories)
    await _write_aliases(connection, known, wanted.values())
    await _write(connection, fresh.values(), revision)
    await _retire(connection, gone, revision)
    changed.packages |= {Package(found.ecosystem, found.name) for one in fresh.values() for found in one.affected}
    return changed


async def _known_ids(connection: AsyncConnection, ids: Collection[str]) -> set[str]:
    """These ids, and all others of the advisories they belong to."""
    columns, found = tables.advisory_alias.c, set(ids)
    advisories: set[str] = set()
    for some in chunks(sorted(found)):
        rows = await connection.execute(select(columns.advisory).where(columns.alias.in_(some)))
        advisories.update(row[0] for row in rows)
    for some in chunks(sorted(advisories)):
        rows = await connection.execute(select(columns.alias).where(columns.advisory.in_(some)))
        found.update(row[0] for row in rows)
    return found | advisories


async def _statements(connection: AsyncConnection, ids: Collection[str]) -> list[tuple[str, Statement]]:
    columns, feeds = tables.advisory_statement.c, tables.advisory_feed.c
    statement = select(feeds.name, columns.body).join(tables.advisory_feed, feeds.id == columns.feed_id)
    found: list[tuple[str, Statement]] = []
    for some in chunks(sorted(ids)):
        rows = await connection.execute(statement.where(columns.key.in_(some)))
        found.extend((row[0], unpack_statement(zstandard.decompress(row[1]))) for row in rows)
    return found


async def _previous(connection: AsyncConnection, ids: Collection[str]) -> dict[str, tuple[bytes, str]]:
    """Advisory id -> (digest, state)."""
    columns, found = tables.advisory.c, {}
    for some in chunks(sorted(ids)):
        rows = await connection.execute(select(columns.id, columns.digest, columns.state).where(columns.id.in_(some)))
        found.update({row.id: (row.digest, row.state) for row in rows})
    return found


def _digest(advisory: Advisory) -> bytes:
    return hashlib.blake2b(pack(advisory), digest_size=16).digest()


async def _drop_affected(connection: AsyncConnection, advisories: Collection[str]) -> set[Package]:
    columns, found = tables.advisory_affected.c, set[Package]()
    for some in chunks(sorted(advisories)):
        chosen = columns.advisory.in_(some)
        rows = await connection.execute(select(columns.ecosystem, columns.name).where(chosen))
        found.update(Package(row.ecosystem, row.name) for row in rows)
        await connection.execute(delete(tables.advisory_affected).where(chosen))
    return found


async def _write_aliases(connection: AsyncConnection, known: Collection[str], wanted: Iterable[Advisory]) -> None:
    columns = tables.advisory_alias.c
    rows = [{"alias": name, "advisory": one.id} for one in wanted for name in (one.id, *one.aliases)]
    for some in chunks(sorted({*known, *(row["alias"] for row in rows)})):
        await connection.execute(delete(tables.advisory_alias).where(columns.alias.in_(some)))
    if rows:
        await connection.execute(tables.advisory_alias.insert(), rows)


async def _write(connection: AsyncConnection, fresh: Iterable[Advisory], revision: int) -> None:
    advisories = list(fresh)
    if not advisories:
        return
    scores = await _epss(connection, advisories)
    rows = [_row(one, scores.get(one.id), revision) for one in advisories]
    statement = insert(connection, tables.advisory)
    renewed = {name: statement.excluded[name] for name in rows[0] if name != "id"}
    await connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=renewed), rows)
    affected = [row for one in advisories for row in _affected_rows(one)]
    if affected:
        await connection.execute(tables.advisory_affected.insert(), affected)


def _row(one: Advisory, epss: float | None, revision: int) -> dict[str, Any]:
    return {
        "id": one.id,
        "revision": revision,
        "state": "withdrawn" if one.withdrawn else "live",
        "digest": _digest(one),
        "severity": one.severity,
        "cvss": one.cvss,
        "epss": epss,
        "is_known_exploited": one.exploited is not None,
        "is_malicious": one.is_malicious,
        "modified": one.modified,
        "summary": one.summary or one.details[:200],
        "body": pack_body(one),
    }


def _affected_rows(one: Advisory) -> list[dict[str, Any]]:
    by_package: dict[tuple[str, str], list[Affected]] = {}
    for affected in one.affected:
        by_package.setdefault((affected.ecosystem, affected.name), []).append(affected)
    return [
        {"advisory": one.id, "ecosystem": ecosystem, "name": name, "body": pack(tuple(found))}
        for (ecosystem, name), found in by_package.items()
    ]


async def _epss(connection: AsyncConnection, advisories: Iterable[Advisory]) -> dict[str, float]:
    """The highest score of an advisory's CVE ids."""
    owners = {name: one.id for one in advisories for name in (one.id, *one.aliases) if name.startswith("CVE-")}
    columns, found = tables.advisory_score.c, dict[str, float]()
    for some in chunks(sorted(owners)):
        for row in await connection.execute(select(columns.cve, columns.epss).where(columns.cve.in_(some))):
            owner = owners[row.cve]
            found[owner] = max(row.epss, found.get(owner, 0.0))
    return found


async def _retire(connection: AsyncConnection, gone: Collection[str], revision: int) -> None:
    """What merged into another, or lost its last statement, stays as a mark that tells processes to forget it."""
    columns = tables.advisory.c
    for some in chunks(sorted(gone)):
        values = {"state": "merged", "revision": revision, "digest": b""}
        await connection.execute(update(tables.advisory).where(columns.id.in_(some)).values(values))


async def write_statements(
    connection: AsyncConnection, feed_id: int, statements: Mapping[str, tuple[bytes, Statement]]
) -> set[str]:
    """Keep (digest, statement) by key; every id that these or their predecessors bear."""
    ids = {name for _, one in statements.values() for name in names_of(one)}
    ids |= await _names_kept(connection, feed_id, statements)
    rows = [
        {"feed_id": feed_id, "key": key, "digest": digest, "body": pack_body(one)}
        for key, (digest, one) in statements.items()
    ]
    statement = insert(connection, tables.advisory_statement)
    renewed = {"digest": statement.excluded.digest, "body": statement.excluded.body}
    await connection.execute(statement.on_conflict_do_update(index_elements=["feed_id", "key"], set_=renewed), rows)
    return ids


async def drop_statements(connection: AsyncConnection, feed_id: int, keys: Collection[str]) -> set[str]:
    """Forget what a feed says no more; every id that it bore."""
    ids = await _names_kept(connection, feed_id, keys)
    columns = tables.advisory_statement.c
    for some in chunks(sorted(keys)):
        await connection.execute(
            delete(tables.advisory_statement).where(columns.feed_id == feed_id, columns.key.in_(some))
        )
    return ids


async def _names_kept(connection: AsyncConnection, feed_id: int, keys: Collection[str]) -> set[str]:
    columns, found = tables.advisory_statement.c, set[str]()
    for some in chunks(sorted(keys)):
        rows = await connection.execute(select(columns.body).where(columns.feed_id == feed_id, columns.key.in_(some)))
        found.update(name for row in rows for name in names_of(unpack_statement(zstandard.decompress(row[0]))))
    return found


async def announce_packages(connection: AsyncConnection, packages: Collection[Package]) -> int:
    """Let every conda name that is one of these packages be evaluated anew; how many there are."""
    names = {one.name for one in packages if one.ecosystem == "conda"}
    columns = tables.advisory_name.c
    wanted = sorted((one.ecosystem, one.name) for one in packages if one.ecosystem != "conda")
    for some in chunks(wanted, 400):
        rows = await connection.execute(
            select(columns.name).where(
                tuple_(columns.ecosystem, columns.identity).in_(some), columns.is_gone.is_(False)
            )
        )
        names.update(row[0] for row in rows)
    await announce(connection, names)
    return len(names)


async def announce(connection: AsyncConnection, names: Collection[str]) -> None:
    """Let these names be evaluated anew, once this transaction has committed."""
    if names:
        rows = [{"name": name, "at": clock.now()} for name in sorted(names)]
        statement = insert(connection, tables.advisory_change)
        renewed = {"at": statement.excluded.at}
        await connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=renewed), rows)


async def announce_ecosystems(connection: AsyncConnection, ecosystems: Collection[str]) -> None:
    """The same for every name that is a package of one of these ecosystems, which a feed now covers or no longer does."""
    columns = tables.advisory_name.c
    rows = await connection.execute(
        select(columns.name).where(columns.ecosystem.in_(sorted(ecosystems)), columns.is_gone.is_(False)).distinct()
    )
    await announce(connection, {row[0] for row in rows})

"""Files of advisories into the database, batch by batch, so that memory stays bounded and other writers get in between.

What a feed repeats is not read again. What it no longer lists is forgotten only when it is a whole listing that was
read to its end, and that did not shrink more than any real day makes it.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.advisories.curating import check_claim, end_claims, write_claims
from headgate.advisories.names import is_shrinking, write_mapping
from headgate.advisories.purls import Package
from headgate.advisories.reading import FeedReader, Read, ReadLimits
from headgate.advisories.statements import Claim, Epss, Mapped, Statement
from headgate.advisories.store import (
    announce_ecosystems,
    announce_packages,
    drop_statements,
    next_revision,
    rebuild,
    write_statements,
)
from headgate.audit.events import Action, record
from headgate.db import tables_advisories as tables
from headgate.db.engine import Database, chunks, insert
from headgate.kernel import clock
from headgate.kernel.errors import Invalid, NotFound

_BATCH = 1_000
# One file that names fewer packages of an ecosystem than this does not count as a feed of it.
_LEAST_PACKAGES = 20


@dataclass(slots=True)
class Outcome:
    """What an import did. `kept` were missing in a listing that shrank too much, and so were not forgotten."""

    feed: str
    statements: int = 0
    changed: int = 0
    retired: int = 0
    kept: int = 0
    scores: int = 0
    curations: int = 0
    names: int = 0
    touched: int = 0
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For an answer, or as a job's result."""
        return asdict(self) | {"problems": self.problems[:20]}


@dataclass(slots=True)
class _Run:
    """One import under way."""

    feed_id: int
    actor: str
    outcome: Outcome
    known: dict[bytes, str]
    seen: set[str] = field(default_factory=set)
    claims: set[str] = field(default_factory=set)
    packages: dict[str, set[str]] = field(default_factory=dict)
    mapping: list[Mapped] = field(default_factory=list)


class Importer:
    """Reads files into feeds; one at a time per feed."""

    def __init__(self, database: Database, limits: ReadLimits | None = None) -> None:
        self._database = database
        self._limits = limits or ReadLimits()
        self._turn = asyncio.Lock()

    async def run(self, actor: str, feed: str, path: Path, *, is_whole: bool, etag: str | None = None) -> Outcome:
        """Read a file into a feed, which must exist. Raises Invalid `feed-invalid`, NotFound `feed-unknown`.

        A file that is refused changes nothing but the feed's `failure`, and what of it was sound and read before.
        """
        async with self._turn:
            run = await self._begin(actor, feed)
            reader = FeedReader(self._limits, known=run.known.keys())
            items = reader.read(path)
            try:
                while batch := await asyncio.to_thread(_take, items):
                    await self._write(run, batch)
            except Invalid as error:
                await self._fail(run, error.message)
                raise
            run.outcome.problems += reader.problems
            await self._finish(run, is_whole=is_whole, is_listing=is_whole or reader.is_archive, etag=etag)
            return run.outcome

    async def _begin(self, actor: str, feed: str) -> _Run:
        columns = tables.advisory_statement.c
        async with self._database.read() as connection:
            number = await get_feed_id(connection, feed)
            rows = await connection.execute(select(columns.digest, columns.key).where(columns.feed_id == number))
            return _Run(number, actor, Outcome(feed), {row.digest: row.key for row in rows})

    async def _write(self, run: _Run, batch: Sequence[Read]) -> None:
        statements: dict[str, tuple[bytes, Statement]] = {}
        scores: list[Epss] = []
        claims: list[Claim] = []
        for read in batch:
            match read.item:
                case None:
                    run.seen.add(run.known[read.digest])
                case Statement() as one:
                    statements[one.id] = read.digest, one
                case Epss() as one:
                    scores.append(one)
                case Claim() as one:
                    claims.append(one)
                case Mapped() as one:
                    run.mapping.append(one)
        run.outcome.scores += len(scores)
        if statements or claims:
            async with self._database.write() as connection:
                await self._write_statements(connection, run, statements)
                await self._write_claims(connection, run, claims)
        if scores:
            async with self._database.write() as connection:
                await _write_scores(connection, scores)

    async def _write_statements(
        self, connection: AsyncConnection, run: _Run, statements: dict[str, tuple[bytes, Statement]]
    ) -> None:
        if not statements:
            return
        run.seen.update(statements)
        for _, one in statements.values():
            for affected in one.affected:
                names = run.packages.setdefault(affected.ecosystem, set())
                if len(names) < _LEAST_PACKAGES:
                    names.add(affected.name)
        revision = await next_revision(connection)
        changed = await rebuild(connection, await write_statements(connection, run.feed_id, statements), revision)
        run.outcome.changed += len(changed.advisories)
        run.outcome.touched += await announce_packages(connection, changed.packages)

    async def _write_claims(self, connection: AsyncConnection, run: _Run, claims: Sequence[Claim]) -> None:
        sound: list[Claim] = []
        for one in claims:
            try:
                check_claim(one)
                sound.append(one)
            except Invalid as error:
                run.outcome.problems.append(error.message)
        run.claims.update(one.key for one in sound)
        made = await write_claims(connection, run.actor, sound, feed=run.outcome.feed)
        run.outcome.curations += made.is_new

    async def _fail(self, run: _Run, sentence: str) -> None:
        async with self._database.write() as connection:
            await mark_failure(connection, run.outcome.feed, sentence)

    async def _finish(self, run: _Run, *, is_whole: bool, is_listing: bool, etag: str | None) -> None:
        outcome = run.outcome
        async with self._database.write() as connection:
            if is_whole:
                await self._forget(connection, run)
            if run.mapping:
                outcome.names, kept = await write_mapping(connection, run.mapping, is_whole=is_whole)
                outcome.kept += kept
            if outcome.scores:
                outcome.touched += await _apply_scores(connection)
            outcome.statements = await _count(connection, run.feed_id)
            values: dict[str, Any] = {
                "checked_at": clock.now(), "read_at": clock.now(), "failure": None, "etag": etag,
                "items": outcome.statements, "note": _note(outcome),
            }  # fmt: skip
            if is_listing:
                values["ecosystems"] = await self._cover(connection, run)
            await next_revision(connection)
            await connection.execute(
                update(tables.advisory_feed).where(tables.advisory_feed.c.id == run.feed_id).values(values)
            )
            detail = {key: value for key, value in outcome.as_json().items() if key not in {"feed", "problems"}}
            await record(connection, Action.ADVISORY_IMPORT, run.actor, subject=outcome.feed, **detail)

    async def _forget(self, connection: AsyncConnection, run: _Run) -> None:
        """Retire what a whole listing no longer has, unless too much is missing."""
        missing = set(run.known.values()) - run.seen
        if is_shrinking(len(run.known), len(missing)) or run.outcome.problems:
            run.outcome.kept += len(missing)
        elif missing:
            ids = await drop_statements(connection, run.feed_id, missing)
            changed = await rebuild(connection, ids, await next_revision(connection))
            run.outcome.retired = len(missing)
            run.outcome.touched += await announce_packages(connection, changed.packages)
        if run.claims:
            await end_claims(connection, run.actor, run.outcome.feed, run.claims)

    async def _cover(self, connection: AsyncConnection, run: _Run) -> list[str]:
        """The ecosystems that the feed covers from now on; names of new ones are evaluated anew."""
        columns = tables.advisory_feed.c
        known = (await connection.execute(select(columns.ecosystems).where(columns.id == run.feed_id))).scalar_one()
        found = {one for one, names in run.packages.items() if one != "conda" and len(names) >= _LEAST_PACKAGES}
        if found - set(known):
            await announce_ecosystems(connection, found - set(known))
        return sorted(found | set(known))


def _take(items: Iterator[Read]) -> list[Read]:
    return list(islice(items, _BATCH))


def _note(outcome: Outcome) -> str | None:
    if not outcome.kept:
        return None
    return f"Its last listing lacked {outcome.kept} that were known; they were kept, because so many cannot have gone."


async def get_feed_id(connection: AsyncConnection, name: str) -> int:
    """Raises NotFound `feed-unknown`."""
    columns = tables.advisory_feed.c
    found: int | None = (await connection.execute(select(columns.id).where(columns.name == name))).scalar_one_or_none()
    if found is None:
        raise NotFound("feed-unknown", f"There is no advisory feed {name}.")
    return found


async def mark_failure(connection: AsyncConnection, feed: str, sentence: str) -> None:
    """Remember that a feed could not be read; what it said before stays."""
    columns = tables.advisory_feed.c
    values = {"checked_at": clock.now(), "failure": sentence}
    await connection.execute(update(tables.advisory_feed).where(columns.name == feed).values(values))


async def _count(connection: AsyncConnection, feed_id: int) -> int:
    columns = tables.advisory_statement.c
    counted = await connection.execute(
        select(func.count()).select_from(tables.advisory_statement).where(columns.feed_id == feed_id)
    )
    number: int = counted.scalar_one()
    return number


async def _write_scores(connection: AsyncConnection, scores: Sequence[Epss]) -> None:
    statement = insert(connection, tables.advisory_score)
    renewed = {"epss": statement.excluded.epss, "percentile": statement.excluded.percentile}
    rows = [{"cve": one.cve, "epss": one.score, "percentile": one.percentile} for one in scores]
    await connection.execute(statement.on_conflict_do_update(index_elements=["cve"], set_=renewed), rows)


async def _apply_scores(connection: AsyncConnection) -> int:
    """Let the advisories whose score changed bear it; how many names that touches."""
    aliases, scores, advisories = tables.advisory_alias.c, tables.advisory_score.c, tables.advisory.c
    best = (
        select(aliases.advisory, func.max(scores.epss).label("epss"))
        .join(tables.advisory_score, scores.cve == aliases.alias)
        .group_by(aliases.advisory)
        .subquery()
    )
    rows = await connection.execute(
        select(advisories.id, best.c.epss)
        .join(best, best.c.advisory == advisories.id)
        .where(advisories.epss.is_distinct_from(best.c.epss))
    )
    changed = {row.id: row.epss for row in rows}
    if not changed:
        return 0
    revision = await next_revision(connection)
    renew = (
        update(tables.advisory)
        .where(advisories.id == bindparam("advisory"))
        .values(epss=bindparam("score"), revision=revision)
    )
    await connection.execute(renew, [{"advisory": name, "score": score} for name, score in changed.items()])
    columns, packages = tables.advisory_affected.c, set[Package]()
    for some in chunks(sorted(changed)):
        found = await connection.execute(select(columns.ecosystem, columns.name).where(columns.advisory.in_(some)))
        packages.update(Package(row.ecosystem, row.name) for row in found)
    return await announce_packages(connection, packages)

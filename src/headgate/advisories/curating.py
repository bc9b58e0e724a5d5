r"""Curations, as they are kept: made, ended, imported, exported; each change one transaction with its audit event.

(absent) --make--> in force --end, or its time is over--> ended
                      |  \--the same again, other words--> ended, and a new one in force
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.advisories.curations import Curation, read_versions
from headgate.advisories.findings import AdvisoryStatus
from headgate.advisories.purls import Package
from headgate.advisories.statements import Claim
from headgate.advisories.store import announce, announce_packages, next_revision
from headgate.advisories.vex import JUSTIFICATIONS, claim_key
from headgate.audit.events import Action, record
from headgate.conda.names import PackageName, Sha256
from headgate.db import tables_advisories as tables
from headgate.db.engine import Database, chunks
from headgate.kernel import clock
from headgate.kernel.errors import HeadgateError, Invalid, NotFound

_SELECTORS = ("name", "version", "build", "sha256")


@dataclass(frozen=True, slots=True, kw_only=True)
class CurationFilter:
    """Which curations to list; members that are None narrow nothing."""

    advisory: str | None = None
    name: str | None = None
    status: AdvisoryStatus | None = None
    author: str | None = None
    with_ended: bool = False
    before: int | None = None


def curation_of(row: Any) -> Curation:
    """The curation of a row."""
    return Curation(
        id=row.id, advisory=row.advisory, status=AdvisoryStatus(row.status), author=row.author,
        created_at=row.created_at, revision=row.revision, name=row.name, version=row.version, build=row.build,
        sha256=row.sha256, justification=row.justification, note=row.note, score=row.score, feed=row.feed,
        key=row.key, expires_at=row.expires_at, ended_at=row.ended_at, ended_by=row.ended_by,
    )  # fmt: skip


class CurationService:
    """Writes what people say of advisories."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_curations(self, wanted: CurationFilter, *, limit: int = 100) -> list[Curation]:
        """The newest first; an advisory by any of its ids."""
        columns = tables.curation.c
        statement = select(tables.curation).order_by(columns.id.desc()).limit(limit)
        if not wanted.with_ended:
            statement = statement.where(columns.ended_at.is_(None))
        if wanted.before is not None:
            statement = statement.where(columns.id < wanted.before)
        for column, value in (
            (columns.name, wanted.name),
            (columns.status, wanted.status),
            (columns.author, wanted.author),
        ):
            statement = statement if value is None else statement.where(column == value)
        async with self._database.read() as connection:
            if wanted.advisory is not None:
                ids = await ids_of(connection, wanted.advisory)
                statement = statement.where(columns.advisory.in_(ids))
            return [curation_of(row) for row in await connection.execute(statement)]

    async def get_many(self, ids: Collection[int]) -> list[Curation]:
        """Those of these ids, by id."""
        columns, found = tables.curation.c, list[Curation]()
        async with self._database.read() as connection:
            for some in chunks(sorted(ids)):
                rows = await connection.execute(select(tables.curation).where(columns.id.in_(some)))
                found.extend(curation_of(row) for row in rows)
        return sorted(found, key=lambda one: one.id)

    async def curate(self, actor: str, claims: Sequence[Claim]) -> list[int]:
        """Say something of advisories and records, in force at once; what was said of the very same before ends.

        The ids of those in force afterwards. Raises Invalid `curation-invalid`.
        """
        for one in claims:
            check_claim(one)
        async with self._database.write() as connection:
            made = await write_claims(connection, actor, claims, feed=None)
            for one in claims:
                await record(connection, Action.ADVISORY_CURATE, actor, subject=one.advisory, **_detail(one))
        return made.ids

    async def end(self, actor: str, numbers: Collection[int]) -> None:
        """Take curations back; their rows stay as history. Raises NotFound `curation-unknown`."""
        async with self._database.write() as connection:
            columns = tables.curation.c
            rows = await connection.execute(
                select(tables.curation).where(columns.id.in_(sorted(numbers)), columns.ended_at.is_(None))
            )
            found = [curation_of(row) for row in rows]
            missing = sorted(set(numbers) - {one.id for one in found})
            if missing:
                raise NotFound("curation-unknown", f"There is no curation {missing[0]} in force.")
            await _end(connection, actor, found)
            for one in found:
                await record(connection, Action.ADVISORY_END_CURATION, actor, subject=one.advisory, id=one.id)

    async def expire(self) -> int:
        """End what has come to its time; how many."""
        columns = tables.curation.c
        chosen = select(tables.curation).where(columns.ended_at.is_(None), columns.expires_at <= clock.now())
        async with self._database.read() as connection:
            if (await connection.execute(chosen.limit(1))).first() is None:
                return 0
        async with self._database.write() as connection:
            found = [curation_of(row) for row in await connection.execute(chosen)]
            await _end(connection, "headgate", found)
            for one in found:
                await record(connection, Action.ADVISORY_END_CURATION, "headgate", subject=one.advisory, id=one.id)
        return len(found)


@dataclass(slots=True)
class Made:
    """What writing claims did: `ids` of those in force afterwards, how many of them are new."""

    ids: list[int]
    is_new: int = 0


async def write_claims(connection: AsyncConnection, actor: str, claims: Iterable[Claim], *, feed: str | None) -> Made:
    """Put claims in force; one that says just what is said already stays as it is."""
    made, now = Made([]), clock.now()
    wanted = {one.key: one for one in claims}
    known = {one.key: one for one in await _in_force(connection, wanted, feed)}
    fresh = {key: one for key, one in wanted.items() if key not in known or not _is_same(known[key], one)}
    made.ids = [one.id for key, one in known.items() if key not in fresh]
    made.is_new = len(fresh)
    if not fresh:
        return made
    await _end(connection, actor, [known[key] for key in fresh if key in known])
    revision = await next_revision(connection)
    for one in fresh.values():
        row = {
            **{
                name: getattr(one, name)
                for name in (*_SELECTORS, "advisory", "status", "justification", "note", "score")
            },
            "author": one.author or actor,
            "feed": feed,
            "key": one.key,
            "created_at": moment_of(one.stated) or now if feed is not None else now,
            "expires_at": moment_of(one.expires),
            "revision": revision,
        }
        inserted = await connection.execute(tables.curation.insert().values(row).returning(tables.curation.c.id))
        made.ids.append(inserted.scalar_one())
    await _announce(connection, [(one.advisory, one.name) for one in fresh.values()])
    return made


def _is_same(known: Curation, claim: Claim) -> bool:
    return (
        known.status == claim.status
        and (known.justification, known.note, known.score) == (claim.justification, claim.note, claim.score)
        and known.expires_at == moment_of(claim.expires)
        and claim.author in {None, known.author}
    )


async def _in_force(connection: AsyncConnection, keys: Collection[str], feed: str | None) -> list[Curation]:
    columns, found = tables.curation.c, list[Curation]()
    statement = select(tables.curation).where(columns.ended_at.is_(None), columns.feed.is_not_distinct_from(feed))
    for some in chunks(sorted(keys)):
        found.extend(curation_of(row) for row in await connection.execute(statement.where(columns.key.in_(some))))
    return found


async def end_claims(connection: AsyncConnection, actor: str, feed: str, kept: Collection[str] | None = None) -> int:
    """End what a feed says no more: all whose key is not in `kept`; without `kept`, all. How many."""
    columns = tables.curation.c
    rows = await connection.execute(select(tables.curation).where(columns.ended_at.is_(None), columns.feed == feed))
    gone = [curation_of(row) for row in rows if kept is None or row.key not in kept]
    await _end(connection, actor, gone)
    return len(gone)


async def _end(connection: AsyncConnection, actor: str, ended: Sequence[Curation]) -> None:
    if not ended:
        return
    revision, columns = await next_revision(connection), tables.curation.c
    for some in chunks([one.id for one in ended]):
        values = {"ended_at": clock.now(), "ended_by": actor, "revision": revision}
        await connection.execute(update(tables.curation).where(columns.id.in_(some)).values(values))
    await _announce(connection, [(one.advisory, one.name) for one in ended])


async def _announce(connection: AsyncConnection, said: Sequence[tuple[str, str | None]]) -> None:
    await announce(connection, {name for _, name in said if name is not None})
    general = {advisory for advisory, name in said if name is None}
    packages: set[Package] = set()
    columns = tables.advisory_affected.c
    for advisory in general:
        ids = await ids_of(connection, advisory)
        rows = await connection.execute(select(columns.ecosystem, columns.name).where(columns.advisory.in_(ids)))
        packages.update(Package(row.ecosystem, row.name) for row in rows)
    await announce_packages(connection, packages)


async def ids_of(connection: AsyncConnection, name: str) -> list[str]:
    """Every id of the advisory that bears this one; this one alone when there is no such advisory."""
    columns = tables.advisory_alias.c
    advisory = select(columns.advisory).where(columns.alias == name).scalar_subquery()
    rows = await connection.execute(select(columns.alias).where(columns.advisory == advisory))
    return sorted({name, *(row[0] for row in rows)})


def check_claim(claim: Claim) -> None:
    """Raises Invalid `curation-invalid` for a claim that cannot be kept."""
    try:
        _check(claim)
    except HeadgateError as error:
        raise Invalid(
            "curation-invalid", f"The curation of {claim.advisory[:200]} is not valid: {error.message}"
        ) from error


def _check(claim: Claim) -> None:
    if not 3 <= len(claim.advisory) <= 200 or claim.advisory != claim.advisory.strip() or "\0" in claim.advisory:
        raise Invalid("curation-invalid", "It names no advisory.")
    if claim.status not in set(AdvisoryStatus):
        raise Invalid("curation-invalid", f"{claim.status[:40]!r} is no status.")
    _check_selectors(claim)
    if claim.justification is not None and claim.justification not in JUSTIFICATIONS:
        raise Invalid("curation-invalid", f"The justification is none of {', '.join(JUSTIFICATIONS)}.")
    if claim.score is not None and not 0 <= claim.score <= 10:
        raise Invalid("curation-invalid", "A score lies between 0 and 10.")
    if any("\0" in text for text in (claim.note, claim.build, claim.author) if text):
        raise Invalid("curation-invalid", "A text holds a null character.")
    for text in (claim.expires, claim.stated):
        if text is not None and moment_of(text) is None:
            raise Invalid("curation-invalid", f"{text[:40]!r} is no moment, such as 2027-01-31T00:00:00Z.")


def _check_selectors(claim: Claim) -> None:
    if claim.name is not None:
        PackageName.parse(claim.name)
    elif any((claim.version, claim.build, claim.sha256)):
        raise Invalid("curation-invalid", "A version, a build or a sha256 needs the name of its package.")
    if claim.sha256 is not None:
        Sha256.parse(claim.sha256)
    if claim.version is not None:
        read_versions(claim.version)


def moment_of(text: str | None) -> datetime | None:
    """An RFC 3339 moment, or a date, as aware UTC; None when it is none."""
    try:
        found = datetime.fromisoformat(text or "")
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _detail(claim: Claim) -> dict[str, Any]:
    return {key: value for key, value in msgspec.to_builtins(claim).items() if key not in {"advisory", "key"}}


def claim_of(curation: Curation) -> Claim:
    """A curation as it is exported."""
    expires = None if curation.expires_at is None else curation.expires_at.isoformat()
    same = {
        name: getattr(curation, name) for name in (*_SELECTORS, "advisory", "justification", "note", "author", "score")
    }
    return Claim(
        key=curation.key, status=curation.status.value, stated=curation.created_at.isoformat(), expires=expires, **same
    )


def new_claim(advisory: str, status: AdvisoryStatus, **given: Any) -> Claim:
    """A claim with the key of what it speaks of."""
    selectors = [given.get(name) for name in _SELECTORS]
    return Claim(key=claim_key(advisory, *selectors), advisory=advisory, status=status.value, **given)

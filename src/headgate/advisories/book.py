"""Advisories in a process's memory: loaded once, then followed change by change.

What is kept per advisory is small, and what it affects stays packed until a record asks. Products of NVD (CPE) are
only taken in for packages that somebody gave such an identity.
"""

import asyncio
import hashlib
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.advisories.assessing import Brief, Knowledge, Naming
from headgate.advisories.curating import curation_of
from headgate.advisories.curations import Curation
from headgate.advisories.findings import Assessment
from headgate.advisories.identities import NameRows
from headgate.advisories.purls import Package
from headgate.advisories.store import TOPIC
from headgate.conda.records import RecordView
from headgate.db import tables_advisories as tables
from headgate.db.engine import chunks, read_epochs

# So many changed advisories are read at a time: rows take more memory than what is kept of them.
_PAGE = 2_000


@dataclass(slots=True)
class _Draft:
    """The next knowledge while it is made: the maps are copies, their values are replaced, never changed."""

    names: dict[str, NameRows]
    affected: dict[Package, tuple[Naming, ...]]
    briefs: dict[str, Brief]
    canonical: dict[str, str]
    packages: dict[str, tuple[Package, ...]]


class AdvisoryBook:
    """Assesses records; as a topic of `Snapshots` it follows the database."""

    def __init__(self) -> None:
        self.knowledge = Knowledge()
        self._packages: dict[str, tuple[Package, ...]] = {}
        self._revision = 0
        self._loading = asyncio.Lock()

    def digest(self, name: str) -> bytes:
        """Changes exactly when an assessment of this name may change."""
        return self.knowledge.digest(name)

    def assess(self, name: str, records: Mapping[str, RecordView]) -> Mapping[str, Assessment]:
        """File name -> assessment, of records in wire form."""
        return self.knowledge.assess(name, records)

    def usual(self, name: str) -> Assessment | None:
        """The assessment of every record of this name that brings no purls; None: it depends on the record."""
        return self.knowledge.usual(name)

    def newest_feed_at(self) -> datetime | None:
        """When a feed of advisories was last read with success; None: never."""
        return self.knowledge.newest_feed_at

    async def load(self, connection: AsyncConnection) -> None:
        """Take in what changed since the last time."""
        async with self._loading:
            until = (await read_epochs(connection)).get(TOPIC, 0)
            if until > self._revision:
                await self._follow(connection, self._revision, until)

    async def _follow(self, connection: AsyncConnection, since: int, until: int) -> None:
        old = self.knowledge
        draft = _Draft(dict(old.names), dict(old.affected), dict(old.briefs), dict(old.canonical), dict(self._packages))
        products = await _load_names(connection, draft, since)
        products -= draft.affected.keys()
        await _load_advisories(connection, draft, since, _followed(draft) - products)
        await _load_products(connection, draft, products)
        curations = await _read_curations(connection)
        columns = tables.advisory_feed.c
        feeds = (await connection.execute(select(columns.name, columns.ecosystems, columns.read_at))).all()
        self.knowledge = replace(
            old,
            names=draft.names,
            affected=draft.affected,
            briefs=draft.briefs,
            canonical=draft.canonical,
            ecosystems=frozenset(one for row in feeds for one in row.ecosystems),
            curations_of_name=_by((one for one in curations if one.name is not None), "name"),
            curations_of_advisory=_by((one for one in curations if one.name is None), "advisory"),
            feeds={row.name: row.read_at for row in feeds},
            newest_feed_at=max((row.read_at for row in feeds if row.ecosystems and row.read_at), default=None),
        )
        self._packages, self._revision = draft.packages, until


async def _load_names(connection: AsyncConnection, draft: _Draft, since: int) -> set[Package]:
    """The names that changed; the CPE products among what they are now."""
    columns = tables.advisory_name.c
    rows = await connection.execute(
        select(columns.name, columns.origin, columns.ecosystem, columns.identity, columns.is_gone).where(
            columns.revision > since
        )
    )
    products: set[Package] = set()
    for row in rows:
        one = (row.origin, row.ecosystem, row.identity)
        left = tuple(known for known in draft.names.get(row.name, ()) if known != one)
        if left or not row.is_gone:
            draft.names[row.name] = left if row.is_gone else (*left, one)
        else:
            draft.names.pop(row.name, None)
        if row.ecosystem == "CPE" and not row.is_gone:
            products.add(Package(row.ecosystem, row.identity))
    return products


def _followed(draft: _Draft) -> set[Package]:
    """The CPE products that somebody gave a package as its identity."""
    said = {(ecosystem, identity) for rows in draft.names.values() for _, ecosystem, identity in rows}
    return {Package(ecosystem, identity) for ecosystem, identity in said if ecosystem == "CPE"}


async def _load_advisories(
    connection: AsyncConnection, draft: _Draft, since: int, products: Collection[Package]
) -> None:
    columns = tables.advisory.c
    shown = (columns.id, columns.state, columns.digest, columns.cvss, columns.severity, columns.epss,
             columns.is_known_exploited, columns.is_malicious)  # fmt: skip
    statement = select(*shown).where(columns.revision > since).order_by(columns.id).limit(_PAGE)
    last = ""
    while rows := (await connection.execute(statement.where(columns.id > last))).all():
        last = rows[-1].id
        await _load_page(connection, draft, rows, products)


async def _load_page(
    connection: AsyncConnection, draft: _Draft, rows: Sequence[Any], products: Collection[Package]
) -> None:
    changed = {row.id for row in rows}
    aliases = await _read_aliases(connection, changed)
    for row in rows:
        _forget(draft, row.id)
        if row.state == "live":
            others = tuple(sorted(aliases.get(row.id, set()) - {row.id}))
            draft.briefs[row.id] = _brief(row, others)
            draft.canonical.update(dict.fromkeys(others, row.id))
    found = tables.advisory_affected.c
    statement = select(found.advisory, found.ecosystem, found.name, found.body)
    for row in await _rows(connection, statement, found.advisory, changed):
        if row.ecosystem != "CPE" or Package(row.ecosystem, row.name) in products:
            _add(draft, row)


def _brief(row: Any, aliases: tuple[str, ...]) -> Brief:
    said = row.digest + repr((row.epss, row.is_known_exploited)).encode()
    digest = hashlib.blake2b(said, digest_size=12).digest()
    severity = None if row.severity is None else sys.intern(row.severity)
    return Brief(row.id, aliases, row.cvss, severity, row.epss, row.is_known_exploited, row.is_malicious, digest)


async def _load_products(connection: AsyncConnection, draft: _Draft, products: Collection[Package]) -> None:
    columns = tables.advisory_affected.c
    statement = select(columns.advisory, columns.ecosystem, columns.name, columns.body)
    for some in chunks(sorted((one.ecosystem, one.name) for one in products), 400):
        for row in await connection.execute(statement.where(tuple_(columns.ecosystem, columns.name).in_(some))):
            _add(draft, row)


def _add(draft: _Draft, row: Any) -> None:
    brief = draft.briefs.get(row.advisory)
    if brief is None:
        return
    # Texts that are the same are one object: there are hundreds of thousands of each.
    package = Package(sys.intern(row.ecosystem), row.name)
    draft.affected[package] = (*draft.affected.get(package, ()), Naming(brief.id, row.body))
    draft.packages[brief.id] = (*draft.packages.get(brief.id, ()), package)


def _forget(draft: _Draft, advisory: str) -> None:
    for package in draft.packages.pop(advisory, ()):
        left = tuple(one for one in draft.affected.get(package, ()) if one.advisory != advisory)
        if left:
            draft.affected[package] = left
        else:
            draft.affected.pop(package, None)
    brief = draft.briefs.pop(advisory, None)
    for alias in () if brief is None else (advisory, *brief.aliases):
        if draft.canonical.get(alias) == advisory:
            del draft.canonical[alias]


async def _read_aliases(connection: AsyncConnection, advisories: Collection[str]) -> dict[str, set[str]]:
    columns, found = tables.advisory_alias.c, dict[str, set[str]]()
    statement = select(columns.alias, columns.advisory)
    for row in await _rows(connection, statement, columns.advisory, advisories):
        found.setdefault(row.advisory, set()).add(row.alias)
    return found


async def _rows(connection: AsyncConnection, statement: Any, column: Any, wanted: Collection[str]) -> Iterable[Any]:
    found: list[Any] = []
    for some in chunks(sorted(wanted)):
        found.extend(await connection.execute(statement.where(column.in_(some))))
    return found


async def _read_curations(connection: AsyncConnection) -> list[Curation]:
    columns = tables.curation.c
    rows = await connection.execute(select(tables.curation).where(columns.ended_at.is_(None)).order_by(columns.id))
    return [curation_of(row) for row in rows]


def _by(curations: Iterable[Curation], key: str) -> dict[str, tuple[Curation, ...]]:
    found: dict[str, tuple[Curation, ...]] = {}
    for one in curations:
        word = getattr(one, key)
        found[word] = (*found.get(word, ()), one)
    return found

"""The advisories as they are kept: listed, found by any of their ids."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.advisories.curating import ids_of
from headgate.advisories.merging import Advisory
from headgate.advisories.purls import Package
from headgate.advisories.store import unpack_body
from headgate.db import tables_advisories as tables
from headgate.db.engine import Database, chunks
from headgate.kernel.errors import NotFound

Condition = ColumnElement[bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvisoryFilter:
    """Which advisories to list; members that are None narrow nothing."""

    text: str | None = None
    severities: Sequence[str] | None = None
    least_cvss: float | None = None
    most_cvss: float | None = None
    packages: Sequence[Package] | None = None
    is_known_exploited: bool | None = None
    is_malicious: bool | None = None
    with_withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """An advisory, how likely it is to be exploited, and whether it was withdrawn."""

    advisory: Advisory
    epss: float | None
    is_withdrawn: bool


class AdvisoryCatalogue:
    """Reads advisories."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_advisories(self, wanted: AdvisoryFilter, *, after: str = "", limit: int = 100) -> list[Listed]:
        """By id, those behind `after`."""
        columns = tables.advisory.c
        statement = select(columns.body, columns.epss, columns.state).where(columns.id > after, *_conditions(wanted))
        async with self._database.read() as connection:
            rows = await connection.execute(statement.order_by(columns.id).limit(limit))
            return [Listed(unpack_body(row.body), row.epss, row.state == "withdrawn") for row in rows]

    async def list_ids(self, wanted: AdvisoryFilter, most: int) -> list[str]:
        """The ids alone, at most `most` of them."""
        columns = tables.advisory.c
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(columns.id).where(*_conditions(wanted)).order_by(columns.id).limit(most)
            )
            return [row.id for row in rows]

    async def get_advisory(self, name: str) -> Listed:
        """By any of its ids. Raises NotFound `advisory-unknown`."""
        async with self._database.read() as connection:
            found = await self._find(connection, await ids_of(connection, name))
        if not found:
            raise NotFound("advisory-unknown", f"There is no advisory {name[:200]}.")
        return found[0]

    async def get_many(self, ids: Sequence[str]) -> dict[str, Listed]:
        """By canonical id; those that are not there are missing."""
        async with self._database.read() as connection:
            return {one.advisory.id: one for one in await self._find(connection, ids)}

    async def _find(self, connection: AsyncConnection, ids: Sequence[str]) -> list[Listed]:
        columns, found = tables.advisory.c, list[Listed]()
        statement = select(columns.body, columns.epss, columns.state)
        for some in chunks(sorted(set(ids))):
            rows = await connection.execute(statement.where(columns.id.in_(some), columns.state != "merged"))
            found.extend(Listed(unpack_body(row.body), row.epss, row.state == "withdrawn") for row in rows)
        return found

    async def count(self) -> dict[str, int]:
        """How many advisories are in each state."""
        columns = tables.advisory.c
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(columns.state, func.count()).where(columns.state != "merged").group_by(columns.state)
            )
            return {row[0]: row[1] for row in rows}


def _conditions(wanted: AdvisoryFilter) -> list[Condition]:
    columns, aliases = tables.advisory.c, tables.advisory_alias.c
    found: list[Condition] = [columns.state == "live"] if not wanted.with_withdrawn else [columns.state != "merged"]
    if wanted.text is not None:
        has_alias = exists(
            select(aliases.alias).where(
                aliases.advisory == columns.id, aliases.alias.icontains(wanted.text, autoescape=True)
            )
        )
        found.append(or_(has_alias, columns.summary.icontains(wanted.text, autoescape=True)))
    if wanted.severities is not None:
        found.append(columns.severity.in_(wanted.severities))
    if wanted.least_cvss is not None:
        found.append(columns.cvss >= wanted.least_cvss)
    if wanted.most_cvss is not None:
        found.append(columns.cvss <= wanted.most_cvss)
    if wanted.is_known_exploited is not None:
        found.append(columns.is_known_exploited.is_(wanted.is_known_exploited))
    if wanted.is_malicious is not None:
        found.append(columns.is_malicious.is_(wanted.is_malicious))
    if wanted.packages is not None:
        found.append(_affects(wanted.packages))
    return found


def _affects(packages: Sequence[Package]) -> Condition:
    columns = tables.advisory_affected.c
    same = [(columns.ecosystem == one.ecosystem) & (columns.name == one.name) for one in packages]
    return tables.advisory.c.id.in_(select(columns.advisory).where(or_(false(), *same)))

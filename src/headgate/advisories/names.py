"""Which upstream package each conda name is, as it is kept: the name mapping, what people set, what records told."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.advisories.identities import Identity, NameRows, Origin, from_purls, from_urls, identities_of, mapped
from headgate.advisories.purls import Package, read_purl
from headgate.advisories.statements import Mapped
from headgate.advisories.store import announce, next_revision
from headgate.audit.events import Action, record
from headgate.conda.names import PackageName
from headgate.db import tables_advisories as tables
from headgate.db.engine import Database, chunks, insert
from headgate.kernel.errors import Invalid

Rows = dict[tuple[str, str], bool]
"""(ecosystem, package) -> whether it is gone."""


@dataclass(frozen=True, slots=True)
class KnownName:
    """A conda name and what it is said to be."""

    name: str
    identities: tuple[Identity, ...]


class NameService:
    """Reads and writes what conda names are."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_names(
        self, *, name: str | None = None, origin: Origin | None = None, after: str = "", limit: int = 100
    ) -> list[KnownName]:
        """By name; one of them, or those behind `after`, of which some origin says anything."""
        columns = tables.advisory_name.c
        chosen = select(columns.name).where(columns.is_gone.is_(False), columns.name > after).distinct()
        if name is not None:
            chosen = chosen.where(columns.name == name)
        if origin is not None:
            chosen = chosen.where(columns.origin == origin)
        async with self._database.read() as connection:
            names = [row[0] for row in await connection.execute(chosen.order_by(columns.name).limit(limit))]
            rows = await _live_rows(connection, names)
        return [KnownName(one, identities_of(one, tuple(rows.get(one, ())))) for one in names]

    async def set_name(self, actor: str, name: str, purls: Sequence[str] | None) -> None:
        """Say which packages a conda name is (none of them: it is no PyPI package); None takes that back.

        Raises Invalid `package-name-invalid`, `purl-invalid`.
        """
        conda_name = PackageName.parse(name)
        packages = [_read(purl) for purl in purls or ()]
        wanted = {(one.ecosystem, one.name) for one in packages}
        if purls is not None and not packages:
            wanted = {("PyPI", "")}
        async with self._database.write() as connection:
            await record(
                connection, Action.ADVISORY_SET_NAME, actor, subject=name, purls=None if purls is None else list(purls)
            )
            await write_names(connection, Origin.CURATED, {conda_name: wanted})


def _read(purl: str) -> Package:
    read = read_purl(purl)
    if read is None or read[0].ecosystem == "conda":
        raise Invalid(
            "purl-invalid",
            f"{purl[:200]!r} is no package URL of an upstream: write pkg:pypi/name, pkg:cran/name, or cpe:2.3:a:vendor:name.",
        )
    return read[0]


async def _live_rows(connection: AsyncConnection, names: Sequence[str]) -> dict[str, NameRows]:
    columns, found = tables.advisory_name.c, dict[str, NameRows]()
    statement = select(columns.name, columns.origin, columns.ecosystem, columns.identity)
    for some in chunks(names):
        for row in await connection.execute(statement.where(columns.name.in_(some), columns.is_gone.is_(False))):
            found[row.name] = (*found.get(row.name, ()), (row.origin, row.ecosystem, row.identity))
    return found


async def write_mapping(connection: AsyncConnection, items: Iterable[Mapped], *, is_whole: bool) -> tuple[int, int]:
    """Take a name mapping; names that it no longer has go when it `is_whole`. (names changed, names kept against it)."""
    wanted = {
        one.name: {(found.package.ecosystem, found.package.name) for found in mapped(one.name, one.names)}
        for one in items
    }
    columns = tables.advisory_name.c
    chosen = select(columns.name).where(columns.origin == Origin.MAPPING, columns.is_gone.is_(False)).distinct()
    known = {row[0] for row in await connection.execute(chosen)}
    missing = known - wanted.keys()
    is_shrunken = is_shrinking(len(known), len(missing))
    if is_whole and not is_shrunken:
        wanted.update({name: set() for name in missing})
    changed = await write_names(connection, Origin.MAPPING, wanted)
    return changed, len(missing) if is_whole and is_shrunken else 0


def is_shrinking(known: int, missing: int) -> bool:
    """Whether a feed lost more than any real day takes away: then nothing is forgotten."""
    return missing > max(20, known // 10)


async def learn(
    connection: AsyncConnection, purls: Mapping[str, Iterable[str]], urls: Mapping[str, Iterable[str]]
) -> None:
    """Remember what new records of packages say of their upstream; nothing is written when it is known.

    Only so is it known which names an advisory touches. What was told once stays: other builds may still say it.
    """
    for origin, read, told in ((Origin.PURL, from_purls, purls), (Origin.SOURCE_URL, from_urls, urls)):
        found = {
            name: {(one.package.ecosystem, one.package.name) for one in read(texts)} for name, texts in told.items()
        }
        wanted = {name: packages for name, packages in found.items() if packages}
        if not wanted:
            continue
        for name, known in (await _known(connection, origin, wanted)).items():
            wanted[name] = wanted.get(name, set()) | {one for one, is_gone in known.items() if not is_gone}
        await write_names(connection, origin, {name: wanted[name] for name in found if name in wanted})


async def write_names(connection: AsyncConnection, origin: Origin, wanted: Mapping[str, set[tuple[str, str]]]) -> int:
    """Let these names be these packages (ecosystem, name), by this origin; how many names that changed."""
    known = await _known(connection, origin, wanted)
    rows: list[dict[str, object]] = []
    changed: set[str] = set()
    for name, packages in wanted.items():
        before = known.get(name, {})
        states = dict.fromkeys(packages, False) | dict.fromkeys(before.keys() - packages, True)
        news = {one: is_gone for one, is_gone in states.items() if before.get(one) != is_gone}
        changed.update([name] if news else [])
        rows += [
            {"name": name, "origin": origin.value, "ecosystem": one[0], "identity": one[1], "is_gone": is_gone}
            for one, is_gone in news.items()
        ]
    if rows:
        revision = await next_revision(connection)
        statement = insert(connection, tables.advisory_name)
        renewed = {"is_gone": statement.excluded.is_gone, "revision": statement.excluded.revision}
        statement = statement.on_conflict_do_update(
            index_elements=["name", "origin", "ecosystem", "identity"], set_=renewed
        )
        await connection.execute(statement, [row | {"revision": revision} for row in rows])
        await announce(connection, changed)
    return len(changed)


async def _known(connection: AsyncConnection, origin: Origin, wanted: Mapping[str, object]) -> dict[str, Rows]:
    columns, found = tables.advisory_name.c, dict[str, Rows]()
    statement = select(columns.name, columns.ecosystem, columns.identity, columns.is_gone).where(
        columns.origin == origin
    )
    pieces = [statement] if len(wanted) > 2_000 else [
        statement.where(columns.name.in_(some)) for some in chunks(sorted(wanted))
    ]  # fmt: skip
    for one in pieces:
        for row in await connection.execute(one):
            found.setdefault(row.name, {})[row.ecosystem, row.identity] = row.is_gone
    return found

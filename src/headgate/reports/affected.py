"""The blast radius: what an advisory, a spec or a digest means here. Which files, in which channels, and who took them.

Files are those that channels list now, and those that were downloaded though nothing lists them any more: of these only the
name is known, and what it says counts.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select, tuple_

from headgate.advisories.book import AdvisoryBook
from headgate.advisories.curating import ids_of
from headgate.audit.access_store import AccessStore, downloads_of, read_parts
from headgate.channels.incidents import IncidentKind, check_target
from headgate.channels.maps import Maps
from headgate.channels.model import Channel, SubdirState
from headgate.channels.shards import read_shards
from headgate.conda.names import ArtifactName, Sha256
from headgate.conda.records import Record
from headgate.conda.shards import decode_stored, unpack_shard
from headgate.db import tables, tables_advisories
from headgate.db.engine import Database, chunks
from headgate.kernel import clock
from headgate.kernel.errors import Invalid
from headgate.policy.specs import parse_policy_spec
from headgate.reports.report import Report, iterate

_BATCH = 500
COLUMNS = (
    "channel", "subdir", "filename", "sha256", "listed", "user", "client", "downloads", "refused", "first_at", "last_at",
)  # fmt: skip
Match = Callable[[str, Mapping[str, Record]], Collection[str]]
"""(package, its records by file name) -> the file names that are meant."""


class File(NamedTuple):
    """A file of a channel."""

    channel: str
    subdir: str
    filename: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Taking:
    """Who took a file, with what, how often and when."""

    file: File
    user: str
    client: str
    downloads: int
    refused: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Affected:
    """What a target means here."""

    kind: IncidentKind
    target: str
    listed: frozenset[File]
    takings: Sequence[Taking]

    @property
    def files(self) -> list[File]:
        """Every file, in their order."""
        return sorted({*self.listed, *(one.file for one in self.takings)})

    @property
    def users(self) -> list[str]:
        """Everybody who downloaded one."""
        return sorted({one.user for one in self.takings if one.downloads})

    def report(self) -> Report:
        """A row for each file and who took it; files that nobody took have one row as well."""
        taken = {one.file for one in self.takings}
        rows: list[tuple[Any, ...]] = [
            (
                *one.file,
                one.file in self.listed,
                one.user,
                one.client,
                one.downloads,
                one.refused,
                one.first_at,
                one.last_at,
            )
            for one in self.takings
        ]
        rows += [(*file, True, None, None, 0, 0, None, None) for file in self.listed - taken]
        return Report("affected", COLUMNS, iterate(sorted(rows, key=lambda row: (row[:4], str(row[5:7])))))


class BlastRadius:
    """Finds what is affected, among the channels that it is given."""

    def __init__(self, database: Database, store: AccessStore, maps: Maps, book: AdvisoryBook) -> None:
        self._database = database
        self._store = store
        self._maps = maps
        self._book = book

    async def find(self, kind: IncidentKind, target: str, channels: Iterable[Channel]) -> Affected:
        """Raises Invalid as `check_target` does."""
        target = check_target(kind, target)
        chosen = list(channels)
        if kind is IncidentKind.SHA256:
            names, match = await self._names_with(target, chosen), _by_digest(target)
        elif kind is IncidentKind.SPEC:
            names, match = {parse_policy_spec(target).exact_name or ""}, _by_spec(target)
        else:
            async with self._database.read() as connection:
                ids = await ids_of(connection, target)
            names, match = await self._names_of(ids), self._by_advisory(ids)
        listed = frozenset([file for channel in chosen for file in await self._listed(channel, names, match)])
        takings = await self._takings(names, {one.name for one in chosen}, listed, match)
        return Affected(kind, target, listed, takings)

    async def _listed(self, channel: Channel, names: Collection[str], match: Match) -> list[File]:
        found = []
        for subdir, state in sorted(channel.subdirs.items()):
            digests = (await self._maps.get(state)).digests
            wanted = {name: digests[name] for name in names if name in digests}
            async with self._database.read() as connection:
                bodies = await read_shards(connection, wanted.values())
            for name, digest in wanted.items():
                records = dict(decode_stored(bodies[digest]).records()) if digest in bodies else {}
                meant = match(name, records)
                found += [File(channel.name, subdir, one, _hex(records[one].get("sha256"))) for one in meant]
        return found

    async def _takings(
        self, names: Collection[str], channels: Collection[str], listed: Collection[File], match: Match
    ) -> list[Taking]:
        rows: list[Taking] = []
        async with self._store.database.read() as connection:
            found = downloads_of(await read_parts(connection)).c
            keys = [found.channel, found.subdir, found.filename, found.sha256, found.who, found.client]
            counts = [
                func.sum(found.downloads),
                func.sum(found.refused),
                func.min(found.first_at),
                func.max(found.last_at),
            ]
            for some in chunks(sorted(names)):
                statement = select(*keys, *counts).where(found.package.in_(some)).group_by(*keys).order_by(*keys)
                rows.extend([_taking(row) for row in await connection.execute(statement)])
        known = {one[:3] for one in listed}
        digests = {one.sha256 for one in listed}
        return [
            one
            for one in rows
            if one.file.channel in channels
            and (
                one.file in listed
                or one.file.sha256 in digests
                or (one.file[:3] not in known and _is_meant(one.file, match))
            )
        ]

    async def _names_of(self, ids: Collection[str]) -> set[str]:
        """The conda names of the packages that advisories affect."""
        affected, names = tables_advisories.advisory_affected.c, tables_advisories.advisory_name.c
        async with self._database.read() as connection:
            rows = await connection.execute(select(affected.ecosystem, affected.name).where(affected.advisory.in_(ids)))
            packages = [(row.ecosystem, row.name) for row in rows]
            found = {name.lower() for _, name in packages}
            for some in chunks(packages, 400):
                chosen = tuple_(names.ecosystem, names.identity).in_(some)
                found |= set((await connection.execute(select(names.name).where(chosen))).scalars())
        return found

    async def _names_with(self, digest: str, channels: Iterable[Channel]) -> set[str]:
        """The packages that have a file of this digest: as downloads or kept files say; else every shard is looked at."""
        artifacts = tables.artifact.c
        async with self._database.read() as connection:
            statement = select(artifacts.package).where(artifacts.sha256 == digest).distinct()
            kept = set((await connection.execute(statement)).scalars())
        async with self._store.database.read() as connection:
            found = downloads_of(await read_parts(connection)).c
            statement = select(found.package).where(found.sha256 == digest).distinct()
            names = kept | set((await connection.execute(statement)).scalars())
        if not names:
            raw = Sha256(digest).raw
            for channel in channels:
                for state in channel.subdirs.values():
                    names |= await self._search(state, raw)
        return names

    async def _search(self, state: SubdirState, raw: bytes) -> set[str]:
        digests = (await self._maps.get(state)).digests
        names = {digest: name for name, digest in digests.items()}
        found: set[str] = set()
        for some in chunks(list(names), _BATCH):
            async with self._database.read() as connection:
                bodies = await read_shards(connection, some)
            found |= {names[one] for one in await asyncio.to_thread(_holding, bodies, raw)}
        return found

    def _by_advisory(self, ids: Collection[str]) -> Match:
        wanted = {one.upper() for one in ids}

        def match(name: str, records: Mapping[str, Record]) -> Collection[str]:
            assessments = self._book.assess(name, records)
            return [
                filename
                for filename, one in assessments.items()
                if any(not wanted.isdisjoint({f.advisory.upper(), *map(str.upper, f.aliases)}) for f in one.findings)
            ]

        return match


def _holding(bodies: Mapping[bytes, bytes], raw: bytes) -> list[bytes]:
    return [digest for digest, body in bodies.items() if raw in unpack_shard(body)]


def _by_digest(digest: str) -> Match:
    return lambda _, records: [name for name, record in records.items() if _hex(record.get("sha256")) == digest]


def _by_spec(text: str) -> Match:
    spec = parse_policy_spec(text)
    return lambda _, records: [name for name, record in records.items() if spec.surely_matches(record)]


def _is_meant(file: File, match: Match) -> bool:
    """By the little that is known of a file which nothing lists any more."""
    try:
        name = ArtifactName.parse(file.filename)
    except Invalid:
        return False
    tail = name.build.rpartition("_")[2]
    record: Record = {
        "name": name.name,
        "version": name.version,
        "build": name.build,
        "build_number": int(tail) if tail.isdecimal() and len(tail) < 10 else 0,
        "subdir": file.subdir,
        "sha256": bytes.fromhex(file.sha256) if file.sha256 else None,
    }
    return bool(match(name.name, {file.filename: record}))


def _taking(row: Any) -> Taking:
    file = File(row[0], row[1], row[2], row[3])
    return Taking(file, row[4], row[5], int(row[6]), int(row[7]), clock.from_ms(row[8]), clock.from_ms(row[9]))


def _hex(digest: object) -> str:
    return digest.hex() if isinstance(digest, bytes) else str(digest or "")

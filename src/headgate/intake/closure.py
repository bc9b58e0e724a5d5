"""What must pass besides what filters ask for, so that it can be installed: asked of the solver that clients use.

    names reachable from only_specs -> records that pass the other filters -> one solve per record asked for, per platform

The solutions together are the closure. A record that no solution exists for passes alone, and a sentence says so.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.channels.filters import FilterSettings
from headgate.channels.model import Channel, Source
from headgate.channels.revisions import publish
from headgate.channels.shards import read_shards
from headgate.conda.names import ArtifactName
from headgate.conda.records import Record
from headgate.conda.shards import Shard, decode_stored
from headgate.conda.solving import Index, Unsolvable, opened_index
from headgate.conda.specs import age_key, matches
from headgate.db import tables
from headgate.db.engine import Database, chunks
from headgate.intake.filters import Known, Sieve, Specs, by_name
from headgate.intake.screens import known_of, open_screen, pack_names, refilter, unpack_names
from headgate.kernel.errors import Invalid

_MOST_SOLVES = 2_000
_NOARCH = "noarch"
# Generous, as no machine is meant in particular; what is no platform at all gets everything.
_GENEROUS = {
    "linux": {"__linux": "6.12", "__glibc": "2.41", "__cuda": "13.0"},
    "osx": {"__osx": "26.0"},
    "win": {"__win": "10.0.26100", "__cuda": "13.0"},
}
_EVERYTHING = {"__unix": "0"} | {name: version for some in _GENEROUS.values() for name, version in some.items()}

Records = dict[str, dict[str, Record]]
"""subdir -> file name -> record."""


@dataclass(slots=True)
class Closure:
    """Files that pass as dependencies, by subdir, and sentences on what could not be solved for."""

    files: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    sentences: list[str] = field(default_factory=list)


async def resolve_closure(database: Database, channel: Channel, source: Source, scratch: Path) -> list[str]:
    """Solve anew, and publish what passes now and did not, or no longer does. Sentences on what has no solution."""
    filters = source.settings.filters
    found = await find_closure(database, source, filters, scratch)
    columns = tables.source_subdir.c
    async with database.read() as connection:
        wanted = select(columns.id, columns.name, columns.closure, columns.signed)
        rows = (await connection.execute(wanted.where(columns.source_id == source.id))).all()
    for row in rows:
        new, old = found.files[row.name], unpack_names(row.closure)
        if new == old:
            continue
        screen = open_screen(source.settings, pack_names(new), row.signed)
        names = {str(ArtifactName.parse(filename).name) for filename in new ^ old}
        await refilter(database, row.id, screen, names)
        async with database.write() as connection:
            chosen = columns.id == row.id
            await connection.execute(update(tables.source_subdir).where(chosen).values(closure=pack_names(new)))
            if row.name in channel.subdirs:
                await publish(connection, channel.id, row.name, names, "dependencies resolved")
    return found.sentences


async def find_closure(database: Database, source: Source, filters: FilterSettings, scratch: Path) -> Closure:
    """The closure of what filters ask for, from what is stored of a mirror. Raises Invalid `closure-too-large`."""
    only = by_name(filters.only_specs)
    alone = msgspec.structs.replace(filters, only_specs=(), include_dependencies=False)
    async with database.read() as connection:
        records = await _reachable(connection, source, only, Sieve(alone))
    return await _solve_all(records, only, scratch)


async def _reachable(connection: AsyncConnection, source: Source, only: Specs, sieve: Sieve) -> Records:
    columns = tables.source_subdir.c
    rows = await connection.execute(
        select(columns.id, columns.name, columns.signed).where(columns.source_id == source.id)
    )
    places = {row.id: (row.name, known_of(source.settings, frozenset(), row.signed)) for row in rows}
    found: Records = {name: {} for name, _ in places.values()}
    seen: set[str] = set()
    waiting = set(only)
    while waiting:
        seen |= waiting
        following: set[str] = set()
        for place, name, body in await _raw(connection, places, waiting):
            subdir, known = places[place]
            passed = await asyncio.to_thread(_passed, sieve, name, body, known)
            for filename, record in passed.records():
                if filename.endswith((".conda", ".tar.bz2")):
                    found[subdir][filename] = record
                    following |= _named_by(record)
        waiting = following - seen
    return found


def _passed(sieve: Sieve, name: str, body: bytes, known: Known) -> Shard:
    return sieve.sift(name, decode_stored(body), known).passed


async def _raw(
    connection: AsyncConnection, places: Collection[int], names: Collection[str]
) -> list[tuple[int, str, bytes]]:
    columns = tables.source_shard.c
    found: list[Any] = []
    for some in chunks(sorted(names)):
        rows = await connection.execute(
            select(columns.source_subdir_id, columns.name, columns.digest).where(
                columns.source_subdir_id.in_(list(places)), columns.name.in_(some)
            )
        )
        found += rows.all()
    bodies = await read_shards(connection, (row.digest for row in found))
    return [(row.source_subdir_id, row.name, bodies[row.digest]) for row in found]


def _named_by(record: Record) -> set[str]:
    depends = record.get("depends")
    texts = depends if isinstance(depends, list) else []
    return {str(text).split()[0].lower() for text in texts if str(text).strip()}


async def _solve_all(records: Records, only: Specs, scratch: Path) -> Closure:
    closure = Closure()
    roots = {subdir: _roots(found, only) for subdir, found in records.items()}
    platforms = [subdir for subdir in records if subdir != _NOARCH and records[subdir]] or [_NOARCH]
    wanted = [(platform, _asked(roots, platform)) for platform in platforms]
    count = sum(len(asked) for _, asked in wanted)
    if count > _MOST_SOLVES:
        raise Invalid(
            "closure-too-large",
            f"only_specs fits {count} packages, and at most {_MOST_SOLVES} are solved for. Narrow it, for example by "
            "version.",
        )
    shards = {subdir: [_shard(records.get(subdir, {}))] for subdir in {*records, _NOARCH}}
    async with opened_index({"mirror": shards}, scratch) as index:
        for platform, asked in wanted:
            await _solve_platform(index, platform, asked, closure)
    for subdir in closure.files:
        closure.files[subdir].difference_update(roots.get(subdir, {}))
    return closure


def _roots(records: Mapping[str, Record], only: Specs) -> dict[str, Record]:
    return {
        filename: record
        for filename, record in records.items()
        if any(matches(spec, record) for _, spec in only.get(str(record.get("name")), ()))
    }


def _asked(roots: Mapping[str, Mapping[str, Record]], platform: str) -> dict[str, tuple[str, str]]:
    """A spec for each record asked for -> (its subdir, its file name), the newest first."""
    found = [
        (record, subdir, filename)
        for subdir in dict.fromkeys((platform, _NOARCH))
        for filename, record in roots.get(subdir, {}).items()
    ]
    found.sort(key=lambda one: age_key(one[0]), reverse=True)
    return {f"{one['name']} =={one['version']} {one['build']}": (subdir, filename) for one, subdir, filename in found}


def _shard(records: Mapping[str, Record]) -> Shard:
    plain = {name: record for name, record in records.items() if name.endswith(".tar.bz2")}
    return Shard(packages=plain, conda={name: record for name, record in records.items() if name not in plain})


async def _solve_platform(index: Index, platform: str, asked: Mapping[str, tuple[str, str]], closure: Closure) -> None:
    machine = _GENEROUS.get(platform.partition("-")[0], _EVERYTHING)
    for spec, (subdir, filename) in asked.items():
        if filename in closure.files[subdir]:
            continue  # an earlier solution has it, and so all that it needs
        try:
            solution = await index.solve([spec], platform, machine)
        except Unsolvable as error:
            closure.sentences.append(f"{platform}/{filename} cannot be installed from here: {_first_line(error)}")
            continue
        for one in solution:
            closure.files[str(one.subdir)].add(one.file_name)


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]

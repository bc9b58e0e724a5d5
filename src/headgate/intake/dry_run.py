"""What filters do, or would do, to what is stored of a mirror: how much each holds back, and what exactly and why."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select, tuple_

from headgate.channels.filters import FilterSettings
from headgate.channels.mirrors import MirrorSettings
from headgate.channels.model import Source
from headgate.channels.shards import read_shards
from headgate.conda.shards import Shard, decode_stored
from headgate.db import tables
from headgate.db.engine import Database
from headgate.intake.closure import Closure, find_closure
from headgate.intake.filters import Cause, Known, Reason, Sieve
from headgate.intake.screens import known_of, screen_key, unpack_names

_BATCH = 1_000


@dataclass(slots=True)
class Count:
    """So many records, of so many bytes, that one filter holds back."""

    cause: str
    records: int = 0
    size_bytes: int = 0


@dataclass(slots=True)
class DryRun:
    """What filters would do; `sentences` say what could not be installed from what passes."""

    records: int = 0
    size_bytes: int = 0
    passed_records: int = 0
    passed_bytes: int = 0
    dependencies: int = 0
    held_back: list[Count] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class HeldBack:
    """One record that does not pass."""

    subdir: str
    package: str
    filename: str
    cause: Cause
    reason: str


async def dry_run(
    database: Database, source: Source, filters: FilterSettings, subdirs: Collection[str] | None, scratch: Path
) -> DryRun:
    """What these filters (and following these subdirs only) would do to what is stored; nothing is changed."""
    closure = Closure()
    if filters.include_dependencies:
        closure = await find_closure(database, source, filters, scratch)
    run = DryRun(sentences=closure.sentences)
    counts: dict[Cause, Count] = {}
    sieve = Sieve(filters)
    settings = msgspec.structs.replace(source.settings, filters=filters)
    async for batch in _iter_raw(database, source, settings, ("", "")):
        await asyncio.to_thread(_tally, run, counts, batch, sieve, closure, subdirs)
    run.held_back = sorted(counts.values(), key=lambda one: -one.records)
    return run


async def iter_held_back(database: Database, source: Source, after: tuple[str, str]) -> AsyncIterator[list[HeldBack]]:
    """What a mirror's filters hold back, by subdir and file name, of the packages behind (subdir, package) `after`."""
    filters = source.settings.filters
    if screen_key(source.settings) is None:
        return
    sieve = Sieve(filters)
    async for batch in _iter_raw(database, source, source.settings, after, with_closure=filters.include_dependencies):
        yield await asyncio.to_thread(_held_back, batch, sieve)


@dataclass(frozen=True, slots=True)
class _Raw:
    subdir: str
    name: str
    body: bytes
    known: Known


async def _iter_raw(
    database: Database,
    source: Source,
    settings: MirrorSettings,
    after: tuple[str, str],
    *,
    with_closure: bool = False,
) -> AsyncIterator[list[_Raw]]:
    places, shards = tables.source_subdir.c, tables.source_shard.c
    statement = (
        select(places.name.label("subdir"), shards.name, shards.digest)
        .join(tables.source_subdir, places.id == shards.source_subdir_id)
        .where(places.source_id == source.id)
        .order_by(places.name, shards.name)
        .limit(_BATCH)
    )
    async with database.read() as connection:
        rows = await connection.execute(
            select(places.name, places.closure, places.signed).where(places.source_id == source.id)
        )
        known = {
            row.name: known_of(settings, unpack_names(row.closure) if with_closure else frozenset(), row.signed)
            for row in rows
        }
    while True:
        async with database.read() as connection:
            found: list[Any] = list(await connection.execute(statement.where(tuple_(places.name, shards.name) > after)))
            bodies = await read_shards(connection, (row.digest for row in found))
        if not found:
            return
        yield [_Raw(row.subdir, row.name, bodies[row.digest], known[row.subdir]) for row in found]
        after = (found[-1].subdir, found[-1].name)


def _tally(
    run: DryRun,
    counts: dict[Cause, Count],
    batch: list[_Raw],
    sieve: Sieve,
    closure: Closure,
    subdirs: Collection[str] | None,
) -> None:
    solved: defaultdict[str, Collection[str]] = defaultdict(frozenset, closure.files)
    for raw in batch:
        shard = decode_stored(raw.body)
        if subdirs is not None and raw.subdir not in {*subdirs, "noarch"}:
            held_back = {file: Reason(Cause.SUBDIRS, "") for file, _ in shard.records()}
        else:
            held_back = sieve.sift(raw.name, shard, replace(raw.known, dependencies=solved[raw.subdir])).held_back
        _add(run, counts, shard, held_back, solved[raw.subdir])


def _add(
    run: DryRun, counts: dict[Cause, Count], shard: Shard, held_back: dict[str, Reason], solved: Collection[str]
) -> None:
    for filename, record in shard.records():
        size = record.get("size")
        size_bytes = size if isinstance(size, int) else 0
        run.records, run.size_bytes = run.records + 1, run.size_bytes + size_bytes
        reason = held_back.get(filename)
        if reason is None:
            run.passed_records, run.passed_bytes = run.passed_records + 1, run.passed_bytes + size_bytes
            run.dependencies += filename in solved
            continue
        count = counts.setdefault(reason.cause, Count(reason.cause))
        count.records, count.size_bytes = count.records + 1, count.size_bytes + size_bytes


def _held_back(batch: list[_Raw], sieve: Sieve) -> list[HeldBack]:
    return [
        HeldBack(raw.subdir, raw.name, filename, reason.cause, reason.sentence)
        for raw in batch
        for filename, reason in sorted(sieve.sift(raw.name, decode_stored(raw.body), raw.known).held_back.items())
    ]

"""A year of use, written straight into the tables: what pages read grows with it as much as with the channel."""

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.audit.access_store import DAY_MS, AccessStore, Row, day_of
from headgate.audit.access_tables import access_day, access_part
from headgate.audit.chain import Event, next_hash
from headgate.bootstrap import Services
from headgate.channels.model import SubdirState
from headgate.db import tables, tables_audit
from headgate.db.engine import chunks
from headgate.db.tables_requests import request, request_person
from headgate.kernel import clock

_FILES = 100_000
_EVENTS = 200_000
_DAYS = 365
_A_DAY = 1_500
_REQUESTS = 100_000
_REVISIONS = 3_000
_ASKED = 300
_PEOPLE = 300
_AT_ONCE = 10_000
_SUMMARY = {"digest": "bench", "at": "2026-01-01T00:00:00+00:00", "new": 3, "new_bytes": 3_000_000, "present": 1,
            "hindrances": 0, "problems": 0, "affected": 0, "severity": None, "is_known_exploited": False,
            "has_scripts": False}  # fmt: skip


async def live_a_year(services: Services, channel: str, state: SubdirState, names: Sequence[str]) -> None:
    """100,000 files kept, 200,000 audit events, 550,000 lines of downloads, 100,000 single requests, 300 people."""
    some = random.Random(3)
    kept = _kept(some, names)
    async with services.core.database.write() as connection:
        await _write(connection, tables.artifact, (_artifact(state, one) for one in kept))
        await _write(connection, tables.blob, (_only(one, "sha256", "size_bytes", "created_at") for one in kept))
        await _write(connection, tables.revision, _revisions(state))
        await _write(connection, tables.user, _people())
        await _ask(connection, channel, names)
        await _record(connection, channel, kept)
    await _download(services.audit.store, some, channel, kept)
    await services.snapshots.reload()


def _kept(some: random.Random, names: Sequence[str]) -> list[dict[str, Any]]:
    began = clock.now() - timedelta(days=_DAYS)
    return [
        {
            "package": (name := some.choice(names)),
            "filename": f"{name}-9.{number}-bench_0.conda",
            "sha256": hashlib.sha256(str(number).encode()).hexdigest(),
            "size_bytes": 1000 + number,
            "created_at": began + timedelta(days=_DAYS) * number / _FILES,
        }
        for number in range(_FILES)
    ]


def _only(one: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: one[key] for key in keys}


def _artifact(state: SubdirState, one: Mapping[str, Any]) -> dict[str, Any]:
    record = b'{"depends":["' + b"python >=3.10," * 40 + b'"]}'  # as long as most
    return {**one, "subdir_id": state.id, "status": "active", "origin": "upstream", "record": record, "about": None,
            "created_by": "headgate"}  # fmt: skip


def _revisions(state: SubdirState) -> Iterator[dict[str, Any]]:
    began = clock.now() - timedelta(days=_DAYS)
    for number in range(1, _REVISIONS):
        at = began + timedelta(days=_DAYS) * number / _REVISIONS
        yield {"subdir_id": state.id, "number": -number, "created_at": at, "cause": "sync", "changed": 200}


def _people() -> Iterator[dict[str, Any]]:
    for number in range(_PEOPLE):
        yield {"name": f"person{number}", "is_administrator": False, "created_at": clock.now()}


async def _ask(connection: AsyncConnection, channel: str, names: Sequence[str]) -> None:
    now = clock.now()
    rows = [
        {"open_key": str(number), "source": channel, "target": channel, "wants": [names[number]], "platforms": [],
         "has_closure": True, "machine": {}, "notes": [], "state": "requested", "summary": _SUMMARY, "created_at": now,
         "created_by": f"person{number % _PEOPLE}", "changed_at": now}
        for number in range(_ASKED)
    ]  # fmt: skip
    await connection.execute(insert(request), rows)
    ids = (await connection.execute(select(request.c.id))).scalars()
    people = [{"request_id": one, "name": f"person{one % _PEOPLE}", "at": now, "why": "A project."} for one in ids]
    await connection.execute(insert(request_person), people)


async def _record(connection: AsyncConnection, channel: str, kept: Sequence[Mapping[str, Any]]) -> None:
    chain, rows = tables_audit.audit_chain, []
    number, previous = (await connection.execute(select(chain.c.number, chain.c.hash))).one()
    for step in range(_EVENTS):
        one, number = kept[step % _FILES], number + 1
        subject = f"linux-64/{one['filename']}"
        said = Event(
            number, one["created_at"], "artifact:cache", "headgate", channel, subject, {"sha256": one["sha256"]}
        )
        previous = next_hash(previous, said)
        rows.append({"number": number, "hash": previous, "at": said.at, "action": said.action, "actor": said.actor,
                     "channel": said.channel, "subject": subject, "detail": said.detail})  # fmt: skip
    await _write(connection, tables.audit_event, iter(rows))
    await connection.execute(update(chain).values(number=number, hash=previous))


async def _download(store: AccessStore, some: random.Random, channel: str, kept: Sequence[Mapping[str, Any]]) -> None:
    today = day_of(clock.now())
    async with store.database.write() as connection:
        for day in range(today - _DAYS, today):
            rows = [_counted(day, channel, one, some) for one in some.sample(kept, _A_DAY)]
            await connection.execute(insert(access_day), rows)
    for found in chunks([_requested(channel, some.choice(kept)) for _ in range(_REQUESTS)], _AT_ONCE):
        await store.append(found)
    async with store.database.write() as connection:
        await connection.execute(update(access_part).values(folded_id=_REQUESTS))


def _counted(day: int, channel: str, one: Mapping[str, Any], some: random.Random) -> dict[str, Any]:
    at = day * DAY_MS
    return {"day": day, "channel": channel, "subdir": "linux-64", "filename": one["filename"], "sha256": one["sha256"],
            "who": f"person{some.randrange(_PEOPLE)}", "client": "conda", "package": one["package"], "downloads": 3,
            "refused": 0, "bytes": one["size_bytes"], "first_at": at, "last_at": at}  # fmt: skip


def _requested(channel: str, one: Mapping[str, Any]) -> Row:
    return Row(
        clock.now_ms(), 1, "download", "GET", channel, "linux-64", one["filename"], one["package"], one["sha256"],
        "person1", "ci", "10.1.2.3", "conda", "26.1", "conda/26.1", "allow", 200, one["size_bytes"],
    )  # fmt: skip


async def _write(connection: AsyncConnection, table: Any, rows: Iterator[dict[str, Any]]) -> None:
    await connection.execute(insert(table), list(rows))


async def is_lived(services: Services) -> bool:
    """Whether it was done already."""
    async with services.core.database.read() as connection:
        count: int = (await connection.execute(select(func.count()).select_from(tables.artifact))).scalar_one()
    return count >= _FILES

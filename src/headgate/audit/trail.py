"""Reading the trail of audit events, and proving that it is whole."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.audit.chain import START, ChainCheck, Event
from headgate.audit.checkpoints import Checkpoint, complain_of, read_checkpoint
from headgate.audit.events import Action
from headgate.audit.signing import Signer
from headgate.db import tables, tables_audit
from headgate.db.engine import Database
from headgate.kernel.errors import NotFound

_BATCH = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events: all that agree with what is not None. `action` may be a whole one, or a resource such as `policy`."""

    actor: str | None = None
    action: str | None = None
    channel: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None


EVERYTHING = Wanted()


@dataclass(frozen=True, slots=True)
class Proof:
    """What a look at the whole chain came to: it holds unless there are complaints."""

    checked: int
    first: int
    last: int
    head: str
    complaints: tuple[str, ...]
    checkpoint: Checkpoint | None

    @property
    def is_whole(self) -> bool:
        """Whether every link holds."""
        return not self.complaints


class AuditTrail:
    """Reads events; `signer` is whose checkpoints are believed."""

    def __init__(self, database: Database, signer: Signer) -> None:
        self._database = database
        self._signer = signer

    async def list_events(
        self, wanted: Wanted = EVERYTHING, *, before: int | None = None, limit: int = 100
    ) -> list[Event]:
        """Events, the newest first; only those with a number less than `before`."""
        newest = [_newest(one, before, limit) for one in _each_action(wanted)]
        columns = tables.audit_event.c
        statement = newest[0]
        if len(newest) > 1:  # each by its index: of one that never happened as of one that happens all the time
            numbers = union_all(*(select(one.subquery().c.number) for one in newest))
            statement = select(tables.audit_event).where(columns.number.in_(numbers)).order_by(columns.number.desc())
        async with self._database.read() as connection:
            return [event_of(row) for row in await connection.execute(statement.limit(limit))]

    async def get_event(self, number: int) -> Event:
        """One event. Raises NotFound `event-unknown`."""
        async with self._database.read() as connection:
            row = (
                await connection.execute(_chosen(EVERYTHING).where(tables.audit_event.c.number == number))
            ).one_or_none()
        if row is None:
            raise NotFound("event-unknown", f"There is no audit event {number}, or it was pruned.")
        return event_of(row)

    async def iter_events(self, wanted: Wanted = EVERYTHING, *, after: int = 0) -> AsyncIterator[Event]:
        """Events in their order, read in batches; those that come while this goes on included."""
        columns = tables.audit_event.c
        while True:
            statement = _chosen(wanted).where(columns.number > after).order_by(columns.number).limit(_BATCH)
            async with self._database.read() as connection:
                events = [event_of(row) for row in await connection.execute(statement)]
            for event in events:
                yield event
            if len(events) < _BATCH:
                return
            after = events[-1].number

    async def bounds(self, wanted: Wanted) -> tuple[int, int]:
        """The first and the last number of some events; (1, 0) when there are none."""
        chosen = _chosen(wanted).subquery().c
        async with self._database.read() as connection:
            row = (await connection.execute(select(func.min(chosen.number), func.max(chosen.number)))).one()
        return (row[0] or 1, row[1] or 0)

    async def verify(self) -> Proof:
        """Follow the chain from its beginning, or its last checkpoint, to its head."""
        async with self._database.read() as connection:
            number, last = await read_head(connection)
            checkpoint = await read_checkpoint(connection)
            first = (await connection.execute(select(func.min(tables.audit_event.c.number)))).scalar_one()
        check = ChainCheck() if checkpoint is None else ChainCheck(checkpoint.number, checkpoint.hash)
        if checkpoint is not None:
            check.complaints += complain_of(checkpoint, self._signer.public_key)
        async for event in self.iter_events():
            if event.number > number:
                break  # recorded since the head was read
            check.take(event)
        check.end(number, last)
        return Proof(check.checked, first or 0, number, last.hex(), tuple(check.complaints), checkpoint)


async def read_head(connection: AsyncConnection) -> tuple[int, bytes]:
    """The number and the hash of the newest event."""
    columns = tables_audit.audit_chain.c
    row = (await connection.execute(select(columns.number, columns.hash))).one_or_none()
    return (0, START) if row is None else (row.number, row.hash)


def event_of(row: Any) -> Event:
    """An event of its row."""
    return Event(row.number, row.at, row.action, row.actor, row.channel, row.subject, row.detail, row.hash)


def _each_action(wanted: Wanted) -> list[Wanted]:
    """The same of every action of a resource that is asked for by its name alone."""
    if wanted.action is None or ":" in wanted.action:
        return [wanted]
    actions = [one.value for one in Action if one.startswith(f"{wanted.action}:")]
    return [replace(wanted, action=one) for one in actions] or [wanted]


def _newest(wanted: Wanted, before: int | None, limit: int) -> Select[Any]:
    number = tables.audit_event.c.number
    statement = _chosen(wanted).order_by(number.desc()).limit(limit)
    return statement if before is None else statement.where(number < before)


def _chosen(wanted: Wanted) -> Select[Any]:
    columns = tables.audit_event.c
    statement = select(tables.audit_event)
    for value, column in ((wanted.channel, columns.channel), (wanted.subject, columns.subject)):
        if value is not None:
            statement = statement.where(column == value)
    if wanted.actor is not None:
        # `ada` did what `ada (token ci)` did.
        own = columns.actor.startswith(f"{wanted.actor} (", autoescape=True)
        statement = statement.where((columns.actor == wanted.actor) | own)
    if wanted.action is not None:
        is_whole = ":" in wanted.action
        named = columns.action == wanted.action
        of_kind = columns.action.startswith(f"{wanted.action}:", autoescape=True)
        statement = statement.where(named if is_whole else of_kind)
    if wanted.since is not None:
        statement = statement.where(columns.at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(columns.at < wanted.until)
    return statement

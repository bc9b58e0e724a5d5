"""Streams: where audit events are sent on to, from a number on, in their order, until somebody removes the stream.

A stream remembers the last event that was delivered. So nothing is lost by a restart, and what was under way when a process
died is sent again: receivers know it by its number.
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from headgate.audit.chain import Event
from headgate.audit.events import Action, record
from headgate.audit.senders import Sender, SyslogSender, WebhookSender, check_url
from headgate.audit.trail import event_of, read_head
from headgate.db import tables
from headgate.db.engine import Database
from headgate.db.sealing import Sealer
from headgate.db.tables_audit import audit_stream as table
from headgate.http.client import Outgoing
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, HeadgateError, Invalid, NotFound

PURPOSE = "audit stream"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SECRET_LETTERS = (16, 200)
_AT_ONCE = 100
_LONGEST_PAUSE_S = 300
_MOST_DOUBLINGS = 9


@dataclass(frozen=True, slots=True)
class Stream:
    """Where events go, and how far they have come."""

    name: str
    kind: str
    url: str
    ca: str | None
    sent_number: int
    sent_at: datetime | None
    failures: int
    failure: str | None
    next_try_at: datetime | None
    created_at: datetime
    created_by: str
    behind: int = 0
    """How many events it has not got yet."""


class StreamService:
    """Writes streams; `sealer` keeps what webhooks are signed with."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def add(
        self,
        actor: str,
        name: str,
        url: str,
        *,
        secret: str | None = None,
        ca: str | None = None,
        is_whole: bool = False,
    ) -> tuple[Stream, str | None]:
        """Send events on from now, or (`is_whole`) from the first that is kept; the stream, and a webhook's secret.

        Raises Invalid `stream-invalid`, Conflict `stream-exists`.
        """
        kind = check_url(url)
        if not _NAME.fullmatch(name):
            raise Invalid("stream-invalid", "A stream's name has lower-case letters, digits, and . _ - between them.")
        if kind == "syslog" and secret is not None:
            raise Invalid("stream-invalid", "Syslog is not signed: only a webhook has a secret.")
        if kind == "webhook":
            secret = secret or secrets.token_urlsafe(32)
            least, most = _SECRET_LETTERS
            if not least <= len(secret) <= most:
                raise Invalid("stream-invalid", f"A webhook's secret has {least} to {most} letters.")
        values = {
            "name": name,
            "kind": kind,
            "settings": {"url": url, "ca": ca},
            "sealed": None if secret is None else self._sealer.seal(secret),
            "failures": 0,
            "created_at": clock.now(),
            "created_by": actor,
        }
        try:
            async with self._database.write() as connection:
                number = 0 if is_whole else (await read_head(connection))[0]
                await connection.execute(table.insert().values({**values, "sent_number": number}))
                await record(connection, Action.AUDIT_ADD_STREAM, actor, subject=name, url=url, after=number)
        except IntegrityError as error:
            raise Conflict("stream-exists", f"There is a stream {name} already.") from error
        return await self.get(name), secret

    async def remove(self, actor: str, name: str) -> None:
        """Send nothing there any more. Raises NotFound `stream-unknown`."""
        async with self._database.write() as connection:
            gone = await connection.execute(delete(table).where(table.c.name == name))
            if not gone.rowcount:
                raise _unknown(name)
            await record(connection, Action.AUDIT_REMOVE_STREAM, actor, subject=name)

    async def get(self, name: str) -> Stream:
        """One of them. Raises NotFound `stream-unknown`."""
        found = next((one for one in await self.list_streams() if one.name == name), None)
        if found is None:
            raise _unknown(name)
        return found

    async def list_streams(self) -> list[Stream]:
        """All of them, by name."""
        async with self._database.read() as connection:
            head, _ = await read_head(connection)
            rows = await connection.execute(select(table).order_by(table.c.name))
            return [_stream(row, head) for row in rows]


class Forwarder:
    """Delivers; whoever runs it sees to it that nobody else does at the same time."""

    def __init__(self, database: Database, sealer: Sealer, outgoing: Callable[[], Outgoing]) -> None:
        self._database = database
        self._sealer = sealer
        self._outgoing = outgoing

    async def deliver(self) -> int:
        """Send every stream what it has not got, as far as its receiver takes it; how many events went."""
        async with self._database.read() as connection:
            head, _ = await read_head(connection)
            due = (table.c.next_try_at.is_(None)) | (table.c.next_try_at <= clock.now())
            rows = (await connection.execute(select(table).where(table.c.sent_number < head, due))).all()
        return sum([await self._deliver(row) for row in rows])

    async def _deliver(self, row: Any) -> int:
        sent, count = row.sent_number, 0
        try:
            sender = self._sender(row)
            while events := await self._events_after(sent):
                await sender.send(events)
                sent, count = events[-1].number, count + len(events)
                await self._note(
                    row.id, sent_number=sent, sent_at=clock.now(), failures=0, failure=None, next_try_at=None
                )
        except HeadgateError as error:
            pause = timedelta(seconds=min(2 ** min(row.failures, _MOST_DOUBLINGS), _LONGEST_PAUSE_S))
            await self._note(
                row.id, failures=row.failures + 1, failure=error.message[:500], next_try_at=clock.now() + pause
            )
        return count

    def _sender(self, row: Any) -> Sender:
        url, ca = row.settings["url"], row.settings.get("ca")
        if row.kind == "syslog":
            return SyslogSender(url, ca)
        return WebhookSender(url, self._sealer.unseal(row.sealed or ""), self._outgoing)

    async def _events_after(self, number: int) -> list[Event]:
        columns = tables.audit_event.c
        statement = select(tables.audit_event).where(columns.number > number).order_by(columns.number).limit(_AT_ONCE)
        async with self._database.read() as connection:
            return [event_of(row) for row in await connection.execute(statement)]

    async def _note(self, stream: int, **values: Any) -> None:
        async with self._database.write() as connection:
            await connection.execute(update(table).where(table.c.id == stream).values(values))


def _stream(row: Any, head: int) -> Stream:
    return Stream(
        row.name, row.kind, row.settings["url"], row.settings.get("ca"), row.sent_number, row.sent_at, row.failures,
        row.failure, row.next_try_at, row.created_at, row.created_by, max(0, head - row.sent_number),
    )  # fmt: skip


def _unknown(name: str) -> NotFound:
    return NotFound("stream-unknown", f"There is no stream {name[:64]}.")

"""The access log, request by request, the newest first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.audit.access_store import AccessStore, Row, read_parts
from headgate.audit.access_tables import part_table
from headgate.kernel import clock

Place = tuple[str, int]
"""Where a request stands: its part, and its id there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which requests: all that agree with what is not None."""

    channel: str | None = None
    package: str | None = None
    filename: str | None = None
    sha256: str | None = None
    who: str | None = None
    client: str | None = None
    kind: str | None = None
    is_refused: bool | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One request as its row has it, or as many as agreed in all of this within a tenth of a second."""

    place: Place
    row: Row

    @property
    def at(self) -> datetime:
        """When it was answered."""
        return clock.from_ms(self.row.at)


class AccessReader:
    """Reads the access log."""

    def __init__(self, store: AccessStore) -> None:
        self._store = store

    async def list_requests(self, sought: Sought, *, before: Place | None = None, limit: int = 100) -> list[Request]:
        """At most `limit` requests that stand behind `before`."""
        found: list[Request] = []
        async with self._store.database.read() as connection:
            for name in reversed(await read_parts(connection)):
                if len(found) < limit and (before is None or name <= before[0]):
                    after = before[1] if before is not None and before[0] == name else None
                    found += await _read(connection, name, sought, after, limit - len(found))
        return found


async def _read(
    connection: AsyncConnection, name: str, sought: Sought, before: int | None, limit: int
) -> list[Request]:
    table = part_table(name)
    columns = table.c
    statement = select(table).order_by(columns.id.desc()).limit(limit)
    for key in ("channel", "package", "filename", "sha256", "who", "client", "kind"):
        wanted = getattr(sought, key)
        if wanted is not None:
            statement = statement.where(columns[key] == wanted)
    if before is not None:
        statement = statement.where(columns.id < before)
    if sought.is_refused is not None:
        statement = statement.where(columns.status >= 400 if sought.is_refused else columns.status < 400)
    if sought.since is not None:
        statement = statement.where(columns.at >= clock.to_ms(sought.since))
    if sought.until is not None:
        statement = statement.where(columns.at < clock.to_ms(sought.until))
    return [_request(name, row) for row in await connection.execute(statement)]


def _request(name: str, row: Any) -> Request:
    return Request((name, row.id), Row(*(getattr(row, key) for key in Row._fields)))

"""Adding and revoking exemptions; each change one transaction with its audit event, and with what it publishes."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.grants import parse_channel_pattern
from headgate.audit.events import Action, record
from headgate.channels.policies import TOPIC, exemption_of, read_exemptions
from headgate.channels.revising import revise_names
from headgate.channels.revisions import read_world
from headgate.db import tables_gate
from headgate.db.engine import Database, advance_epoch
from headgate.kernel import clock
from headgate.kernel.errors import Invalid, NotFound
from headgate.policy.exemptions import Exemption, ExemptionKind, check_target


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An exemption to add; see `Exemption` for the fields."""

    kind: ExemptionKind
    target: str
    reason: str
    owner: str
    channel: str | None = None
    spec: str | None = None
    expires_at: datetime | None = None


class ExemptionService:
    """Writes exemptions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, actor: str, wish: Wish) -> Exemption:
        """Add one; what it lets pass is in the index when this returns. Raises Invalid `exemption-invalid` and others."""
        target = check_target(wish.kind, wish.target, wish.spec)
        now = clock.now()
        if not wish.reason.strip():
            raise Invalid("exemption-invalid", "An exemption needs a reason.")
        if wish.expires_at is not None and wish.expires_at <= now:
            raise Invalid("exemption-invalid", "An exemption must end in the future.")
        values = {
            "kind": wish.kind,
            "target": target,
            "spec": wish.spec,
            "channel": None if wish.channel is None else parse_channel_pattern(wish.channel),
            "owner": wish.owner,
            "reason": wish.reason.strip(),
            "created_at": now,
            "created_by": actor,
            "expires_at": wish.expires_at,
        }
        table = tables_gate.exemption
        async with self._database.write() as connection:
            before = await read_world(connection)
            made = await connection.execute(table.insert().values(values).returning(table.c.id))
            exemption = await _get(connection, made.scalar_one())
            await record(
                connection, Action.EXEMPTION_ADD, actor, channel=wish.channel, subject=str(exemption.id),
                kind=wish.kind, target=target, reason=exemption.reason,
            )  # fmt: skip
            await advance_epoch(connection, TOPIC)
            held = await _noted(connection)
            spec = exemption.parsed

            def names_in(subdir_id: int) -> Collection[str]:
                return {name for name in held.get(subdir_id, {}) if spec is None or spec.may_match(name)}

            await revise_names(connection, before, names_in, f"exemption {exemption.id} added")
        return exemption

    async def revoke(self, actor: str, number: int) -> None:
        """End one at once. Raises NotFound `exemption-unknown`."""
        table = tables_gate.exemption
        async with self._database.write() as connection:
            found = await _get(connection, number)
            before = await read_world(connection)
            values = {"revoked_at": clock.now(), "revoked_by": actor}
            await connection.execute(update(table).where(table.c.id == number).values(values))
            await record(
                connection, Action.EXEMPTION_REVOKE, actor, channel=found.channel, subject=str(number), kind=found.kind,
                target=found.target,
            )  # fmt: skip
            await advance_epoch(connection, TOPIC)
            noted = await _noted(connection)

            def names_in(subdir_id: int) -> Collection[str]:
                return {name for name, held in noted.get(subdir_id, {}).items() if f"exemption/{number}" in held}

            await revise_names(connection, before, names_in, f"exemption {number} revoked")

    async def list_exemptions(self) -> list[Exemption]:
        """Those that were not revoked, in the order they were made."""
        async with self._database.read() as connection:
            return await read_exemptions(connection)


async def _get(connection: AsyncConnection, number: int) -> Exemption:
    columns = tables_gate.exemption.c
    chosen = select(tables_gate.exemption).where(columns.id == number, columns.revoked_at.is_(None))
    row = (await connection.execute(chosen)).one_or_none()
    if row is None:
        raise NotFound("exemption-unknown", f"There is no exemption {number}, or it was revoked.")
    return exemption_of(row)


async def _noted(connection: AsyncConnection) -> dict[int, dict[str, dict[str, int]]]:
    """By subdir and name: what the gate holds back, and which exemptions act."""
    columns = tables_gate.gate_name.c
    noted: dict[int, dict[str, dict[str, int]]] = {}
    for row in await connection.execute(select(columns.subdir_id, columns.name, columns.held)):
        noted.setdefault(row.subdir_id, {})[row.name] = row.held
    return noted

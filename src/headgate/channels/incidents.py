"""Incidents: one advisory, package or file blocked everywhere at once, until somebody lifts that.

declared ──lift──> lifted        the open ones are the rules of policy `incident`, which holds everywhere
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.audit.events import Action, record
from headgate.channels.policing import hold_everywhere, took_effect, write_version
from headgate.channels.revising import revise_names
from headgate.channels.revisions import World, read_world
from headgate.conda.names import Sha256
from headgate.db.engine import Database
from headgate.db.tables_audit import incident as table
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, Invalid, NotFound
from headgate.policy.model import Mode, parse_policy
from headgate.policy.sitting import INCIDENT
from headgate.policy.specs import parse_policy_spec
from headgate.policy.verdicts import Outcome

_DIGEST = re.compile(r"[0-9A-Fa-f]{64}")
_ADVISORY = re.compile(r"(?:CVE|GHSA|PYSEC|MAL|OSV|RUSTSEC|GO|SNYK|EUVD)-[A-Za-z0-9-]+", re.IGNORECASE)
_MOST_LETTERS = 1_000


class IncidentKind(StrEnum):
    """What an incident names. Stored."""

    ADVISORY = "advisory"
    SPEC = "spec"
    SHA256 = "sha256"


_RULES = {
    IncidentKind.ADVISORY: ("advisory-ids", "ids"),
    IncidentKind.SPEC: ("match-spec", "exclude"),
    IncidentKind.SHA256: ("sha256", "sha256"),
}


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident, open or lifted."""

    id: int
    kind: IncidentKind
    target: str
    reason: str
    declared_at: datetime
    declared_by: str
    lifted_at: datetime | None = None
    lifted_by: str | None = None
    lifted_because: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it blocks."""
        return self.lifted_at is None


class IncidentService:
    """Declares and lifts incidents; each one transaction with its audit event and with what it publishes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def declare(self, actor: str, kind: IncidentKind, target: str, reason: str) -> Incident:
        """Block everywhere. Downloads are refused when this returns; large channels take it from their index soon after.

        Raises Invalid `incident-invalid`, `match-spec-invalid` or `sha256-invalid`, Conflict `incident-exists`.
        """
        target = check_target(kind, target)
        if not reason.strip() or len(reason) > _MOST_LETTERS:
            raise Invalid("incident-invalid", f"An incident needs a reason of at most {_MOST_LETTERS} letters.")
        values = {"kind": kind, "target": target, "reason": reason.strip()}
        async with self._database.write() as connection:
            same = [one for one in await _read(connection, is_open=True) if (one.kind, one.target) == (kind, target)]
            if same:
                raise Conflict("incident-exists", f"{target} is blocked already, by incident {same[0].id}.")
            before = await read_world(connection)
            statement = table.insert().values(**values, declared_at=clock.now(), declared_by=actor)
            number = (await connection.execute(statement.returning(table.c.id))).scalar_one()
            await record(connection, Action.INCIDENT_DECLARE, actor, subject=str(number), **values)
            made = await _get(connection, number)
            await _enforce(connection, actor, before, made, f"incident {number} declared")
            return made

    async def lift(self, actor: str, number: int, reason: str) -> Incident:
        """Undo it. Raises NotFound `incident-unknown`, Invalid `incident-invalid` without a reason."""
        if not reason.strip() or len(reason) > _MOST_LETTERS:
            raise Invalid("incident-invalid", f"Say why it is lifted, in at most {_MOST_LETTERS} letters.")
        async with self._database.write() as connection:
            found = await _get(connection, number)
            if not found.is_open:
                raise NotFound("incident-unknown", f"Incident {number} was lifted already.")
            before = await read_world(connection)
            values = {"lifted_at": clock.now(), "lifted_by": actor, "lifted_because": reason.strip()}
            await connection.execute(update(table).where(table.c.id == number).values(values))
            await record(
                connection, Action.INCIDENT_LIFT, actor, subject=str(number), kind=found.kind, target=found.target,
                reason=reason.strip(),
            )  # fmt: skip
            await _enforce(connection, actor, before, found, f"incident {number} lifted")
            return await _get(connection, number)

    async def list_incidents(self, *, is_open: bool | None = None) -> list[Incident]:
        """Incidents, the newest first; all of them, the open or the lifted ones."""
        async with self._database.read() as connection:
            return await _read(connection, is_open=is_open)

    async def get(self, number: int) -> Incident:
        """One incident. Raises NotFound `incident-unknown`."""
        async with self._database.read() as connection:
            return await _get(connection, number)


def guess_kind(target: str) -> IncidentKind:
    """What a target looks like."""
    if _DIGEST.fullmatch(target.strip()):
        return IncidentKind.SHA256
    return IncidentKind.ADVISORY if _ADVISORY.fullmatch(target.strip()) else IncidentKind.SPEC


def check_target(kind: IncidentKind, target: str) -> str:
    """The target in its one form. Raises Invalid `incident-invalid`, `match-spec-invalid` or `sha256-invalid`."""
    text = target.strip()
    if kind is IncidentKind.SHA256:
        return str(Sha256.parse(text.lower()))
    if kind is IncidentKind.SPEC:
        spec = parse_policy_spec(text)
        if spec.exact_name is None:
            raise Invalid(
                "incident-invalid", f"{text[:200]!r} names no one package, and would block all that it matches."
            )
        return spec.text
    _policy([Incident(0, kind, text.upper(), "", clock.now(), "")])
    return text.upper()


async def _enforce(connection: AsyncConnection, actor: str, before: World, cause: Incident, said: str) -> None:
    """Make the policy of what is open now, and publish what that changes."""
    policy = _policy(list(reversed(await _read(connection, is_open=True))))
    await write_version(connection, actor, policy)
    await hold_everywhere(connection, actor, policy.name)
    name = parse_policy_spec(cause.target).exact_name if cause.kind is IncidentKind.SPEC else None
    if name is not None:
        names = frozenset({name})
        await revise_names(connection, before, lambda _: names, said)
    await took_effect(connection, said)


def _policy(incidents: Sequence[Incident]) -> Any:
    """The policy that blocks them. Raises Invalid `incident-invalid` for a target that no rule takes."""
    rules = []
    for one in incidents:
        kind, key = _RULES[one.kind]
        rules.append({"kind": kind, key: [one.target], "action": Outcome.BLOCK.value, "note": f"Incident {one.id}"})
    mode = Mode.ENFORCE if rules else Mode.OFF
    document = {"name": INCIDENT, "mode": mode.value, "description": "What is blocked as an incident.", "rule": rules}
    try:
        return parse_policy(document)
    except Invalid as error:
        raise Invalid("incident-invalid", f"That cannot be blocked: {error.message}") from error


async def _read(connection: AsyncConnection, *, is_open: bool | None) -> list[Incident]:
    statement = select(table).order_by(table.c.id.desc())
    if is_open is not None:
        statement = statement.where(table.c.lifted_at.is_(None) if is_open else table.c.lifted_at.is_not(None))
    return [_incident(row) for row in await connection.execute(statement)]


async def _get(connection: AsyncConnection, number: int) -> Incident:
    row = (await connection.execute(select(table).where(table.c.id == number))).one_or_none()
    if row is None:
        raise NotFound("incident-unknown", f"There is no incident {number}.")
    return _incident(row)


def _incident(row: Any) -> Incident:
    return Incident(
        row.id, IncidentKind(row.kind), row.target, row.reason, row.declared_at, row.declared_by,
        row.lifted_at, row.lifted_by, row.lifted_because,
    )  # fmt: skip

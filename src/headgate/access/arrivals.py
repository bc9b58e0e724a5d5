"""People whom an identity provider vouches for: made at their first arrival, and brought up to date at each.

What the provider gives (memberships, grants) bears its name; what an administrator gave by hand is never touched.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.directory import read_roles
from headgate.access.grants import PrincipalKind
from headgate.access.names import is_name
from headgate.access.sessions import end_sessions_of
from headgate.audit.events import Action, record
from headgate.db import tables
from headgate.db.engine import Database, advance_epoch
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, Invalid, Refused


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody whom `provider` knows as `external_id`, which never changes there, with what they are to have here.

    `provider` names kind and instance: `ldap:corp`, `oidc:keycloak`. `groups` and `roles` are Headgate's own names.
    """

    provider: str
    external_id: str
    name: str
    groups: Collection[str] = ()
    roles: Collection[str] = ()


class ArrivalService:
    """Lets people in, and takes out those who left."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def welcome(self, arrival: Arrival) -> str:
        """Make or update the user, their memberships and their grants in one transaction; the name they have here.

        Raises Conflict `user-name-taken` when somebody else has the name, Refused `user-disabled`, Invalid
        `user-name-invalid`.
        """
        async with self._database.write() as connection:
            user = await _find(connection, arrival)
            steps = 0
            if user is None:
                user = await _create(connection, arrival)
                steps += 1
            elif user.disabled_at is not None:
                steps += await _come_back(connection, arrival, user)
            steps += await _set_groups(connection, arrival, user)
            steps += await _set_roles(connection, arrival, user)
            if steps:
                await advance_epoch(connection, "access")
        name: str = user.name
        return name

    async def dismiss(self, provider: str, present: Collection[str]) -> Sequence[str]:
        """Disable every user of the provider whose external id is not among `present`; their names.

        They are let in again when they arrive again. An administrator who is the last one is disabled too: the
        provider is the authority on its own people, and a local administrator exists beside it.
        """
        columns = tables.user.c
        left = []
        async with self._database.write() as connection:
            statement = select(columns.id, columns.name, columns.external_id)
            known = await connection.execute(
                statement.where(columns.provider == provider, columns.disabled_at.is_(None))
            )
            for row in known.all():
                if row.external_id in present:
                    continue
                values = {"disabled_at": clock.now(), "disabled_by": provider}
                await connection.execute(update(tables.user).where(columns.id == row.id).values(values))
                await record(connection, Action.USER_DISABLE, provider, subject=row.name)
                await end_sessions_of(connection, provider, row.id)
                left.append(row.name)
            if left:
                await advance_epoch(connection, "access")
        return left


async def _find(connection: AsyncConnection, arrival: Arrival) -> Row[Any] | None:
    """Who has been here before. A name alone never identifies: another provider's people may bear it too."""
    columns = tables.user.c
    same = (columns.provider == arrival.provider) & (columns.external_id == arrival.external_id)
    return (await connection.execute(select(tables.user).where(same).with_for_update())).first()


async def _create(connection: AsyncConnection, arrival: Arrival) -> Row[Any]:
    if not is_name(arrival.name):
        raise Invalid("user-name-invalid", f"{arrival.provider} says the name {arrival.name[:128]!r}, which is none.")
    columns = tables.user.c
    if (await connection.execute(select(columns.id).where(columns.name == arrival.name))).first() is not None:
        raise Conflict(
            "user-name-taken",
            f"There is already a user {arrival.name} who does not come from {arrival.provider}. "
            "An administrator can delete that user, or choose another claim or attribute for names.",
        )
    values = {
        "name": arrival.name,
        "kind": PrincipalKind.USER,
        "is_administrator": False,
        "created_at": clock.now(),
        "provider": arrival.provider,
        "external_id": arrival.external_id,
    }
    made = await connection.execute(tables.user.insert().values(values).returning(tables.user))
    await record(connection, Action.USER_CREATE, arrival.provider, subject=arrival.name, kind=PrincipalKind.USER)
    row: Row[Any] = made.one()
    return row


async def _come_back(connection: AsyncConnection, arrival: Arrival, user: Row[Any]) -> int:
    """Enable whom the provider itself had disabled; an administrator's ban stays."""
    if user.disabled_by != arrival.provider:
        raise Refused("user-disabled", f"{user.name} is disabled. Ask an administrator.")
    values = {"disabled_at": None, "disabled_by": None}
    await connection.execute(update(tables.user).where(tables.user.c.id == user.id).values(values))
    await record(connection, Action.USER_ENABLE, arrival.provider, subject=user.name)
    return 1


async def _set_groups(connection: AsyncConnection, arrival: Arrival, user: Row[Any]) -> int:
    member, group = tables.group_member.c, tables.group.c
    rows = await connection.execute(
        select(member.id, member.provider, group.name)
        .join(tables.group, group.id == member.group_id)
        .where(member.user_id == user.id)
    )
    there = {row.name: row for row in rows}
    gone = [row for name, row in there.items() if row.provider == arrival.provider and name not in arrival.groups]
    for row in gone:
        await connection.execute(delete(tables.group_member).where(member.id == row.id))
        await record(connection, Action.GROUP_REMOVE_MEMBER, arrival.provider, subject=row.name, user=user.name)
    new = sorted(set(arrival.groups) - set(there))
    for name in new:
        number = await _group_id(connection, arrival, name)
        values = {"group_id": number, "user_id": user.id, "provider": arrival.provider}
        await connection.execute(tables.group_member.insert().values(values))
        await record(connection, Action.GROUP_ADD_MEMBER, arrival.provider, subject=name, user=user.name)
    return len(gone) + len(new)


async def _group_id(connection: AsyncConnection, arrival: Arrival, name: str) -> int:
    """The group of that name, made when it is not there."""
    columns = tables.group.c
    found: int | None = (await connection.execute(select(columns.id).where(columns.name == name))).scalar_one_or_none()
    if found is not None:
        return found
    if not is_name(name):
        raise Invalid("group-name-invalid", f"{arrival.provider} says the group {name[:128]!r}, which is none.")
    insert = tables.group.insert().values(name=name, created_at=clock.now()).returning(columns.id)
    number: int = (await connection.execute(insert)).scalar_one()
    await record(connection, Action.GROUP_CREATE, arrival.provider, subject=name)
    return number


async def _set_roles(connection: AsyncConnection, arrival: Arrival, user: Row[Any]) -> int:
    """Roles that hold everywhere. A role that does not exist gives nothing: the mapping may be older than its end."""
    columns = tables.grant.c
    known = await read_roles(connection)
    wanted = {role for role in arrival.roles if role in known}
    chosen = (columns.user_id == user.id) & (columns.provider == arrival.provider)
    rows = await connection.execute(select(columns.id, columns.role).where(chosen))
    there = {row.role: row.id for row in rows}
    for role in sorted(set(there) - wanted):
        await connection.execute(delete(tables.grant).where(columns.id == there[role]))
        await record(connection, Action.GRANT_REMOVE, arrival.provider, subject=str(there[role]), grant=role)
    for role in sorted(wanted - set(there)):
        values = {
            "user_id": user.id,
            "role": role,
            "is_deny": False,
            "created_at": clock.now(),
            "created_by": arrival.provider,
            "provider": arrival.provider,
        }
        made = await connection.execute(tables.grant.insert().values(values).returning(columns.id))
        detail: dict[str, Any] = {
            "principal": f"user {user.name}",
            "role": role,
            "scope": "everywhere",
            "is_deny": False,
        }
        await record(connection, Action.GRANT_ADD, arrival.provider, subject=str(made.scalar_one()), **detail)
    return len(set(there) ^ wanted)

"""Roles of one's own, and grants; each change one transaction with its audit event."""

import re
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.directory import read_grants, read_roles
from headgate.access.grants import PSEUDO_GROUPS, Grant, PrincipalKind, Scope, parse_channel_pattern
from headgate.access.groups import get_group_id, get_user_id
from headgate.access.names import is_name
from headgate.access.permissions import Permission
from headgate.access.roles import BUILT_IN
from headgate.audit.events import Action, record
from headgate.db import tables
from headgate.db.engine import Database, advance_epoch
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, Invalid, NotFound

_PACKAGE_PATTERN = re.compile(r"[a-z0-9_.*?-]{1,64}")


class GrantService:
    """Adds and removes roles and grants."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_role(self, actor: str, name: str, permissions: Collection[Permission]) -> None:
        """Add a role. Raises Conflict `role-exists`, Invalid `role-name-invalid` or `role-empty`."""
        if not is_name(name):
            raise Invalid("role-name-invalid", f"{name[:128]!r} cannot be the name of a role.")
        if not permissions:
            raise Invalid("role-empty", "A role needs at least one permission.")
        if name in BUILT_IN:
            raise Conflict("role-exists", f"{name} is a built-in role.")
        values = {"name": name, "permissions": sorted(permissions), "created_at": clock.now()}
        try:
            async with self._database.write() as connection:
                await connection.execute(tables.role.insert().values(values))
                await record(connection, Action.ROLE_CREATE, actor, subject=name, permissions=sorted(permissions))
                await advance_epoch(connection, "access")
        except IntegrityError as error:
            raise Conflict("role-exists", f"There is already a role {name}.") from error

    async def delete_role(self, actor: str, name: str) -> None:
        """Delete a role. Raises NotFound `role-unknown`, Conflict `role-in-use` while it is granted."""
        async with self._database.write() as connection:
            in_use = await connection.execute(select(tables.grant.c.id).where(tables.grant.c.role == name).limit(1))
            if in_use.first() is not None:
                raise Conflict("role-in-use", f"Role {name} is granted to somebody. Remove those grants first.")
            gone = await connection.execute(delete(tables.role).where(tables.role.c.name == name))
            if not gone.rowcount:
                raise NotFound("role-unknown", f"There is no role {name} that can be deleted.")
            await record(connection, Action.ROLE_DELETE, actor, subject=name)
            await advance_epoch(connection, "access")

    async def list_roles(self) -> dict[str, frozenset[Permission]]:
        """Every role with its permissions, the built-in ones included."""
        async with self._database.read() as connection:
            return await read_roles(connection)

    async def add_grant(
        self, actor: str, kind: PrincipalKind, principal: str, role: str, scope: Scope, *, is_deny: bool = False
    ) -> int:
        """Give a role to a principal within a scope, or withhold it; the grant's id.

        Raises NotFound `user-unknown`, `group-unknown` or `role-unknown`, Invalid `scope-invalid`.
        """
        _check_scope(scope)
        async with self._database.write() as connection:
            return await give(connection, actor, kind, principal, role, scope, is_deny=is_deny)

    async def remove_grant(self, actor: str, number: int) -> None:
        """Take a grant back. Raises NotFound `grant-unknown`."""
        async with self._database.write() as connection:
            await _get_grant(connection, number)
            await take_back(connection, actor, number)

    async def list_grants(self) -> Sequence[Grant]:
        """Every grant, in the order they were given."""
        async with self._database.read() as connection:
            return sorted(await read_grants(connection), key=lambda grant: grant.id)

    async def get_grant(self, number: int) -> Grant:
        """One grant. Raises NotFound `grant-unknown`."""
        async with self._database.read() as connection:
            return await _get_grant(connection, number)


async def give(
    connection: AsyncConnection,
    actor: str,
    kind: PrincipalKind,
    principal: str,
    role: str,
    scope: Scope,
    *,
    is_deny: bool = False,
) -> int:
    """Give a role, or withhold it, in the open transaction; the grant's id. Raises as `GrantService.add_grant` does."""
    _check_scope(scope)
    if role not in await read_roles(connection):
        raise NotFound("role-unknown", f"There is no role {role}.")
    values = await _owner(connection, kind, principal) | {
        "role": role,
        "channel": scope.channel,
        "package": scope.package,
        "is_deny": is_deny,
        "created_at": clock.now(),
        "created_by": actor,
    }
    made = await connection.execute(tables.grant.insert().values(values).returning(tables.grant.c.id))
    number: int = made.scalar_one()
    detail: dict[str, Any] = {
        "principal": f"{kind} {principal}",
        "role": role,
        "scope": str(scope),
        "is_deny": is_deny,
    }
    await record(connection, Action.GRANT_ADD, actor, subject=str(number), **detail)
    await advance_epoch(connection, "access")
    return number


async def take_back(connection: AsyncConnection, actor: str, number: int) -> None:
    """Take a grant back in the open transaction; one that is gone already is as good."""
    found = next((one for one in await read_grants(connection) if one.id == number), None)
    if found is not None:
        await connection.execute(delete(tables.grant).where(tables.grant.c.id == number))
        await record(connection, Action.GRANT_REMOVE, actor, subject=str(number), grant=str(found))
        await advance_epoch(connection, "access")


async def require_principal(connection: AsyncConnection, kind: PrincipalKind, principal: str) -> None:
    """Raises NotFound `user-unknown` or `group-unknown`."""
    await _owner(connection, kind, principal)


async def remove_grants_of(connection: AsyncConnection, actor: str, channel: str) -> int:
    """Take back every grant that names a channel that is gone, or packages of it; the number of them."""
    found = [one for one in await read_grants(connection) if one.scope.channel == channel]
    for grant in sorted(found, key=lambda one: one.id):
        await connection.execute(delete(tables.grant).where(tables.grant.c.id == grant.id))
        await record(connection, Action.GRANT_REMOVE, actor, channel=channel, subject=str(grant.id), grant=str(grant))
    return len(found)


async def _get_grant(connection: AsyncConnection, number: int) -> Grant:
    found = next((one for one in await read_grants(connection) if one.id == number), None)
    if found is None:
        raise NotFound("grant-unknown", f"There is no grant {number}.")
    return found


async def _owner(connection: AsyncConnection, kind: PrincipalKind, principal: str) -> dict[str, Any]:
    if kind is PrincipalKind.GROUP:
        return {"group_id": await get_group_id(connection, principal)}
    if kind is PrincipalKind.PSEUDO:
        if principal not in PSEUDO_GROUPS:
            raise NotFound("group-unknown", f"{principal} is none of {', '.join(PSEUDO_GROUPS)}.")
        return {"pseudo": principal}
    return {"user_id": await get_user_id(connection, principal, kind)}


def _check_scope(scope: Scope) -> None:
    if scope.channel is not None:
        parse_channel_pattern(scope.channel)
    if scope.package is None:
        return
    if scope.channel is None or scope.channel.endswith("/*"):
        raise Invalid("scope-invalid", "A package pattern holds within one channel; name that channel.")
    if not _PACKAGE_PATTERN.fullmatch(scope.package):
        raise Invalid("scope-invalid", "A package pattern is a package name in lower case, in which * and ? may stand.")

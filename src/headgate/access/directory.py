"""Everybody who may sign in, with their groups and grants: read whole, because it is small and asked for constantly."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.grants import ANONYMOUS, AUTHENTICATED, EVERYONE, Grant, PrincipalKind, Scope
from headgate.access.permissions import Permission
from headgate.access.principals import Principal
from headgate.access.roles import BUILT_IN
from headgate.db import tables

Owner = tuple[PrincipalKind, int | str]
"""Whom a grant is to: a user's or group's id, or a pseudo-group's name."""


@dataclass(frozen=True, slots=True)
class Directory:
    """Principals by user id and by name, with who is disabled among them, and which identity provider some come from."""

    nobody: Principal = field(default_factory=lambda: Principal(ANONYMOUS))
    by_id: Mapping[int, Principal] = field(default_factory=dict)
    by_name: Mapping[str, Principal] = field(default_factory=dict)
    password_hashes: Mapping[str, str] = field(default_factory=dict)
    providers: Mapping[str, str] = field(default_factory=dict)


async def read_directory(connection: AsyncConnection) -> Directory:
    """Users and service accounts with the grants that reach them directly, through groups, or as everybody does."""
    users = (await connection.execute(select(tables.user))).all()
    grants = await _read_grants(connection)
    parents = await _read_parents(connection)
    names = {row.id: row.name for row in await connection.execute(select(tables.group.c.id, tables.group.c.name))}
    everyone = grants[PrincipalKind.PSEUDO, EVERYONE]
    known = everyone + grants[PrincipalKind.PSEUDO, AUTHENTICATED]
    by_id = {}
    for row in users:
        kind = PrincipalKind(row.kind)
        groups = closure(parents, parents[kind, row.id])
        inherited = (grant for group in sorted(groups) for grant in grants[PrincipalKind.GROUP, group])
        own = (*grants[kind, row.id], *inherited, *known)
        by_id[row.id] = Principal(
            row.name,
            row.id,
            row.is_administrator,
            is_disabled=row.disabled_at is not None,
            grants=own,
            kind=kind,
            groups=tuple(sorted(names[group] for group in groups)),
            must_change_password=row.must_change_password,
        )
    return Directory(
        Principal(ANONYMOUS, grants=(*everyone, *grants[PrincipalKind.PSEUDO, ANONYMOUS])),
        by_id,
        {principal.name: principal for principal in by_id.values()},
        {row.name: row.password_hash for row in users if row.password_hash is not None},
        {row.name: row.provider for row in users if row.provider is not None},
    )


def closure(parents: Mapping[Owner, Iterable[int]], groups: Iterable[int]) -> set[int]:
    """The groups and every group that they are in, at any depth; a circle ends where it began."""
    found: set[int] = set()
    waiting = list(groups)
    while waiting:
        group = waiting.pop()
        if group not in found:
            found.add(group)
            waiting.extend(parents.get((PrincipalKind.GROUP, group), ()))
    return found


async def _read_parents(connection: AsyncConnection) -> defaultdict[Owner, list[int]]:
    """The groups that a user, service account or group is in directly."""
    parents: defaultdict[Owner, list[int]] = defaultdict(list)
    users = await connection.execute(select(tables.user.c.id, tables.user.c.kind))
    kinds = {row.id: PrincipalKind(row.kind) for row in users}
    for row in await connection.execute(select(tables.group_member)):
        if row.user_id is not None:
            parents[kinds[row.user_id], row.user_id].append(row.group_id)
        else:
            parents[PrincipalKind.GROUP, row.member_group_id].append(row.group_id)
    return parents


async def read_grants(connection: AsyncConnection) -> list[Grant]:
    """Every grant, in no order."""
    return [grant for owned in (await _read_grants(connection)).values() for grant in owned]


async def _read_grants(connection: AsyncConnection) -> defaultdict[Owner, list[Grant]]:
    roles = await read_roles(connection)
    statement = (
        select(tables.grant, tables.user.c.name.label("user"), tables.user.c.kind, tables.group.c.name.label("group"))
        .join(tables.user, tables.user.c.id == tables.grant.c.user_id, isouter=True)
        .join(tables.group, tables.group.c.id == tables.grant.c.group_id, isouter=True)
    )
    grants: defaultdict[Owner, list[Grant]] = defaultdict(list)
    for row in await connection.execute(statement):
        owner: Owner = (PrincipalKind.PSEUDO, row.pseudo)
        if row.user_id is not None:
            owner = (PrincipalKind(row.kind), row.user_id)
        elif row.group_id is not None:
            owner = (PrincipalKind.GROUP, row.group_id)
        name = row.user or row.group or row.pseudo
        permissions = roles.get(row.role, frozenset())
        scope = Scope(row.channel, row.package)
        grants[owner].append(Grant(row.id, owner[0], name, row.role, permissions, scope, row.is_deny))
    return grants


async def read_roles(connection: AsyncConnection) -> dict[str, frozenset[Permission]]:
    """Every role, built-in ones included, with its permissions."""
    rows = await connection.execute(select(tables.role.c.name, tables.role.c.permissions))
    return {row.name: frozenset(map(Permission, row.permissions)) for row in rows} | BUILT_IN

"""Groups and who is in them; each change one transaction with its audit event."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.names import is_name
from headgate.audit.events import Action, record
from headgate.db import tables
from headgate.db.engine import Database, advance_epoch
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, Invalid, NotFound


@dataclass(frozen=True, slots=True)
class Group:
    """A group, the users and service accounts in it, and the groups in it."""

    name: str
    users: tuple[str, ...]
    groups: tuple[str, ...]


class GroupService:
    """Creates, fills and deletes groups."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, actor: str, name: str) -> None:
        """Add an empty group. Raises Conflict `group-exists`, Invalid `group-name-invalid`."""
        if not is_name(name):
            raise Invalid("group-name-invalid", f"{name[:128]!r} cannot be the name of a group.")
        try:
            async with self._database.write() as connection:
                await connection.execute(tables.group.insert().values(name=name, created_at=clock.now()))
                await record(connection, Action.GROUP_CREATE, actor, subject=name)
                await advance_epoch(connection, "access")
        except IntegrityError as error:
            raise Conflict("group-exists", f"There is already a group {name}.") from error

    async def delete(self, actor: str, name: str) -> None:
        """Delete a group with its grants; its members stay. Raises NotFound `group-unknown`."""
        async with self._database.write() as connection:
            number = await get_group_id(connection, name)
            await connection.execute(delete(tables.group).where(tables.group.c.id == number))
            await record(connection, Action.GROUP_DELETE, actor, subject=name)
            await advance_epoch(connection, "access")

    async def add(self, actor: str, name: str, *, user: str | None = None, group: str | None = None) -> None:
        """Put a user (or service account) or a group into a group; being in it already is as good.

        Raises NotFound `group-unknown` or `user-unknown`.
        """
        async with self._database.write() as connection:
            await add_member(connection, actor, name, user=user, group=group)
            await advance_epoch(connection, "access")

    async def remove(self, actor: str, name: str, *, user: str | None = None, group: str | None = None) -> None:
        """Take a user or a group out of a group. Raises NotFound `group-unknown`, `user-unknown`, `member-unknown`."""
        async with self._database.write() as connection:
            values = await _membership(connection, name, user, group)
            chosen = [tables.group_member.c[key].is_not_distinct_from(value) for key, value in values.items()]
            gone = await connection.execute(delete(tables.group_member).where(*chosen))
            if not gone.rowcount:
                raise NotFound("member-unknown", f"{user or group} is not in group {name}.")
            await record(connection, Action.GROUP_REMOVE_MEMBER, actor, subject=name, user=user, group=group)
            await advance_epoch(connection, "access")

    async def list_groups(self) -> Sequence[Group]:
        """Every group, by name."""
        member = tables.group_member.c
        inner = tables.group.alias()
        statement = (
            select(member.group_id, tables.user.c.name.label("user"), inner.c.name.label("group"))
            .join(tables.user, tables.user.c.id == member.user_id, isouter=True)
            .join(inner, inner.c.id == member.member_group_id, isouter=True)
        )
        users: defaultdict[int, set[str]] = defaultdict(set)
        groups: defaultdict[int, set[str]] = defaultdict(set)
        async with self._database.read() as connection:
            known = (await connection.execute(select(tables.group))).all()
            for row in await connection.execute(statement.select_from(tables.group_member)):
                (groups if row.user is None else users)[row.group_id].add(row.group or row.user)
        return [
            Group(row.name, tuple(sorted(users[row.id])), tuple(sorted(groups[row.id])))
            for row in sorted(known, key=lambda row: row.name)
        ]


async def add_member(
    connection: AsyncConnection, actor: str, name: str, *, user: str | None = None, group: str | None = None
) -> None:
    """Put a user or a group into a group, with its audit event, unless they are in it."""
    values = await _membership(connection, name, user, group)
    chosen = [tables.group_member.c[key].is_not_distinct_from(value) for key, value in values.items()]
    if (await connection.execute(select(tables.group_member.c.id).where(*chosen))).first() is None:
        await connection.execute(tables.group_member.insert().values(values))
        await record(connection, Action.GROUP_ADD_MEMBER, actor, subject=name, user=user, group=group)


async def get_group_id(connection: AsyncConnection, name: str) -> int:
    """Raises NotFound `group-unknown`."""
    found: int | None = (
        await connection.execute(select(tables.group.c.id).where(tables.group.c.name == name))
    ).scalar_one_or_none()
    if found is None:
        raise NotFound("group-unknown", f"There is no group {name}.")
    return found


async def get_user_id(connection: AsyncConnection, name: str, kind: str | None = None) -> int:
    """Of a user, or of a service account. Raises NotFound `user-unknown`."""
    columns = tables.user.c
    statement = select(columns.id).where(columns.name == name)
    if kind is not None:
        statement = statement.where(columns.kind == kind)
    found: int | None = (await connection.execute(statement)).scalar_one_or_none()
    if found is None:
        raise NotFound("user-unknown", f"There is no {kind or 'user'} {name}.")
    return found


async def _membership(
    connection: AsyncConnection, name: str, user: str | None, group: str | None
) -> dict[str, int | None]:
    return {
        "group_id": await get_group_id(connection, name),
        "user_id": None if user is None else await get_user_id(connection, user),
        "member_group_id": None if group is None else await get_group_id(connection, group),
    }

"""Users and service accounts; each change one transaction with its audit event."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.grants import PrincipalKind
from headgate.access.groups import add_member
from headgate.access.names import is_name
from headgate.access.passwords import PasswordRules, hash_password
from headgate.access.sessions import end_sessions_of
from headgate.audit.events import Action, record
from headgate.db import tables
from headgate.db.engine import Database, advance_epoch
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, Invalid, NotFound


@dataclass(frozen=True, slots=True)
class User:
    """A user or service account, and the groups they are in directly."""

    name: str
    kind: PrincipalKind
    is_administrator: bool
    created_at: datetime
    disabled_at: datetime | None
    groups: tuple[str, ...]
    must_change_password: bool

    @property
    def is_disabled(self) -> bool:
        """True when they cannot sign in."""
        return self.disabled_at is not None


@dataclass(frozen=True, slots=True)
class UserChange:
    """What to change of a user; None leaves it as it is."""

    is_administrator: bool | None = None
    is_disabled: bool | None = None
    password: str | None = None
    must_change_password: bool | None = None

    def lessens(self) -> bool:
        """True when there could be one administrator less afterwards."""
        return self.is_administrator is False or self.is_disabled is True


@dataclass(frozen=True, slots=True)
class FirstPassword:
    """The password a user begins with.

    `must_change`: it opens nothing but the change of it. `is_founders`: whoever starts the server chose it, and only
    its length is looked at.
    """

    text: str
    must_change: bool = False
    is_founders: bool = False


class UserService:
    """Creates, changes and deletes users and service accounts. One enabled administrator always stays."""

    def __init__(self, database: Database, rules: PasswordRules) -> None:
        self._database = database
        self._rules = rules

    async def create(
        self,
        actor: str,
        name: str,
        password: FirstPassword | str | None = None,
        *,
        kind: PrincipalKind = PrincipalKind.USER,
        is_administrator: bool = False,
        groups: Iterable[str] = (),
    ) -> None:
        """Add a user, or a service account, who signs in with tokens alone; so does a user without a password.

        Raises Conflict `user-exists`, NotFound `group-unknown`, Invalid `user-name-invalid`, `password-short`,
        `password-weak` or `service-account-invalid`.
        """
        if not is_name(name):
            raise Invalid("user-name-invalid", f"{name[:128]!r} cannot be the name of a user.")
        first = FirstPassword(password) if isinstance(password, str) else password
        _check_kind(kind, UserChange(is_administrator, password=None if first is None else first.text))
        values = {
            "name": name,
            "kind": kind,
            "password_hash": None if first is None else await self._hashed(name, first),
            "must_change_password": first is not None and first.must_change,
            "is_administrator": is_administrator,
            "created_at": clock.now(),
        }
        try:
            async with self._database.write() as connection:
                await connection.execute(tables.user.insert().values(values))
                detail: dict[str, Any] = {"kind": kind, "is_administrator": is_administrator}
                await record(connection, Action.USER_CREATE, actor, subject=name, **detail)
                for group in sorted(set(groups)):
                    await add_member(connection, actor, group, user=name)
                await advance_epoch(connection, "access")
        except IntegrityError as error:
            raise Conflict("user-exists", f"There is already a user {name}.") from error

    async def change(self, actor: str, name: str, change: UserChange) -> None:
        """Make or unmake an administrator, disable or enable, set a password or have it changed: all, or nothing.

        Whoever is disabled can sign in neither by password nor by token, from then on; a new password ends the sessions
        begun with the old one. Raises NotFound `user-unknown`,
        Conflict `last-administrator`, Invalid `password-short`, `password-weak` or `service-account-invalid`.
        """
        password_hash = None
        if change.password is not None:
            password_hash = await self._hashed(name, FirstPassword(change.password))
        async with self._database.write() as connection:
            found = await _get_row(connection, name)
            _check_kind(found.kind, change)
            if change.lessens():
                await _keep_an_administrator(connection, found.id)
            for action, values in _steps(found, change, password_hash):
                await connection.execute(update(tables.user).where(tables.user.c.id == found.id).values(values))
                await record(connection, action, actor, subject=name, **_shown(values))
                if action in {Action.USER_DISABLE, Action.USER_SET_PASSWORD}:
                    await end_sessions_of(connection, actor, found.id)
            await advance_epoch(connection, "access")

    async def check_has_password(self, name: str) -> None:
        """Raises Conflict `password-none` for somebody who signs in some other way, NotFound `user-unknown`."""
        async with self._database.read() as connection:
            found = await _get_row(connection, name)
        if found.password_hash is None:
            raise Conflict("password-none", f"{name} has no password here, and so none to change.")

    async def change_own_password(self, actor: str, name: str, old: str, new: str) -> None:
        """Set the password of somebody who was asked for the old one. Raises Invalid `password-same`, and as `change`."""
        if new == old:
            raise Invalid("password-same", "The new password is the old one. Choose another.")
        await self.change(actor, name, UserChange(password=new, must_change_password=False))

    async def delete(self, actor: str, name: str) -> None:
        """Delete a user with their tokens and grants. Raises NotFound `user-unknown`, Conflict `last-administrator`."""
        async with self._database.write() as connection:
            found = await _get_row(connection, name)
            await _keep_an_administrator(connection, found.id)
            await connection.execute(delete(tables.user).where(tables.user.c.id == found.id))
            await record(connection, Action.USER_DELETE, actor, subject=name)
            await advance_epoch(connection, "access")

    async def _hashed(self, name: str, password: FirstPassword) -> str:
        if password.is_founders:
            self._rules.check_length(password.text)
        else:
            self._rules.check(password.text, name)
        return await hash_password(password.text)

    async def list_users(self) -> Sequence[User]:
        """Every user and service account, by name."""
        member, group = tables.group_member.c, tables.group.c
        belonging = select(member.user_id, group.name).join(tables.group, group.id == member.group_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(select(tables.user))).all()
            groups: dict[int, list[str]] = {row.id: [] for row in rows}
            for row in await connection.execute(belonging.where(member.user_id.is_not(None))):
                groups.setdefault(row.user_id, []).append(row.name)
        return [_user(row, groups[row.id]) for row in sorted(rows, key=lambda row: row.name)]

    async def get_user(self, name: str) -> User:
        """One user or service account. Raises NotFound `user-unknown`."""
        found = next((user for user in await self.list_users() if user.name == name), None)
        if found is None:
            raise NotFound("user-unknown", f"There is no user {name}.")
        return found


def _check_kind(kind: str, change: UserChange) -> None:
    is_personal = change.password is not None or change.must_change_password
    if kind == PrincipalKind.SERVICE and (is_personal or change.is_administrator):
        raise Invalid(
            "service-account-invalid",
            "A service account has no password and is no administrator. Make a token for it, and grant it a role.",
        )


async def _get_row(connection: AsyncConnection, name: str) -> Row[Any]:
    found = (await connection.execute(select(tables.user).where(tables.user.c.name == name))).first()
    if found is None:
        raise NotFound("user-unknown", f"There is no user {name}.")
    return found


async def _keep_an_administrator(connection: AsyncConnection, leaving: int) -> None:
    """Raises Conflict `last-administrator` when nobody else could be one; two who leave at once wait for each other."""
    columns = tables.user.c
    enabled = select(columns.id).where(columns.is_administrator.is_(True), columns.disabled_at.is_(None))
    if (await connection.execute(enabled.order_by(columns.id).with_for_update())).scalars().all() == [leaving]:
        raise Conflict("last-administrator", "This is the last administrator who is not disabled. Make another first.")


def _steps(found: Row[Any], change: UserChange, password_hash: str | None) -> Iterator[tuple[Action, dict[str, Any]]]:
    """What differs from the row, as audit events and values."""
    if change.is_administrator not in {None, found.is_administrator}:
        yield Action.USER_SET_ADMINISTRATOR, {"is_administrator": change.is_administrator}
    if change.is_disabled not in {None, found.disabled_at is not None}:
        at = clock.now() if change.is_disabled else None
        yield (
            Action.USER_DISABLE if change.is_disabled else Action.USER_ENABLE,
            {"disabled_at": at, "disabled_by": None},
        )
    is_other = change.must_change_password not in {None, found.must_change_password}
    must_change = {"must_change_password": change.must_change_password} if is_other else {}
    if password_hash is not None:
        yield Action.USER_SET_PASSWORD, {"password_hash": password_hash, **must_change}
    elif must_change:
        yield Action.USER_SET_MUST_CHANGE, must_change


def _shown(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key in {"is_administrator", "must_change_password"}}


def _user(row: Row[Any], groups: Iterable[str]) -> User:
    return User(
        row.name,
        PrincipalKind(row.kind),
        row.is_administrator,
        row.created_at,
        row.disabled_at,
        tuple(sorted(set(groups))),
        row.must_change_password,
    )

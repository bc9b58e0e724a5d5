"""Tokens, and the services beside them: each change one transaction with its audit event."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from headgate.access.granting import GrantService
from headgate.access.groups import GroupService, get_user_id
from headgate.access.permissions import ScopeAction
from headgate.access.secrets import digest_of, new_token
from headgate.access.users import UserService
from headgate.audit.events import Action, record
from headgate.db import tables
from headgate.db.engine import Database, advance_epoch
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, NotFound


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it may be shown: never its text."""

    id: int
    name: str
    user: str
    prefix: str
    permissions: list[str] | None
    channels: list[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class AccessService:
    """Creates, lists and revokes tokens; `users`, `groups` and `grants` are the services beside it."""

    def __init__(self, database: Database, secret: bytes) -> None:
        self._database = database
        self._secret = secret
        self.users = UserService(database)
        self.groups = GroupService(database)
        self.grants = GrantService(database)

    async def create_user(self, actor: str, name: str, password: str, *, is_administrator: bool) -> None:
        """Add a user; raises what `users.create` raises."""
        await self.users.create(actor, name, password, is_administrator=is_administrator)

    async def has_users(self) -> bool:
        """True once anyone can sign in."""
        async with self._database.read() as connection:
            return (await connection.execute(select(tables.user.c.id).limit(1))).first() is not None

    async def create_token(
        self,
        actor: str,
        user: str,
        name: str,
        *,
        permissions: Sequence[ScopeAction] | None = None,
        channels: Sequence[str] | None = None,
        lifetime: timedelta | None = None,
    ) -> tuple[Token, str]:
        """A new token and its text, which is shown this once.

        `permissions` and `channels` narrow it (None: whatever the owner may); `lifetime` None never ends.
        Raises NotFound `user-unknown`, Conflict `token-exists`.
        """
        prefix, text = new_token()
        created = clock.now()
        values = {
            "name": name,
            "prefix": prefix,
            "digest": digest_of(self._secret, text),
            "permissions": None if not permissions else sorted(permissions),
            "channels": None if not channels else sorted(channels),
            "created_at": created,
            "expires_at": created + lifetime if lifetime else None,
        }
        try:
            async with self._database.write() as connection:
                owner = await get_user_id(connection, user)
                await connection.execute(tables.token.insert().values({**values, "user_id": owner}))
                await record(connection, Action.TOKEN_CREATE, actor, subject=name, user=user, prefix=prefix)
                await advance_epoch(connection, "access")
        except IntegrityError as error:
            raise Conflict("token-exists", f"{user} already has a token {name}. Revoke it first.") from error
        return (await self.list_tokens(prefix=prefix))[0], text

    async def list_tokens(self, *, user: str | None = None, prefix: str | None = None) -> list[Token]:
        """Tokens by user and name, revoked ones included."""
        columns = tables.token.c
        statement = select(tables.token, tables.user.c.name.label("user")).join(
            tables.user, tables.user.c.id == columns.user_id
        )
        if user is not None:
            statement = statement.where(tables.user.c.name == user)
        if prefix is not None:
            statement = statement.where(columns.prefix == prefix)
        async with self._database.read() as connection:
            rows = await connection.execute(statement.order_by(tables.user.c.name, columns.name))
            return [
                Token(
                    row.id, row.name, row.user, row.prefix, row.permissions, row.channels,
                    row.created_at, row.expires_at, row.revoked_at,
                )
                for row in rows
            ]  # fmt: skip

    async def revoke_token(self, actor: str, user: str, name: str) -> None:
        """End a token at once, and free its name. Raises NotFound `token-unknown`."""
        columns = tables.token.c
        async with self._database.write() as connection:
            owner = select(tables.user.c.id).where(tables.user.c.name == user).scalar_subquery()
            chosen = (columns.user_id == owner) & (columns.name == name) & columns.revoked_at.is_(None)
            found = (await connection.execute(select(columns.id, columns.prefix).where(chosen))).first()
            if found is None:
                raise NotFound("token-unknown", f"{user} has no live token {name}.")
            values = {"revoked_at": clock.now(), "name": f"{name} (revoked {found.prefix})"}
            await connection.execute(update(tables.token).where(columns.id == found.id).values(values))
            await record(connection, Action.TOKEN_REVOKE, actor, subject=name, user=user, prefix=found.prefix)
            await advance_epoch(connection, "access")

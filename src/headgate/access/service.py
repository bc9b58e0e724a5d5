"""The services that write access, in one hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from sqlalchemy import select

from headgate.access.granting import GrantService
from headgate.access.groups import GroupService
from headgate.access.passwords import PasswordRules
from headgate.access.permissions import ScopeAction
from headgate.access.tokens import Token, TokenService, TokenWish
from headgate.access.users import FirstPassword, UserService
from headgate.access.views import ViewService
from headgate.db import tables
from headgate.db.engine import Database


@dataclass(frozen=True, slots=True)
class AccessRules:
    """What an administrator decided for passwords and tokens; `token_max_days` 0: a token may live for ever."""

    passwords: PasswordRules = field(default_factory=PasswordRules)
    token_max_days: int = 365


class AccessService:
    """`users`, `groups`, `grants`, `tokens` and `views`: each change one transaction with its audit event."""

    def __init__(self, database: Database, secret: bytes, rules: AccessRules) -> None:
        self._database = database
        self.users = UserService(database, rules.passwords)
        self.groups = GroupService(database)
        self.grants = GrantService(database)
        self.tokens = TokenService(database, secret, rules.token_max_days)
        self.views = ViewService(database)

    async def create_user(self, actor: str, name: str, password: str, *, is_administrator: bool) -> None:
        """Add a user as whoever starts the server does; raises what `users.create` raises."""
        first = FirstPassword(password, is_founders=True)
        await self.users.create(actor, name, first, is_administrator=is_administrator)

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
        """A token of the usual life unless `lifetime` (whole days) is given; raises what `tokens.create` raises."""
        wish = TokenWish(name, permissions, channels)
        return await self.tokens.create(actor, user, wish if lifetime is None else replace(wish, days=lifetime.days))

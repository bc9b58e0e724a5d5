"""Tokens: made, listed, rotated, revoked; each change one transaction with its audit event."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Row, Select, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.addresses import parse_ranges
from headgate.access.groups import get_user_id
from headgate.access.permissions import ScopeAction
from headgate.access.secrets import check_chosen_text, digest_of, new_token, prefix_of
from headgate.audit.events import Action, record
from headgate.db import tables
from headgate.db.engine import Database, advance_epoch
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, Invalid, NotFound

_USUAL_DAYS = 90
Life = int | Literal["usual", "most"] | None
"""In days; what most tokens have, or the most there may be; None without end."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it may be shown: never its text."""

    id: int
    name: str
    user: str
    prefix: str
    permissions: list[str] | None
    channels: list[str] | None
    addresses: list[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    rotated_at: datetime | None
    previous_ends_at: datetime | None
    used_at: datetime | None
    used_from: str | None

    @property
    def is_live(self) -> bool:
        """True while it can be used."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > clock.now())


@dataclass(frozen=True, slots=True)
class TokenWish:
    """What a new token is to be.

    `permissions`, `channels` and `addresses` narrow it (None: whatever the owner may, from anywhere). `days` is its
    life, `latest` the moment which its usual life may not pass. `text` is one
    that somebody chose.
    """

    name: str
    permissions: Sequence[ScopeAction] | None = None
    channels: Sequence[str] | None = None
    addresses: Sequence[str] | None = None
    days: Life = "usual"
    latest: datetime | None = None
    text: str | None = None


class TokenService:
    """Writes tokens. `max_days`: the longest life of one; 0: no limit."""

    def __init__(self, database: Database, secret: bytes, max_days: int) -> None:
        self._database = database
        self._secret = secret
        self._max_days = max_days

    def expiry(self, days: Life, latest: datetime | None = None) -> datetime | None:
        """When a token made now would end. Raises Invalid `token-life-long`."""
        if days == "usual":
            usual = clock.now() + timedelta(days=min(_USUAL_DAYS, self._max_days or _USUAL_DAYS))
            return usual if latest is None else min(usual, latest)
        if days == "most":
            days = self._max_days or None
        if self._max_days and (days is None or days > self._max_days):
            raise Invalid(
                "token-life-long",
                f"A token may live {self._max_days} days here (access.token_max_days); ask for no more.",
            )
        return None if days is None else clock.now() + timedelta(days=days)

    async def create(self, actor: str, user: str, wish: TokenWish) -> tuple[Token, str]:
        """A new token and its text, which is shown this once.

        Raises NotFound `user-unknown`, Conflict `token-exists` or `token-text-taken`, Invalid `token-life-long`,
        `token-text-invalid` or `address-range-invalid`.
        """
        prefix, text = self._text(wish.text)
        values = {
            "name": wish.name,
            "prefix": prefix,
            "digest": digest_of(self._secret, text),
            "permissions": None if not wish.permissions else sorted(wish.permissions),
            "channels": None if not wish.channels else sorted(wish.channels),
            "addresses": None if not wish.addresses else sorted(parse_ranges(wish.addresses)),
            "created_at": clock.now(),
            "expires_at": self.expiry(wish.days, wish.latest),
        }
        try:
            async with self._database.write() as connection:
                owner = await get_user_id(connection, user)
                await _check_prefix(connection, prefix)
                made = await connection.execute(
                    tables.token.insert().values({**values, "user_id": owner}).returning(tables.token.c.id)
                )
                number = made.scalar_one()
                detail: dict[str, Any] = {"user": user, "prefix": prefix, "number": number}
                await record(connection, Action.TOKEN_CREATE, actor, subject=wish.name, **detail)
                await advance_epoch(connection, "access")
        except IntegrityError as error:
            raise Conflict("token-exists", f"{user} already has a token {wish.name}. Revoke it first.") from error
        return await self.get(number), text

    async def list(
        self, *, user: str | None = None, name: str | None = None, channel: str | None = None
    ) -> Sequence[Token]:
        """Tokens by user and name, revoked ones included; only those of a user, of a name, or limited to a channel."""
        statement = _tokens().order_by(tables.user.c.name, tables.token.c.name)
        if user is not None:
            statement = statement.where(tables.user.c.name == user)
        if name is not None:
            statement = statement.where(tables.token.c.name == name)
        async with self._database.read() as connection:
            found = [_shown(row) for row in await connection.execute(statement)]
        return [one for one in found if channel is None or channel in (one.channels or ())]

    async def get(self, number: int) -> Token:
        """One token. Raises NotFound `token-unknown`."""
        async with self._database.read() as connection:
            row = (await connection.execute(_tokens().where(tables.token.c.id == number))).first()
        if row is None:
            raise NotFound("token-unknown", f"There is no token {number}.")
        return _shown(row)

    async def get_live(self, user: str, name: str) -> Token:
        """A user's token of that name. Raises NotFound `token-unknown`."""
        found = next((one for one in await self.list(user=user, name=name) if one.revoked_at is None), None)
        if found is None:
            raise NotFound("token-unknown", f"{user} has no live token {name}.")
        return found

    async def rotate(
        self, actor: str, number: int, overlap: timedelta, latest: datetime | None = None
    ) -> tuple[Token, str]:
        """Give a token a new text and a new life, as long as its last; the old text is good until the overlap ends.

        The life ends by `latest`. Raises NotFound `token-unknown`, Conflict `token-ended`.
        """
        columns = tables.token.c
        prefix, text = new_token()
        now = clock.now()
        async with self._database.write() as connection:
            row = (await connection.execute(_tokens().where(columns.id == number))).first()
            if row is None:
                raise NotFound("token-unknown", f"There is no token {number}.")
            if not _shown(row).is_live:
                raise Conflict("token-ended", f"Token {row.name} has ended; make a new one.")
            expires_at = self._renewed(row, now, latest)
            ends = [now + overlap, row.expires_at, expires_at]
            values = {
                "prefix": prefix,
                "digest": digest_of(self._secret, text),
                "rotated_at": now,
                "expires_at": expires_at,
                "previous_prefix": row.prefix if overlap else None,
                "previous_digest": row.digest if overlap else None,
                "previous_ends_at": min(one for one in ends if one is not None) if overlap else None,
            }
            await connection.execute(update(tables.token).where(columns.id == number).values(values))
            detail: dict[str, Any] = {"user": row.user, "prefix": prefix, "number": number, "old_prefix": row.prefix}
            await record(connection, Action.TOKEN_ROTATE, actor, subject=row.name, **detail)
            await advance_epoch(connection, "access")
        return await self.get(number), text

    async def revoke(self, actor: str, user: str, name: str) -> None:
        """End a token at once, and free its name. Raises NotFound `token-unknown`."""
        columns = tables.token.c
        chosen = (tables.user.c.name == user) & (columns.name == name) & columns.revoked_at.is_(None)
        async with self._database.write() as connection:
            row = (await connection.execute(_tokens().where(chosen))).first()
            if row is None:
                raise NotFound("token-unknown", f"{user} has no live token {name}.")
            await revoke_row(connection, actor, row)
            await advance_epoch(connection, "access")

    async def revoke_number(self, actor: str, number: int) -> None:
        """The same by id, which no two tokens ever share. Raises NotFound `token-unknown`."""
        columns = tables.token.c
        async with self._database.write() as connection:
            row = (
                await connection.execute(_tokens().where(columns.id == number, columns.revoked_at.is_(None)))
            ).first()
            if row is None:
                raise NotFound("token-unknown", f"There is no live token {number}.")
            await revoke_row(connection, actor, row)
            await advance_epoch(connection, "access")

    def _text(self, chosen: str | None) -> tuple[str, str]:
        """Prefix and text, of a new one or of the one that somebody chose."""
        if chosen is None:
            return new_token()
        check_chosen_text(chosen)
        prefix = prefix_of(self._secret, chosen)
        assert prefix is not None
        return prefix, chosen

    def _renewed(self, row: Row[Any], now: datetime, latest: datetime | None) -> datetime | None:
        if row.expires_at is None:
            return None
        life: timedelta = row.expires_at - (row.rotated_at or row.created_at)
        ends = [now + life, latest, now + timedelta(days=self._max_days) if self._max_days else None]
        return min(one for one in ends if one is not None)


async def narrow_tokens(connection: AsyncConnection, actor: str, channel: str) -> int:
    """Take a channel that is gone from the tokens that name it; one that named no other ends. The number of changes."""
    columns = tables.token.c
    rows = await connection.execute(_tokens().where(columns.channels.is_not(None), columns.revoked_at.is_(None)))
    found = [row for row in rows if channel in (row.channels or ())]
    for row in found:
        left = [one for one in row.channels if one != channel]
        if not left:
            await revoke_row(connection, actor, row)
            continue
        await connection.execute(update(tables.token).where(columns.id == row.id).values(channels=left))
        detail: dict[str, Any] = {"user": row.user, "prefix": row.prefix, "channels": left}
        await record(connection, Action.TOKEN_NARROW, actor, channel=channel, subject=row.name, **detail)
    return len(found)


async def revoke_row(connection: AsyncConnection, actor: str, row: Row[Any]) -> None:
    """End a token that was read with `user`, and write it down; its name is free again."""
    values = {
        "revoked_at": clock.now(),
        "name": f"{row.name} (revoked {row.prefix})",
        "previous_prefix": None,
        "previous_digest": None,
        "previous_ends_at": None,
    }
    await connection.execute(update(tables.token).where(tables.token.c.id == row.id).values(values))
    detail: dict[str, Any] = {"user": row.user, "prefix": row.prefix, "number": row.id}
    await record(connection, Action.TOKEN_REVOKE, actor, subject=row.name, **detail)


async def _check_prefix(connection: AsyncConnection, prefix: str) -> None:
    """Two tokens never share a text, revoked ones included."""
    columns = tables.token.c
    same = (columns.prefix == prefix) | (columns.previous_prefix == prefix)
    if (await connection.execute(select(columns.id).where(same))).first() is not None:
        raise Conflict("token-text-taken", "That text was used before. Choose another, or leave it out.")


def _tokens() -> Select[Any]:
    return select(tables.token, tables.user.c.name.label("user")).join(
        tables.user, tables.user.c.id == tables.token.c.user_id
    )


def _shown(row: Row[Any]) -> Token:
    return Token(
        row.id, row.name, row.user, row.prefix, row.permissions, row.channels, row.addresses, row.created_at,
        row.expires_at, row.revoked_at, row.rotated_at, row.previous_ends_at, row.used_at, row.used_from,
    )  # fmt: skip

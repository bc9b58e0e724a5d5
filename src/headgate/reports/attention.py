"""What somebody should look at: mirrors and feeds that fail, what is about to expire, what has changed."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from headgate.db import tables
from headgate.db.engine import Database
from headgate.kernel import clock

_MOST = 8
_SOON = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class FailingMirror:
    """A subdir of a mirror whose last look failed; `synced_at` is when one last did not."""

    channel: str
    mirror: str
    subdir: str
    failure: str
    synced_at: datetime | None


@dataclass(frozen=True, slots=True)
class ExpiringToken:
    """A token that ends soon."""

    name: str
    user: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """A revision of a subdir."""

    channel: str
    subdir: str
    number: int
    at: datetime
    cause: str
    names: int


class Attention:
    """Each question is one query, and its answer short."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def failing_mirrors(self, channels: Collection[int]) -> list[FailingMirror]:
        """Of these channels, the one that has been failing longest first."""
        place, source, channel = tables.source_subdir.c, tables.source.c, tables.channel.c
        statement = (
            select(
                channel.name.label("channel"), source.name.label("mirror"), place.name, place.failure, place.synced_at
            )
            .join(tables.source, source.id == place.source_id)
            .join(tables.channel, channel.id == source.channel_id)
            .where(place.failure.is_not(None), channel.id.in_(channels))
            .order_by(place.synced_at, channel.name, place.name)
            .limit(_MOST)
        )
        async with self._database.read() as connection:
            return [FailingMirror(*row) for row in await connection.execute(statement)]

    async def expiring_tokens(self, user: str | None) -> list[ExpiringToken]:
        """Those of a user, or of all, that end within two weeks; the next one first."""
        token, owner, now = tables.token.c, tables.user.c, clock.now()
        statement = (
            select(token.name, owner.name.label("user"), token.expires_at)
            .join(tables.user, owner.id == token.user_id)
            .where(token.revoked_at.is_(None), token.expires_at > now, token.expires_at < now + _SOON)
            .order_by(token.expires_at)
            .limit(_MOST)
        )
        if user is not None:
            statement = statement.where(owner.name == user)
        async with self._database.read() as connection:
            return [ExpiringToken(*row) for row in await connection.execute(statement)]

    async def changes(self, channels: Collection[int]) -> list[Change]:
        """The last revisions in these channels."""
        revision, subdir, channel = tables.revision.c, tables.subdir.c, tables.channel.c
        statement = (
            select(
                channel.name.label("channel"),
                subdir.name.label("subdir"),
                revision.number,
                revision.created_at,
                revision.cause,
                revision.changed,
            )
            .join(tables.subdir, subdir.id == revision.subdir_id)
            .join(tables.channel, channel.id == subdir.channel_id)
            .where(channel.id.in_(channels), revision.changed > 0)
            .order_by(revision.created_at.desc())
            .limit(_MOST)
        )
        async with self._database.read() as connection:
            return [Change(*row) for row in await connection.execute(statement)]

"""Sessions: a person at a browser, known by the random text in its cookie.

    begin ──> live ──┬─> ended      signed out, revoked, password changed, logged out at the provider: the row goes
                     ├─> expired    older than the settings allow, or unused for longer
                     └─> barred     its user is disabled: asked of the principal at every request

Only the digest of the text is kept. Every process knows the live sessions by heart (a snapshot of topic `sessions`), and
writes down when one was used at most once a minute.
"""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.groups import get_user_id
from headgate.access.secrets import digest_of
from headgate.audit.events import Action, record
from headgate.db import tables
from headgate.db.engine import Database, advance_epoch
from headgate.db.sealing import Sealer
from headgate.db.tables_sign_in import session as session_table
from headgate.kernel import clock
from headgate.kernel.errors import NotFound, Refused, Unavailable

TOPIC = "sessions"
BY_PASSWORD = "password"  # noqa: S105 - how somebody signed in
_NOTE_EVERY = timedelta(minutes=1)
_AGENT_LENGTH = 256
_COLUMNS = session_table.c


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long a session lasts at most, and how long unused."""

    whole: timedelta = timedelta(hours=168)
    idle: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Session:
    """A session as it may be shown: never its text. `method` is `password`, or the provider: `oidc:keycloak`."""

    id: int
    user: str
    user_id: int
    created_at: datetime
    used_at: datetime
    expires_at: datetime
    address: str
    agent: str
    method: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Beginning:
    """From where and how somebody signs in. `sid` and `id_token` are the provider's, for logging out there."""

    address: str
    agent: str
    method: str = BY_PASSWORD
    sid: str | None = None
    id_token: str | None = None


class SessionService:
    """Begins, lists and ends sessions."""

    def __init__(self, database: Database, secret: bytes, life: Lifetime) -> None:
        self._database = database
        self._secret = secret
        self.life = life
        self._sealer = Sealer(secret, "id token")

    async def begin(self, user: str, beginning: Beginning) -> str:
        """A new session's text, for its cookie; what has expired is cleared away. Raises Refused `user-disabled`."""
        text = secrets.token_urlsafe(32)
        now = clock.now()
        values = {
            "digest": digest_of(self._secret, text),
            "created_at": now,
            "used_at": now,
            "expires_at": now + self.life.whole,
            "address": beginning.address,
            "agent": beginning.agent[:_AGENT_LENGTH],
            "method": beginning.method,
            "provider_sid": beginning.sid,
            "id_token": None if beginning.id_token is None else self._sealer.seal(beginning.id_token),
        }
        async with self._database.write() as connection:
            number = await get_user_id(connection, user)
            await _check_enabled(connection, number, user)
            await connection.execute(delete(session_table).where(self._is_over(now)))
            await connection.execute(session_table.insert().values({**values, "user_id": number}))
            detail: dict[str, Any] = {"method": beginning.method, "address": beginning.address}
            await record(connection, Action.SESSION_BEGIN, user, subject=user, **detail)
            await advance_epoch(connection, TOPIC)
        return text

    async def list_sessions(self, user: str) -> Sequence[Session]:
        """Somebody's live sessions, the one used last first."""
        statement = _SELECT.where(tables.user.c.name == user, ~self._is_over(clock.now()))
        async with self._database.read() as connection:
            rows = await connection.execute(statement.order_by(_COLUMNS.used_at.desc(), _COLUMNS.id.desc()))
            return [_session(row) for row in rows]

    async def find_id_token(self, number: int) -> str | None:
        """The ID token that a session began with, if it is kept."""
        statement = select(_COLUMNS.id_token).where(_COLUMNS.id == number)
        async with self._database.read() as connection:
            sealed: str | None = (await connection.execute(statement)).scalar_one_or_none()
        return None if sealed is None else self._sealer.unseal(sealed)

    async def end(self, actor: str, user: str, number: int | None = None) -> int:
        """End one of somebody's sessions, or all; how many. Raises NotFound `session-unknown`, `user-unknown`."""
        async with self._database.write() as connection:
            owner = await get_user_id(connection, user)
            chosen = _COLUMNS.user_id == owner
            if number is not None:
                chosen &= _COLUMNS.id == number
            ended = await _end(connection, actor, chosen)
        if number is not None and not ended:
            raise NotFound("session-unknown", f"{user} has no live session {number}.")
        return ended

    async def end_at_provider(self, provider: str, *, sid: str | None, external_id: str | None) -> int:
        """End the sessions that a provider says have ended: one by its `sid`, or all of one of its people.

        With both, also those of that person of which the provider never told a `sid`.
        """
        chosen = _COLUMNS.method == provider
        if sid is not None and external_id is not None:
            chosen &= or_(_COLUMNS.provider_sid == sid, _COLUMNS.provider_sid.is_(None))
        elif sid is not None:
            chosen &= _COLUMNS.provider_sid == sid
        if external_id is not None:
            whom = (tables.user.c.provider == provider) & (tables.user.c.external_id == external_id)
            chosen &= _COLUMNS.user_id.in_(select(tables.user.c.id).where(whom))
        async with self._database.write() as connection:
            return await _end(connection, provider, chosen)

    def _is_over(self, now: datetime) -> ColumnElement[bool]:
        return or_(_COLUMNS.expires_at <= now, _COLUMNS.used_at <= now - self.life.idle)


class Sessions:
    """The live sessions, by heart."""

    def __init__(self, database: Database, secret: bytes, life: Lifetime) -> None:
        self._database = database
        self._secret = secret
        self._life = life
        self._known: dict[bytes, Session] = {}

    async def load(self, connection: AsyncConnection) -> None:
        """Read every session again."""
        rows = await connection.execute(_SELECT.where(_COLUMNS.expires_at > clock.now()))
        self._known = {row.digest: _session(row) for row in rows}

    async def find(self, text: str) -> Session | None:
        """The live session with that text; using it keeps it alive. A text of no live session is as good as none."""
        known = self._known.get(digest_of(self._secret, text))
        if known is None:
            return None
        now = clock.now()
        if known.expires_at <= now:
            return None
        if now - known.used_at < _NOTE_EVERY:
            return known
        return await self._note(known, now)

    def proof(self, session: Session) -> str:
        """What a form or a header has to bring along with the session's cookie, so that no other site can."""
        return hmac.new(self._secret, b"csrf " + session.digest, "sha256").hexdigest()

    def is_proof(self, session: Session, text: str) -> bool:
        """Whether that is the session's proof; takes the same time for every wrong one."""
        return hmac.compare_digest(self.proof(session).encode(), text.encode("utf-8", "surrogateescape"))

    async def _note(self, known: Session, now: datetime) -> Session | None:
        """Write down that it is used, unless it lay idle; another process may have seen it used since."""
        alive = (_COLUMNS.id == known.id) & (_COLUMNS.used_at > now - self._life.idle)
        try:
            async with self._database.write() as connection:
                noted = await connection.execute(update(session_table).where(alive).values(used_at=now))
        except Unavailable:  # a full disk keeps nobody from reading
            return known if known.used_at > now - self._life.idle else None
        if not noted.rowcount:
            self._known.pop(known.digest, None)
            return None
        fresh = replace(known, used_at=now)
        if known.digest in self._known:
            self._known[known.digest] = fresh
        return fresh


async def end_sessions_of(connection: AsyncConnection, actor: str, user_id: int) -> None:
    """End all sessions of a user, within the transaction that changes that user."""
    await _end(connection, actor, _COLUMNS.user_id == user_id)


async def _end(connection: AsyncConnection, actor: str, chosen: ColumnElement[bool]) -> int:
    rows = (await connection.execute(_SELECT.where(chosen))).all()
    for row in rows:
        await connection.execute(delete(session_table).where(_COLUMNS.id == row.id))
        await record(connection, Action.SESSION_END, actor, subject=row.user, method=row.method, address=row.address)
    if rows:
        await advance_epoch(connection, TOPIC)
    return len(rows)


async def _check_enabled(connection: AsyncConnection, number: int, name: str) -> None:
    disabled = select(tables.user.c.disabled_at).where(tables.user.c.id == number)
    if (await connection.execute(disabled)).scalar_one() is not None:
        raise Refused("user-disabled", f"{name} is disabled. Ask an administrator.")


_SELECT = select(session_table, tables.user.c.name.label("user")).join(
    tables.user, tables.user.c.id == _COLUMNS.user_id
)


def _session(row: Row[Any]) -> Session:
    return Session(
        row.id, row.user, row.user_id, row.created_at, row.used_at, row.expires_at,
        row.address, row.agent, row.method, row.digest,
    )  # fmt: skip

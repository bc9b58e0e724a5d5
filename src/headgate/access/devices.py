"""Signing in a command line by a browser elsewhere (in the manner of RFC 8628, with Headgate itself as the provider).

waiting ──┬─> approved ──> spent      the person said yes; the device asked, and got its token
          ├─> denied                  the person said no
          └─> expired                 nobody answered within ten minutes
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.groups import get_user_id
from headgate.access.secrets import digest_of
from headgate.access.service import AccessService
from headgate.access.tokens import Token
from headgate.audit.events import Action, record
from headgate.db import tables
from headgate.db.engine import Database
from headgate.db.tables_sign_in import device_sign_in as table
from headgate.kernel import clock
from headgate.kernel.errors import NotFound, Refused

PATIENCE: Final = timedelta(minutes=10)
POLL_S: Final = 2
_MOST_PER_ADDRESS = 10
_MOST = 1000
# No vowels: no words. 20 ** 8 codes, for ten minutes, asked for by people who are signed in.
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_CODE_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Device:
    """A device that waits: how it calls itself, and the address it asked from."""

    user_code: str
    machine: str
    address: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class DeviceCodes:
    """The secret that the device keeps, and the code that its person types into a browser."""

    device_code: str
    user_code: str
    expires_at: datetime


class DeviceService:
    """Takes in devices, asks their people, hands out tokens."""

    def __init__(self, database: Database, secret: bytes, access: AccessService, token_life: timedelta) -> None:
        self._database = database
        self._secret = secret
        self._access = access
        self.token_life = token_life

    async def begin(self, machine: str, address: str) -> DeviceCodes:
        """Let a device wait. Raises Refused `device-codes-many`."""
        device_code = secrets.token_urlsafe(32)
        letters = "".join(secrets.choice(_LETTERS) for _ in range(_CODE_LENGTH))
        now = clock.now()
        values = {
            "device_digest": digest_of(self._secret, device_code),
            "user_code": letters,
            "machine": machine,
            "address": address,
            "created_at": now,
            "expires_at": now + PATIENCE,
            "is_denied": False,
        }
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(table.c.expires_at <= now))
            await _check_room(connection, address)
            await connection.execute(table.insert().values(values))
        return DeviceCodes(device_code, _dashed(letters), now + PATIENCE)

    async def find(self, user_code: str) -> Device:
        """The device that waits with that code, however it is written. Raises NotFound `device-code-unknown`."""
        async with self._database.read() as connection:
            return await _get(connection, user_code)

    async def approve(self, user: str, user_code: str) -> Device:
        """Let the device act for the user. Raises NotFound `device-code-unknown`."""
        async with self._database.write() as connection:
            device = await _get(connection, user_code)
            values = {"user_id": await get_user_id(connection, user)}
            await connection.execute(update(table).where(table.c.user_code == _plain(user_code)).values(values))
            detail = {"machine": device.machine, "address": device.address}
            await record(connection, Action.DEVICE_APPROVE, user, subject=user, **detail)
        return device

    async def deny(self, user: str, user_code: str) -> Device:
        """Send the device away. Raises NotFound `device-code-unknown`."""
        async with self._database.write() as connection:
            device = await _get(connection, user_code)
            chosen = table.c.user_code == _plain(user_code)
            await connection.execute(update(table).where(chosen).values(is_denied=True))
            detail = {"machine": device.machine, "address": device.address}
            await record(connection, Action.DEVICE_DENY, user, subject=user, **detail)
        return device

    async def redeem(self, device_code: str) -> tuple[Token, str] | None:
        """The token of a device that was approved, once; None while its person has not answered.

        Raises NotFound `device-code-unknown`, Refused `device-denied` or `user-disabled`.
        """
        chosen = table.c.device_digest == digest_of(self._secret, device_code)
        statement = select(table, tables.user.c.name, tables.user.c.disabled_at)
        joined = statement.join(tables.user, tables.user.c.id == table.c.user_id, isouter=True)
        async with self._database.read() as connection:
            row = (await connection.execute(joined.where(chosen, table.c.expires_at > clock.now()))).first()
        if row is None:
            raise _unknown()
        if row.is_denied:
            raise Refused("device-denied", "The person who was asked in the browser said no.")
        if row.user_id is None:
            return None
        async with self._database.write() as connection:
            if not (await connection.execute(delete(table).where(chosen))).rowcount:
                raise _unknown()
        if row.disabled_at is not None:
            raise Refused("user-disabled", f"{row.name} is disabled. Ask an administrator.")
        name = f"{row.machine} {clock.now():%Y-%m-%d %H:%M:%S} {row.user_code[:4]}"
        actor = f"{row.name} (device {row.machine})"
        return await self._access.create_token(actor, row.name, name, lifetime=self.token_life)


async def _check_room(connection: AsyncConnection, address: str) -> None:
    number = func.count()
    total = (await connection.execute(select(number).select_from(table))).scalar_one()
    same = select(number).select_from(table).where(table.c.address == address)
    if total >= _MOST or (await connection.execute(same)).scalar_one() >= _MOST_PER_ADDRESS:
        raise Refused("device-codes-many", "Too many devices wait for an answer. Try again in ten minutes.")


async def _get(connection: AsyncConnection, user_code: str) -> Device:
    waiting = table.c.is_denied.is_(False) & table.c.user_id.is_(None) & (table.c.expires_at > clock.now())
    statement = select(table).where(table.c.user_code == _plain(user_code), waiting)
    row = (await connection.execute(statement.with_for_update())).first()
    if row is None:
        raise _unknown()
    return Device(_dashed(row.user_code), row.machine, row.address, row.created_at, row.expires_at)


def _unknown() -> NotFound:
    return NotFound(
        "device-code-unknown", "No device waits with this code: it is wrong, used or older than 10 minutes."
    )


def _plain(user_code: str) -> str:
    return "".join(letter for letter in user_code.upper() if letter in _LETTERS)


def _dashed(letters: str) -> str:
    return f"{letters[:4]}-{letters[4:]}"

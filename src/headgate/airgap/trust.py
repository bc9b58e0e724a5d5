"""Keys whose bundles are taken without being asked again: what the drop folder needs."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.names import is_name
from headgate.airgap.keys import parse_public_key
from headgate.audit.events import Action, record
from headgate.db import tables_bundles
from headgate.db.engine import Database
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, Invalid, NotFound


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key, as 64 hexadecimal digits."""

    name: str
    key: str
    created_at: datetime
    created_by: str


class TrustService:
    """Keeps the keys that are trusted on this server."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_keys(self) -> list[TrustedKey]:
        """Every key, by name."""
        statement = select(tables_bundles.bundle_key).order_by(tables_bundles.bundle_key.c.name)
        async with self._database.read() as connection:
            return [TrustedKey(*row) for row in await connection.execute(statement)]

    async def add(self, actor: str, name: str, key: str) -> TrustedKey:
        """Trust a key. Raises Invalid `key-invalid` or `key-name-invalid`, Conflict `key-known`."""
        if not is_name(name):
            raise Invalid("key-name-invalid", f"{name[:128]!r} cannot be the name of a key: no '/', no ':', one line.")
        trusted = TrustedKey(name, parse_public_key(key), clock.now(), actor)
        try:
            async with self._database.write() as connection:
                await connection.execute(
                    tables_bundles.bundle_key.insert().values(
                        name=name, key=trusted.key, created_at=trusted.created_at, created_by=actor
                    )
                )
                await record(connection, Action.BUNDLE_TRUST, actor, subject=name, key=trusted.key)
        except IntegrityError as error:
            raise Conflict(
                "key-known", f"The name {name} is taken, or the key is trusted under another name."
            ) from error
        return trusted

    async def remove(self, actor: str, name: str) -> None:
        """Trust a key no longer; what came with it stays. Raises NotFound `key-unknown`."""
        columns = tables_bundles.bundle_key.c
        async with self._database.write() as connection:
            gone = await connection.execute(
                delete(tables_bundles.bundle_key).where(columns.name == name).returning(columns.key)
            )
            key = gone.scalar_one_or_none()
            if key is None:
                raise NotFound("key-unknown", f"No key is trusted under the name {name}.")
            await record(connection, Action.BUNDLE_DISTRUST, actor, subject=name, key=key)


async def read_trusted(connection: AsyncConnection) -> dict[str, str]:
    """Name -> key of all that are trusted."""
    columns = tables_bundles.bundle_key.c
    return {row.name: row.key for row in await connection.execute(select(columns.name, columns.key))}

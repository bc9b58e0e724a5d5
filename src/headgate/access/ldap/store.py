"""Directories as they are kept: read whole, and remembered by every web worker."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.ldap.settings import LdapDirectory, LdapSettings
from headgate.db import tables
from headgate.kernel.errors import NotFound

TOPIC = "ldap"


@dataclass(frozen=True, slots=True)
class KeptDirectory:
    """A directory, and how its last sync went."""

    directory: LdapDirectory
    created_at: datetime
    checked_at: datetime | None
    synced_at: datetime | None
    failure: str | None


class LdapDirectories:
    """Every directory, in order; a snapshot of topic `ldap`."""

    def __init__(self) -> None:
        self._known: Sequence[LdapDirectory] = ()

    async def load(self, connection: AsyncConnection) -> None:
        """Read them again."""
        self._known = [kept.directory for kept in await read_directories(connection)]

    def all(self) -> Sequence[LdapDirectory]:
        """In the order in which they are asked."""
        return self._known


async def read_directories(connection: AsyncConnection) -> list[KeptDirectory]:
    """Every directory, in the order in which they are asked."""
    columns = tables.ldap_directory.c
    rows = await connection.execute(select(tables.ldap_directory).order_by(columns.position, columns.id))
    return [_kept(row) for row in rows]


async def get_directory(connection: AsyncConnection, name: str) -> KeptDirectory:
    """Raises NotFound `ldap-directory-unknown`."""
    chosen = select(tables.ldap_directory).where(tables.ldap_directory.c.name == name)
    row = (await connection.execute(chosen)).first()
    if row is None:
        raise NotFound("ldap-directory-unknown", f"There is no LDAP directory {name}.")
    return _kept(row)


def _kept(row: Row[Any]) -> KeptDirectory:
    settings = msgspec.convert(row.settings, LdapSettings)
    directory = LdapDirectory(row.id, row.name, row.position, settings, row.bind_password)
    return KeptDirectory(directory, row.created_at, row.checked_at, row.synced_at, row.failure)

"""CA bundles: certificates that are trusted besides the system's, by one mirror or by all."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.audit.events import Action, record
from headgate.channels.catalog import read_channels
from headgate.db import tables
from headgate.db.engine import Database, advance_epoch
from headgate.http.certificates import Certificate, describe, read_certificates, to_pem
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, Invalid, NotFound

TOPIC = "network"
"""Of what every process remembers of CA bundles."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class CaBundle:
    """Certificates under a name; `is_everywhere`: every mirror trusts them, else those that name it."""

    name: str
    pem: str
    is_everywhere: bool
    created_at: datetime
    created_by: str

    def certificates(self) -> list[Certificate]:
        """What is worth knowing of each."""
        return [describe(one) for one in read_certificates(self.pem.encode())]


class AuthorityService:
    """Writes CA bundles."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_bundles(self) -> list[CaBundle]:
        """Every bundle, by name."""
        async with self._database.read() as connection:
            return await read_bundles(connection)

    async def add(self, actor: str, name: str, data: bytes, *, is_everywhere: bool) -> CaBundle:
        """Trust the certificates in `data` (PEM, DER or base64 of it).

        Raises Invalid `ca-name-invalid` or `certificate-invalid`, Conflict `ca-exists`.
        """
        if not _NAME.fullmatch(name):
            raise Invalid(
                "ca-name-invalid",
                f"{name!r} is not a CA bundle's name: up to 64 lower-case letters, digits, `_`, `.`, `-`.",
            )
        certificates = read_certificates(data)
        for one in map(describe, certificates):
            if one.has_expired:
                raise Invalid("certificate-invalid", f"The certificate of {one.subject} expired at {one.expires_at}.")
        bundle = CaBundle(name, to_pem(certificates), is_everywhere, clock.now(), actor)
        values = {column: getattr(bundle, column) for column in CaBundle.__slots__}
        try:
            async with self._database.write() as connection:
                await connection.execute(tables.ca_bundle.insert().values(values))
                subjects = [one.subject for one in bundle.certificates()]
                await record(
                    connection, Action.CA_ADD, actor, subject=name, everywhere=is_everywhere, subjects=subjects
                )
                await advance_epoch(connection, TOPIC)
        except IntegrityError as error:
            raise Conflict("ca-exists", f"There is already a CA bundle {name}.") from error
        return bundle

    async def remove(self, actor: str, name: str) -> None:
        """Trust a bundle no longer. Raises NotFound `ca-unknown`, Conflict `ca-in-use` while a mirror names it."""
        async with self._database.write() as connection:
            users = [
                f"{channel.name} ({source.name})"
                for channel in await read_channels(connection)
                for source in channel.sources
                if name in source.settings.network.ca
            ]
            if users:
                raise Conflict("ca-in-use", f"CA bundle {name} is named by {', '.join(users)}. Change these first.")
            gone = await connection.execute(delete(tables.ca_bundle).where(tables.ca_bundle.c.name == name))
            if not gone.rowcount:
                raise _unknown(name)
            await record(connection, Action.CA_REMOVE, actor, subject=name)
            await advance_epoch(connection, TOPIC)


async def read_bundles(connection: AsyncConnection) -> list[CaBundle]:
    """Every bundle, by name: one query."""
    rows = await connection.execute(select(tables.ca_bundle).order_by(tables.ca_bundle.c.name))
    return [CaBundle(**row) for row in rows.mappings()]


async def check_known(connection: AsyncConnection, names: Collection[str]) -> None:
    """Raises NotFound `ca-unknown` unless there is a bundle of each name."""
    known = {bundle.name for bundle in await read_bundles(connection)} if names else set()
    for name in names:
        if name not in known:
            raise _unknown(name)


def _unknown(name: str) -> NotFound:
    return NotFound("ca-unknown", f"There is no CA bundle {name}. `headgate ca add {name} FILE` makes one.")

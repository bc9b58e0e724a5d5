"""Directories are added, changed and removed; each change one transaction with its audit event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.arrivals import ArrivalService
from headgate.access.directory import read_roles
from headgate.access.ldap.client import sealer_of
from headgate.access.ldap.settings import TEMPLATES, LdapSettings, changed, provider_of
from headgate.access.ldap.store import TOPIC, KeptDirectory, get_directory, read_directories
from headgate.access.names import is_name
from headgate.audit.events import Action, record
from headgate.db import tables
from headgate.db.engine import Database, advance_epoch
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, Invalid

UNCHANGED = "•••"
"""What stands where a secret is; given back, it means: as it was."""


@dataclass(frozen=True, slots=True)
class LdapChange:
    """What to change: settings by name, and the bind password unless it is `UNCHANGED`; None takes it away."""

    values: Mapping[str, Any]
    bind_password: str | None = UNCHANGED
    position: int | None = None
    """From 1, the first that is asked."""


class LdapService:
    """Writes and lists directories."""

    def __init__(self, database: Database, secret: bytes) -> None:
        self._database = database
        self._sealer = sealer_of(secret)
        self._arrivals = ArrivalService(database)

    async def list_directories(self) -> Sequence[KeptDirectory]:
        """In the order in which they are asked."""
        async with self._database.read() as connection:
            return await read_directories(connection)

    async def get(self, name: str) -> KeptDirectory:
        """Raises NotFound `ldap-directory-unknown`."""
        async with self._database.read() as connection:
            return await get_directory(connection, name)

    async def add(self, actor: str, name: str, change: LdapChange, template: str | None = None) -> None:
        """Add a directory, behind those there are unless a position is given.

        Raises Conflict `ldap-directory-exists`, Invalid `ldap-setting-invalid`.
        """
        if not is_name(name):
            raise Invalid("ldap-setting-invalid", f"{name[:128]!r} cannot be the name of a directory.")
        settings = changed(TEMPLATES[template] if template else LdapSettings(), change.values)
        password = None if change.bind_password == UNCHANGED else change.bind_password
        _check_password(settings, has_password=password is not None)
        values = {
            "name": name,
            "settings": msgspec.to_builtins(settings),
            "bind_password": None if password is None else self._sealer.seal(password),
            "created_at": clock.now(),
        }
        try:
            async with self._database.write() as connection:
                await _check_roles(connection, settings)
                await connection.execute(tables.ldap_directory.insert().values({**values, "position": 1 << 30}))
                await _place(connection, name, change.position)
                await record(connection, Action.LDAP_ADD, actor, subject=name, urls=list(settings.urls))
                await _tell(connection)
        except IntegrityError as error:
            raise Conflict("ldap-directory-exists", f"There is already an LDAP directory {name}.") from error

    async def change(self, actor: str, name: str, change: LdapChange, *, is_whole: bool = False) -> None:
        """Change what is given; with `is_whole`, let the rest be as it is at first, but for the bind password.

        Raises NotFound `ldap-directory-unknown`, Invalid `ldap-setting-invalid`.
        """
        async with self._database.write() as connection:
            kept = (await get_directory(connection, name)).directory
            settings = changed(LdapSettings() if is_whole else kept.settings, change.values)
            await _check_roles(connection, settings)
            password = kept.bind_password
            if change.bind_password != UNCHANGED:
                password = None if change.bind_password is None else self._sealer.seal(change.bind_password)
            _check_password(settings, has_password=password is not None)
            values = {"settings": msgspec.to_builtins(settings), "bind_password": password}
            chosen = tables.ldap_directory.c.id == kept.id
            await connection.execute(update(tables.ldap_directory).where(chosen).values(values))
            if change.position is not None:
                await _place(connection, name, change.position)
            await record(connection, Action.LDAP_SET, actor, subject=name, settings=sorted(_named(change)))
            await _tell(connection)

    async def remove(self, actor: str, name: str) -> Sequence[str]:
        """Remove a directory. Its people are disabled first, as nobody vouches for them any more; their names.

        Raises NotFound `ldap-directory-unknown`.
        """
        await self.get(name)
        left = await self._arrivals.dismiss(provider_of(name), ())
        async with self._database.write() as connection:
            kept = (await get_directory(connection, name)).directory
            await connection.execute(delete(tables.ldap_directory).where(tables.ldap_directory.c.id == kept.id))
            await record(connection, Action.LDAP_REMOVE, actor, subject=name, disabled=list(left))
            await _tell(connection)
        return left

    async def note_sync(self, actor: str, name: str, *, is_forced: bool) -> None:
        """Write down that somebody asks for a sync. Raises NotFound `ldap-directory-unknown`."""
        async with self._database.write() as connection:
            await get_directory(connection, name)
            await record(connection, Action.LDAP_SYNC, actor, subject=name, is_forced=is_forced)


async def _tell(connection: AsyncConnection) -> None:
    """Every worker reads the directories again, and forgets the passwords that it remembers."""
    await advance_epoch(connection, TOPIC)
    await advance_epoch(connection, "access")


async def _place(connection: AsyncConnection, name: str, position: int | None) -> None:
    """Number the directories anew, with this one at `position` (None: last)."""
    known = [kept.directory for kept in await read_directories(connection)]
    moved = next(one for one in known if one.name == name)
    order = [one for one in known if one is not moved]
    order.insert(len(order) if position is None else position - 1, moved)
    for number, one in enumerate(order, 1):
        chosen = tables.ldap_directory.c.id == one.id
        await connection.execute(update(tables.ldap_directory).where(chosen).values(position=number))


async def _check_roles(connection: AsyncConnection, settings: LdapSettings) -> None:
    known = await read_roles(connection)
    unknown = [role for mapping in settings.mappings for role in mapping.roles if role not in known]
    if unknown:
        raise Invalid(
            "ldap-setting-invalid", f"There is no role {unknown[0]}, which the directory's groups should give."
        )


def _check_password(settings: LdapSettings, *, has_password: bool) -> None:
    if settings.bind_dn and not has_password:
        raise Invalid("ldap-setting-invalid", "A bind DN needs its password; leave both out to search anonymously.")


def _named(change: LdapChange) -> set[str]:
    """What was touched, by name alone: a value may be long, or a secret."""
    secret = set() if change.bind_password == UNCHANGED else {"bind_password"}
    return {*change.values, *secret} | ({"position"} if change.position is not None else set())

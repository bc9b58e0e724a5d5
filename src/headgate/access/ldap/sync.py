"""Following a directory: memberships brought up to date, leavers disabled, who came back let in again.

Everything is read before anything is written, so that an error of the directory changes nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import select, update

from headgate.access.arrivals import Arrival, ArrivalService
from headgate.access.ldap.client import LdapClient
from headgate.access.ldap.people import arrival_of, find_everybody, find_groups
from headgate.access.ldap.settings import LdapDirectory
from headgate.access.ldap.store import get_directory
from headgate.db import tables
from headgate.db.engine import Database
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, HeadgateError

if TYPE_CHECKING:
    from headgate.access.ldap.wire import Session

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SyncOutcome:
    """How many people the directory has, how many of them are known here, who left, and who could not be updated."""

    people: int
    known: int
    disabled: Sequence[str]
    failures: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Known:
    name: str
    is_disabled: bool
    is_banned: bool


class LdapSync:
    """Follows directories, one call at a time."""

    def __init__(self, database: Database, client: LdapClient) -> None:
        self._database = database
        self._client = client
        self._arrivals = ArrivalService(database)

    async def sync(self, name: str, *, is_forced: bool = False) -> SyncOutcome:
        """Follow one directory. Raises NotFound `ldap-directory-unknown`, Conflict `ldap-sync-doubtful`, Unavailable.

        Doubtful is an answer without more than half of those who are known: it disables nobody unless forced.
        """
        async with self._database.read() as connection:
            directory = (await get_directory(connection, name)).directory
        try:
            outcome = await self._follow(directory, is_forced=is_forced)
        except HeadgateError as error:
            await self._note(directory, error.message)
            raise
        await self._note(directory, None)
        log.info("ldap_synced", directory=name, people=outcome.people, known=outcome.known, left=len(outcome.disabled))
        return outcome

    async def _follow(self, directory: LdapDirectory, *, is_forced: bool) -> SyncOutcome:
        known = await self._known(directory)
        wanted = {identity for identity, one in known.items() if not one.is_banned}
        present, arrivals = await self._client.ask(directory, lambda session: _read(session, directory, wanted))
        enabled = {identity for identity, one in known.items() if not one.is_disabled}
        _doubt(directory, enabled, present, is_forced=is_forced)
        failures = []
        for arrival in arrivals:
            try:
                await self._arrivals.welcome(arrival)
            except HeadgateError as error:
                log.warning("ldap_person_not_updated", directory=directory.name, user=arrival.name, code=error.code)
                failures.append(f"{arrival.name}: {error.message}")
        # Who arrived meanwhile was not known when the directory was read.
        newcomers = set(await self._known(directory)) - set(known)
        left = await self._arrivals.dismiss(directory.provider, present | newcomers)
        return SyncOutcome(len(present), len(known), left, failures)

    async def _known(self, directory: LdapDirectory) -> dict[str, _Known]:
        columns = tables.user.c
        chosen = select(columns.external_id, columns.name, columns.disabled_at, columns.disabled_by)
        async with self._database.read() as connection:
            rows = await connection.execute(chosen.where(columns.provider == directory.provider))
            return {row.external_id: _state(row.name, row.disabled_at, row.disabled_by, directory) for row in rows}

    async def _note(self, directory: LdapDirectory, failure: str | None) -> None:
        now = clock.now()
        values = {"checked_at": now, "failure": failure} | ({} if failure else {"synced_at": now})
        async with self._database.write() as connection:
            chosen = tables.ldap_directory.c.id == directory.id
            await connection.execute(update(tables.ldap_directory).where(chosen).values(values))


def _state(name: str, disabled_at: object, disabled_by: str | None, directory: LdapDirectory) -> _Known:
    is_disabled = disabled_at is not None
    return _Known(name, is_disabled, is_disabled and disabled_by != directory.provider)


def _read(session: "Session", directory: LdapDirectory, wanted: Collection[str]) -> tuple[set[str], list[Arrival]]:
    """Everybody's identity, and what those who are wanted are to have."""
    people = find_everybody(session, directory.settings)
    return set(people), [
        arrival_of(directory, person, find_groups(session, directory.settings, person))
        for identity, person in people.items()
        if identity in wanted
    ]


def _doubt(directory: LdapDirectory, enabled: set[str], present: set[str], *, is_forced: bool) -> None:
    leaving = enabled - present
    if leaving and not is_forced and (not present or 2 * len(leaving) > len(enabled)):
        raise Conflict(
            "ldap-sync-doubtful",
            f"The directory {directory.name} no longer shows {len(leaving)} of {len(enabled)} people who come from it, "
            f"so nothing was changed. Look with: headgate ldap test USER --directory {directory.name}. "
            f"If they did leave: headgate ldap sync {directory.name} --force.",
        )

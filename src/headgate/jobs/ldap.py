"""The workflow that follows an LDAP directory, and the clock that asks for it."""

import time
from datetime import timedelta
from typing import Any

import msgspec
from dbos import DBOS, DBOSConfiguredInstance

from headgate.access.ldap.store import read_directories
from headgate.access.ldap.sync import LdapSync
from headgate.db.engine import Database
from headgate.jobs.engine import INSTANCE
from headgate.jobs.requests import LdapRequest
from headgate.jobs.service import JobService
from headgate.kernel import clock

_LOOK_S = 5.0


@DBOS.dbos_class()
class LdapJobs(DBOSConfiguredInstance):
    """Follows directories."""

    def __init__(self, sync: LdapSync) -> None:
        super().__init__(INSTANCE)
        self._sync = sync

    @DBOS.workflow(name="sync-ldap")
    async def sync(self, request: LdapRequest) -> dict[str, Any]:
        """Follow the directory; how many people it has, who left, and who could not be updated."""
        return await self.follow(request)

    @DBOS.step()
    async def follow(self, request: LdapRequest) -> dict[str, Any]:
        """Follow; doing it twice does no harm."""
        outcome: dict[str, Any] = msgspec.to_builtins(
            await self._sync.sync(request["directory"], is_forced=request["is_forced"])
        )
        return outcome


class LdapClock:
    """Asks for a sync of each directory whose last look, good or bad, is older than the interval."""

    def __init__(self, database: Database, jobs: JobService, interval: timedelta) -> None:
        self._database = database
        self._jobs = jobs
        self._interval = interval
        self._looked_at = float("-inf")

    async def look(self) -> None:
        """To be called often; it looks at the database now and then."""
        if time.monotonic() - self._looked_at < _LOOK_S:
            return
        self._looked_at = time.monotonic()
        async with self._database.read() as connection:
            kept = await read_directories(connection)
        for one in kept:
            if clock.now() - (one.checked_at or one.created_at) >= self._interval:
                await self._jobs.sync_ldap("headgate", one.directory.name)

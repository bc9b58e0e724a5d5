"""The workflow that judges a subdir again: after a change of policy, and when a cooldown or an exemption ends.

Its one step publishes in one transaction, so a kill leaves the old revision whole; what is stale says so itself, and is
judged by whoever comes next.
"""

from dbos import DBOS, DBOSConfiguredInstance

from headgate.channels.revising import revise_subdir
from headgate.db.engine import Database
from headgate.jobs.engine import INSTANCE
from headgate.jobs.requests import ReviseRequest


@DBOS.dbos_class()
class GateJobs(DBOSConfiguredInstance):
    """Judges again."""

    def __init__(self, database: Database) -> None:
        super().__init__(INSTANCE)
        self._database = database

    @DBOS.workflow(name="revise-subdir")
    async def revise(self, request: ReviseRequest) -> int:
        """Judge what is stale; how many names were looked at."""
        return await self.judge(request)

    @DBOS.step()
    async def judge(self, request: ReviseRequest) -> int:
        """Judge and publish; doing it twice changes nothing more."""
        return await revise_subdir(self._database, request["channel"], request["subdir"])

"""Looking into the archives of cached files, beside the jobs: what they show is asked by some rules of policies."""

import asyncio

import structlog
from sqlalchemy.exc import SQLAlchemyError

from headgate.conda.archives import ArchiveLimits
from headgate.db.engine import Database
from headgate.db.watch import Watch
from headgate.intake.scripts import look_into_cached
from headgate.kernel.errors import HeadgateError
from headgate.storage.local import BlobStore

_LOOK_S = 1.0
_REST_S = 10.0
_AT_ONCE = 8

log = structlog.get_logger(__name__)


class ArchiveKeeper:
    """Runs beside the jobs of every worker; what two of them read at a time comes to the same."""

    def __init__(self, database: Database, store: BlobStore, watch: Watch) -> None:
        self._database = database
        self._store = store
        self._watch = watch
        self._seen: int | None = None

    async def look(self) -> None:
        """Look, for ever."""
        while True:
            try:
                await self._look_once()
            except (SQLAlchemyError, HeadgateError, OSError) as error:  # the next look tries again
                log.warning("archives_unread", reason=str(error))
                self._seen = None
                await asyncio.sleep(_REST_S)
            await asyncio.sleep(_LOOK_S)

    async def _look_once(self) -> None:
        version = self._watch.version()
        if version != self._seen:
            self._seen = version
            while await look_into_cached(self._database, self._store, ArchiveLimits(), _AT_ONCE):
                pass

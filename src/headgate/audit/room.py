"""The services of this room, put together over the databases."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from headgate.audit.access_log import AccessLog
from headgate.audit.access_store import AccessStore
from headgate.audit.access_tables import SCHEMA
from headgate.audit.downloads import DownloadCounts
from headgate.audit.masking import Kind, Masking
from headgate.audit.requests import AccessReader
from headgate.audit.signing import Signer
from headgate.audit.streams import PURPOSE, StreamService
from headgate.audit.trail import AuditTrail
from headgate.db.engine import Database
from headgate.db.sealing import Sealer


@dataclass(frozen=True, slots=True)
class AuditRoom:
    """What a web worker records, and what it knows of what was recorded."""

    store: AccessStore
    log: AccessLog
    downloads: DownloadCounts
    requests: AccessReader
    trail: AuditTrail
    signer: Signer
    streams: StreamService

    async def start(self) -> None:
        """Make what is missing, and begin to write."""
        await self.store.open()
        self.log.start()

    async def close(self) -> None:
        """Write what is left."""
        await self.log.close()
        await self.store.close()


def open_store(database: Database, file: Path) -> AccessStore:
    """The access log: in a file of its own on SQLite, in a schema of its own on PostgreSQL."""
    return AccessStore(Database(f"sqlite+aiosqlite:///{file}") if database.is_sqlite else database.in_schema(SCHEMA))


class LogChoices(Protocol):
    """What the settings say of the access log."""

    @property
    def kinds(self) -> Sequence[Kind]:
        """Which requests are noted."""

    def masking(self, secret: bytes) -> Masking:
        """What is left out."""


def open_room(
    database: Database, log_file: Path, secret: bytes, choices: LogChoices, dropped: Callable[[int], None]
) -> AuditRoom:
    """The services over the access log, and over the events in the database."""
    store = open_store(database, log_file)
    signer = Signer(secret)
    return AuditRoom(
        store,
        AccessLog(store, choices.masking(secret), frozenset(choices.kinds), dropped),
        DownloadCounts(store),
        AccessReader(store),
        AuditTrail(database, signer),
        signer,
        StreamService(database, Sealer(secret, PURPOSE)),
    )

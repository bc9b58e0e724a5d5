"""DBOS, set up: where its database is, which version of the steps it runs, how a worker is named."""

import asyncio
from typing import Any

from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import ConnectionPoolEntry

from headgate.jobs.kinds import QUEUES

APPLICATION = "headgate"
# A killed workflow resumes only under the version that began it: it changes when a workflow's steps do, not at a release.
STEPS_VERSION = "1"
INSTANCE = "headgate"


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_size=5, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine


async def migrate_jobs(url: str) -> None:
    """Create or upgrade the tables of DBOS, and run nothing; before any client or worker is opened."""
    await asyncio.to_thread(DBOS.migrate, url)


class _Client(DBOSClient):
    """A client that closes the connections it was given; DBOS closes only those it made.

    Its calls run in threads, which outlive whoever waited for them: a connection that comes back late is closed then.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_destroyed = False
        event.listen(engine, "checkin", self._close_late)
        super().__init__(
            system_database_engine=engine,
            serializer=DBOSPortableJSONSerializer(),
            application_name=APPLICATION,
            retry_connection_errors=False,
        )

    def destroy(self) -> None:
        """Close every connection, those in use when they come back."""
        self._is_destroyed = True
        super().destroy()
        self._engine.dispose()

    def _close_late(self, _connection: Any, record: ConnectionPoolEntry) -> None:
        if self._is_destroyed:
            record.close()


def open_client(url: str) -> DBOSClient:
    """For a process that enqueues and looks, but runs nothing. The tables must be there already."""
    return _Client(_engine(make_url(url)))


def open_worker(url: str, executor: str) -> DBOS:
    """For a process that runs workflows; `executor` must be unique among all that live."""
    config: DBOSConfig = {
        "name": APPLICATION,
        "system_database_engine": _engine(make_url(url)),
        "system_database_url": url,
        "serializer": DBOSPortableJSONSerializer(),
        "application_version": STEPS_VERSION,
        "executor_id": executor,
        "log_level": "WARNING",
        "use_listen_notify": False,
    }
    return DBOS(config=config)


async def declare_queues() -> None:
    """Make the queues known; after `DBOS.launch`."""
    for name, at_once, poll_s in QUEUES:
        await DBOS.register_queue_async(name, worker_concurrency=at_once, polling_interval_sec=poll_s)

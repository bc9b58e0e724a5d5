"""What a worker can run: every class with a workflow, made before DBOS is launched."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from headgate.channels.documents import Renderer
from headgate.channels.routes import Routes
from headgate.db.engine import Database
from headgate.db.turns import Turns
from headgate.db.watch import Watch
from headgate.jobs.publish import PublishJobs
from headgate.jobs.service import JobService
from headgate.jobs.sync import SyncJobs
from headgate.jobs.upkeep import UpkeepJobs
from headgate.storage.local import BlobStore


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What jobs work with."""

    database: Database
    watch: Watch
    store: BlobStore
    routes: Routes
    jobs: JobService


def make_jobs(parts: WorkerParts) -> Callable[[], Awaitable[None]]:
    """Make one of each class; what is returned closes what they opened."""
    folder = parts.store.folder
    SyncJobs(parts.database, parts.routes, folder.scratch, Turns(parts.database, folder.workers))
    PublishJobs(Renderer(parts.database, parts.store))
    UpkeepJobs(parts.database, parts.store, parts.jobs)

    async def close() -> None:
        pass

    return close

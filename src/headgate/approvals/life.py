"""The services of a hosted channel's life, put together over one database and one store."""

from dataclasses import dataclass

from headgate.approvals.batches import BatchService
from headgate.approvals.pipelines import PipelineService
from headgate.channels.freezing import FreezeService
from headgate.channels.packages import PackageService
from headgate.channels.patching import PatchService
from headgate.db.engine import Database
from headgate.intake.rollback import RollbackService
from headgate.storage.local import BlobStore


@dataclass(frozen=True, slots=True)
class Life:
    """What happens to channels between being made and being deleted."""

    freezing: FreezeService
    patches: PatchService
    rollbacks: RollbackService
    batches: BatchService
    packages: PackageService
    pipelines: PipelineService


def open_life(database: Database, store: BlobStore) -> Life:
    """The services on this database."""
    return Life(
        freezing=FreezeService(database),
        patches=PatchService(database),
        rollbacks=RollbackService(database, store),
        batches=BatchService(database, store),
        packages=PackageService(database),
        pipelines=PipelineService(database),
    )

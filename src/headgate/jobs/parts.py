"""What jobs work with."""

from dataclasses import dataclass

from headgate.access.ldap.sync import LdapSync
from headgate.advisories.feeds import FeedService
from headgate.airgap.drops import DropFolder
from headgate.airgap.exports import Exports
from headgate.airgap.importing import Importer
from headgate.backups.service import BackupService
from headgate.channels.routes import Routes
from headgate.channels.signing import SigningService
from headgate.conda.attestations import TrustRoot
from headgate.db.engine import Database
from headgate.db.watch import Watch
from headgate.jobs.advisory_keeper import AdvisoryKeeper
from headgate.jobs.cards import CardKeeper
from headgate.jobs.records import RecordKeeper
from headgate.jobs.service import JobService
from headgate.storage.local import BlobStore


@dataclass(frozen=True, slots=True)
class AirgapParts:
    """What carries things over the air gap; `drops` is looked through every `scan_s`, exports are kept for `keep_s`."""

    exports: Exports
    importer: Importer
    drops: DropFolder | None
    scan_s: float
    keep_s: float


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What jobs work with."""

    database: Database
    watch: Watch
    store: BlobStore
    routes: Routes
    jobs: JobService
    root: TrustRoot
    signing: SigningService
    ldap: LdapSync
    feeds: FeedService
    keeper: AdvisoryKeeper
    airgap: AirgapParts
    records: RecordKeeper
    cards: CardKeeper
    backups: BackupService

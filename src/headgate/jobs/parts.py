"""What jobs work with."""

from dataclasses import dataclass

from headgate.access.ldap.sync import LdapSync
from headgate.channels.routes import Routes
from headgate.db.engine import Database
from headgate.db.watch import Watch
from headgate.jobs.service import JobService
from headgate.storage.local import BlobStore


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What jobs work with."""

    database: Database
    watch: Watch
    store: BlobStore
    routes: Routes
    jobs: JobService
    ldap: LdapSync

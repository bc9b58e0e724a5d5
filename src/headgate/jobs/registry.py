"""What a worker can run: every class with a workflow, made before DBOS is launched."""

from collections.abc import Awaitable, Callable
from functools import partial

from headgate.airgap.exporting import Exporter
from headgate.approvals.batches import BatchService
from headgate.approvals.bringing import Bringer
from headgate.approvals.promotions import PromotionService
from headgate.approvals.requests import follow_promotion
from headgate.channels.catalog import Catalog
from headgate.channels.documents import Renderer
from headgate.channels.gatekeeper import open_gatekeeper
from headgate.channels.maps import Maps
from headgate.channels.shards import ShardCache
from headgate.db.turns import Turns
from headgate.delivery.flights import Flights
from headgate.delivery.located import Locator
from headgate.delivery.sidecars import Sidecars
from headgate.delivery.sources import FromStore, FromUpstream, Landing, WithPolicy
from headgate.jobs.advisories import AdvisoryJobs
from headgate.jobs.airgap import AirgapJobs, scan_drops
from headgate.jobs.backups import BackupJobs
from headgate.jobs.batch import BatchJobs
from headgate.jobs.fetch import FetchJobs
from headgate.jobs.gate import GateJobs
from headgate.jobs.ldap import LdapJobs
from headgate.jobs.parts import WorkerParts
from headgate.jobs.promote import PromoteJobs
from headgate.jobs.publish import PublishJobs
from headgate.jobs.sync import SyncJobs
from headgate.jobs.upkeep import UpkeepJobs


def make_jobs(parts: WorkerParts) -> Callable[[], Awaitable[None]]:
    """Make one of each class; what is returned closes what they opened."""
    folder = parts.store.folder
    turns = Turns(parts.database, folder.workers)
    SyncJobs(parts, turns, partial(scan_drops, parts.airgap, parts.jobs))
    landing = Landing(parts.database, parts.store)
    flights = Flights(parts.store, landing)
    upstream = FromUpstream(parts.database, flights, parts.routes)
    gatekeeper = open_gatekeeper(parts.database, parts.watch)
    delivery = WithPolicy(gatekeeper, FromStore(parts.store, upstream))
    FetchJobs(parts.database, parts.routes, parts.store, landing, delivery)
    catalog = Catalog()
    locator = Locator(parts.database, catalog, Maps(parts.database), ShardCache(parts.database), gatekeeper)
    bringer = Bringer(parts.database, parts.routes, catalog, locator, parts.store, delivery)
    PromoteJobs(parts.database, PromotionService(parts.database, parts.store, [follow_promotion]), bringer)
    sidecars = Sidecars(parts.database, locator, delivery, upstream, parts.root)
    AirgapJobs(parts, Exporter(parts.database, parts.store, catalog, locator, delivery, sidecars))
    PublishJobs(Renderer(parts.database, parts.store, parts.signing))
    BatchJobs(BatchService(parts.database, parts.store))
    GateJobs(parts.database)
    LdapJobs(parts.ldap)
    AdvisoryJobs(parts.database, parts.feeds, parts.routes, parts.store)
    UpkeepJobs(parts.database, parts.store, parts.jobs, turns)
    BackupJobs(parts.database, parts.backups)
    return flights.close

"""The services of this room, put together."""

from dataclasses import dataclass

from headgate.advisories.book import AdvisoryBook
from headgate.audit.room import AuditRoom
from headgate.channels.exposure import Exposure
from headgate.channels.maps import Maps
from headgate.db.engine import Database
from headgate.reports.affected import BlastRadius
from headgate.reports.attention import Attention
from headgate.reports.downloads import DownloadReports
from headgate.reports.evidence import EvidencePacks
from headgate.reports.history import AdvisoryHistory
from headgate.reports.inventory import Inventory
from headgate.reports.overview import Overviews
from headgate.reports.recent import Recent
from headgate.reports.waiting import WaitingRoom


@dataclass(frozen=True, slots=True)
class ReportRoom:
    """Makes reports."""

    downloads: DownloadReports
    inventory: Inventory
    blast: BlastRadius
    evidence: EvidencePacks
    attention: Attention
    exposure: Exposure
    overviews: Overviews
    waiting: WaitingRoom
    history: AdvisoryHistory
    recent: Recent


def open_room(database: Database, audit: AuditRoom, maps: Maps, book: AdvisoryBook) -> ReportRoom:
    """The services over these databases."""
    downloads, exposure = DownloadReports(audit.store), Exposure(database, maps, book)
    return ReportRoom(
        downloads,
        Inventory(database, maps, downloads),
        BlastRadius(database, audit.store, maps, book),
        EvidencePacks(audit.trail, downloads, audit.signer),
        Attention(database),
        exposure,
        Overviews(exposure),
        WaitingRoom(database),
        AdvisoryHistory(database),
        Recent(),
    )

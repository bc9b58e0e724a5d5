"""The services of this room, put together."""

from dataclasses import dataclass

from headgate.advisories.book import AdvisoryBook
from headgate.audit.access_store import AccessStore
from headgate.channels.maps import Maps
from headgate.db.engine import Database
from headgate.reports.affected import BlastRadius
from headgate.reports.downloads import DownloadReports
from headgate.reports.inventory import Inventory


@dataclass(frozen=True, slots=True)
class ReportRoom:
    """Makes reports."""

    downloads: DownloadReports
    inventory: Inventory
    blast: BlastRadius


def open_room(database: Database, store: AccessStore, maps: Maps, book: AdvisoryBook) -> ReportRoom:
    """The services over these databases."""
    downloads = DownloadReports(store)
    return ReportRoom(downloads, Inventory(database, maps, downloads), BlastRadius(database, store, maps, book))

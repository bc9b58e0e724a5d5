"""The services of this room, put together over one database."""

from dataclasses import dataclass

from headgate.advisories.book import AdvisoryBook
from headgate.advisories.catalogue import AdvisoryCatalogue
from headgate.advisories.curating import CurationService
from headgate.advisories.feeds import FeedService
from headgate.advisories.importing import Importer
from headgate.advisories.names import NameService
from headgate.db.engine import Database


@dataclass(frozen=True, slots=True)
class AdvisoryRoom:
    """Everything about advisories that a web worker serves with."""

    book: AdvisoryBook
    catalogue: AdvisoryCatalogue
    feeds: FeedService
    names: NameService
    curations: CurationService


def open_room(database: Database) -> AdvisoryRoom:
    """The services on this database; the book is empty until it is loaded."""
    return AdvisoryRoom(
        AdvisoryBook(),
        AdvisoryCatalogue(database),
        FeedService(database, Importer(database)),
        NameService(database),
        CurationService(database),
    )

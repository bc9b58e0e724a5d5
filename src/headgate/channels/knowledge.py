"""What this process knows of advisories, per database: bootstrap says, publishing and delivery ask.

Publishing happens in transactions of many services; none of them should have to carry a book of advisories around.
"""

from typing import Protocol
from weakref import WeakKeyDictionary

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.advisories.findings import Assessments
from headgate.db.engine import Database
from headgate.policy.facts import NOTHING_KNOWN


class AssessmentSource(Protocol):
    """Gives the book of advisories."""

    def latest(self) -> Assessments:
        """The book as this process last saw it."""
        ...

    async def at(self, connection: AsyncConnection) -> Assessments:
        """The book as this connection sees it."""
        ...


_sources: WeakKeyDictionary[Engine, AssessmentSource] = WeakKeyDictionary()


def use_assessments(database: Database, source: AssessmentSource) -> None:
    """Ask this for the book, whenever something of the database is published or delivered."""
    _sources[database.engine.sync_engine] = source


def latest_assessments(database: Database) -> Assessments:
    """The book as this process last saw it; one that knows nothing while there is none."""
    source = _sources.get(database.engine.sync_engine)
    return NOTHING_KNOWN if source is None else source.latest()


async def assessments_at(connection: AsyncConnection) -> Assessments:
    """The book as this connection sees it; one that knows nothing while there is none."""
    source = _sources.get(connection.engine.sync_engine)
    return NOTHING_KNOWN if source is None else await source.at(connection)

"""What this process knows of advisories, per database: bootstrap says, publishing and delivery ask.

Publishing happens in transactions of many services; none of them should have to carry a book of advisories around.
"""

from typing import Protocol
from weakref import WeakKeyDictionary

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.advisories.findings import Assessments
from headgate.db.engine import Database, read_epochs
from headgate.policy.facts import NOTHING_KNOWN


class AssessmentSource(Protocol):
    """Gives the book of advisories."""

    def latest(self) -> Assessments:
        """The book as this process last saw it."""
        ...

    async def at(self, connection: AsyncConnection) -> Assessments:
        """The book as this connection sees it."""
        ...


class LoadableBook(Assessments, Protocol):
    """A book that takes in what changed in the database."""

    async def load(self, connection: AsyncConnection) -> None:
        """Take in what changed since the last time."""
        ...


class FollowedBook:
    """A book that is up to date whenever something is published, whether or not its process follows the topic."""

    def __init__(self, book: LoadableBook, topic: str) -> None:
        self._book = book
        self._topic = topic
        self._epoch: int | None = None

    def latest(self) -> Assessments:
        """The book as this process last saw it."""
        return self._book

    async def at(self, connection: AsyncConnection) -> Assessments:
        """The book as this connection sees it; read anew only when its topic's epoch has moved."""
        epoch = (await read_epochs(connection)).get(self._topic, 0)
        if epoch != self._epoch:
            await self._book.load(connection)
            self._epoch = epoch
        return self._book


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

"""Advisories with everything they need, on each database, and the folder of real data."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from headgate.advisories.book import AdvisoryBook
from headgate.advisories.curating import CurationService
from headgate.advisories.feeds import FeedService
from headgate.advisories.importing import Importer, Outcome
from headgate.advisories.names import NameService
from headgate.bootstrap import Place
from headgate.db import tables_advisories as tables
from headgate.db.engine import Database
from tests.real import find_shared


@dataclass(frozen=True, slots=True)
class Room:
    """The services of the room, and a book that follows them."""

    database: Database
    feeds: FeedService
    names: NameService
    curations: CurationService
    book: AdvisoryBook
    folder: Path

    async def take(self, document: Any, *, feed: str = "test", is_whole: bool = False) -> Outcome:
        """Import one JSON document, or a path."""
        if isinstance(document, Path):
            path = document
        else:
            path = self.folder / "document"
            path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
        outcome = await self.feeds.take("test", feed, path, is_whole=is_whole)
        await self.reload()
        return outcome

    async def reload(self) -> None:
        """Let the book see what was committed."""
        async with self.database.read() as connection:
            await self.book.load(connection)

    async def touched(self) -> set[str]:
        """The names that wait for a new evaluation, which are forgotten by asking."""
        async with self.database.write() as connection:
            rows = await connection.execute(tables.advisory_change.select())
            found = {row.name for row in rows}
            await connection.execute(tables.advisory_change.delete())
        return found

    async def zip(self, records: Mapping[str, Any], *, feed: str = "pypi") -> Outcome:
        """Import records as osv.dev lays out its `all.zip`."""
        path = self.folder / "all.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, record in records.items():
                archive.writestr(f"{name}.json", json.dumps(record))
        return await self.take(path, feed=feed, is_whole=True)


@pytest.fixture
async def room(place: Place, tmp_path: Path) -> Any:
    database = Database(place.database_url)
    yield Room(
        database,
        FeedService(database, Importer(database)),
        NameService(database),
        CurationService(database),
        AdvisoryBook(),
        tmp_path,
    )
    await database.close()


@pytest.fixture(scope="session")
def data() -> Path:
    """Real advisories, names and records."""
    return find_shared("data", "advisories").parent

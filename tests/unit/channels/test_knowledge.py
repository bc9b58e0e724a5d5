"""What is known of advisories, where it meets the gate: publishing sees it at once, and a malicious file is out of reach."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.bootstrap import Services
from headgate.channels.knowledge import FollowedBook, assessments_at, latest_assessments, use_assessments
from headgate.channels.model import ChannelKind
from headgate.channels.revising import republish
from headgate.conda.names import ArtifactName, ChannelName
from headgate.conda.shards import decode_stored
from headgate.db.engine import Database, advance_epoch
from headgate.kernel.errors import Refused
from headgate.policy.facts import NOTHING_KNOWN
from tests.packages import package
from tests.unit.policy.making import Book, finding

ACTOR = "tests"
FILE = "demo-1.0-0.conda"


class CountingBook(Book):
    """A book that counts how often it was read."""

    loads = 0

    async def load(self, connection: AsyncConnection) -> None:
        self.loads += 1


async def upload(services: Services, filename: str, body: bytes) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield body

    await services.uploads.take(ACTOR, services.catalog.get("team"), filename, pieces())
    await services.snapshots.reload()


async def listed(services: Services) -> set[str]:
    await services.snapshots.reload()
    digests = (await services.maps.get(services.catalog.get("team").subdirs["noarch"])).digests.values()
    bodies = await services.shards.find_many(list(digests))
    return {filename for body in bodies.values() for filename, _ in decode_stored(body).records()}


async def test_a_book_is_read_anew_only_when_its_topic_has_moved(services: Services) -> None:
    database, book = services.core.database, CountingBook()
    assert (
        latest_assessments(Database("sqlite+aiosqlite:///unknown.db")) is NOTHING_KNOWN
    )  # of which nobody said anything
    use_assessments(database, FollowedBook(book, "advisories"))
    async with database.read() as connection:
        assert await assessments_at(connection) is book
        assert await assessments_at(connection) is book
    assert book.loads == 1
    async with database.write() as connection:
        await advance_epoch(connection, "advisories")
        assert await assessments_at(connection) is book
    assert book.loads == 2
    assert latest_assessments(database) is book


async def test_a_malicious_file_leaves_every_channel_though_nobody_made_a_policy(services: Services) -> None:
    book = CountingBook()
    use_assessments(services.core.database, FollowedBook(book, "advisories"))
    await services.core.channels.create(ACTOR, ChannelName("team"), ChannelKind.HOSTED)
    await services.snapshots.reload()
    await upload(services, *package("demo"))
    await upload(services, *package("other"))
    assert await listed(services) == {FILE, "other-1.0-0.conda"}
    book.findings = {FILE: (finding("MAL-2026-1", is_malicious=True),)}
    await check_refused(services)  # before anything was published again
    await republish(services.core.database, {"demo"}, "advisories changed")
    assert await listed(services) == {"other-1.0-0.conda"}
    await check_refused(services)


async def check_refused(services: Services) -> None:
    wanted = await services.locator.locate(services.catalog.get("team"), "noarch", ArtifactName.parse(FILE))
    with pytest.raises(Refused) as caught:
        await services.delivery.check(wanted)
    assert caught.value.code == "policy-blocked"

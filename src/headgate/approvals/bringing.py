"""Bytes brought here before anything names them: from whatever stands behind a channel, verified."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from headgate.approvals.plans import Item
from headgate.channels.catalog import Catalog
from headgate.channels.routes import Routes
from headgate.conda.names import ArtifactName, ChannelName, Sha256
from headgate.db.engine import Database
from headgate.delivery.located import Locator
from headgate.delivery.sources import ArtifactSource, StoredFile
from headgate.kernel.errors import Conflict
from headgate.storage.local import BlobStore

_AT_ONCE = 8

Told = Callable[[Item], Awaitable[None]]


class Bringer:
    """Fetches what is not here yet; what is here is not fetched again."""

    def __init__(
        self,
        database: Database,
        routes: Routes,
        catalog: Catalog,
        locator: Locator,
        store: BlobStore,
        delivery: ArtifactSource,
    ) -> None:
        self._database = database
        self._routes = routes
        self._catalog = catalog
        self._locator = locator
        self._store = store
        self._delivery = delivery

    async def bring(self, source: ChannelName, items: Sequence[Item], told: Told) -> None:
        """Bring the bytes of every item, a few at once, calling `told` after each.

        Raises Conflict `promotion-outdated` when the source has other bytes under a name by now, NotFound
        `artifact-unknown` when it no longer lists it, Refused when policy holds it back, Unavailable when nobody has it.
        """
        async with self._database.read() as connection:
            await self._routes.load(connection)
            await self._catalog.load(connection)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(item: Item) -> None:
            async with gate:
                await self._bring(source, item)
                await told(item)

        for start in range(0, len(items), _AT_ONCE * 4):
            # The first failure of a batch ends it, as itself rather than in a group.
            tasks = [asyncio.create_task(one(item)) for item in items[start : start + _AT_ONCE * 4]]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _bring(self, source: ChannelName, item: Item) -> None:
        wanted = await self._locator.locate(self._catalog.get(source), item.subdir, ArtifactName.parse(item.filename))
        if wanted.sha256 != item.record["sha256"]:
            raise Conflict(
                "promotion-outdated", f"{item.filename} has other bytes in {source} than when it was decided on."
            )
        body = await self._delivery.open(wanted)
        if isinstance(body, StoredFile) or self._store.find(Sha256(wanted.sha256)) is not None:
            return
        with body.in_use():
            await body.landed()

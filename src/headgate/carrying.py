"""Puts together what carries channels over an air gap."""

import contextlib
from collections.abc import AsyncIterator

from headgate.airgap.drops import DropFolder
from headgate.airgap.exporting import Exporter
from headgate.airgap.exports import Exports
from headgate.airgap.importing import Importer
from headgate.airgap.trees import TreeImporter
from headgate.bootstrap import Core, open_routes, trust_root
from headgate.channels.catalog import Catalog
from headgate.channels.gatekeeper import open_gatekeeper
from headgate.channels.maps import Maps
from headgate.channels.shards import ShardCache
from headgate.db.watch import watch_of
from headgate.delivery.flights import Flights
from headgate.delivery.located import Locator
from headgate.delivery.sidecars import Sidecars
from headgate.delivery.sources import FromStore, FromUpstream, Landing, WithPolicy
from headgate.jobs.parts import AirgapParts


def build_importer(core: Core) -> Importer:
    """What takes bundles in."""
    return Importer(core.database, core.store, trust_root(core.place))


def build_airgap(core: Core) -> AirgapParts:
    """What carries things over the air gap, but for the exporter, which needs a way to the bytes."""
    database, store, settings = core.database, core.store, core.place.settings.airgap
    importer, drops = build_importer(core), None
    if settings.drop_folder is not None:
        trees = TreeImporter(database, store)
        drops = DropFolder(settings.drop_folder, database, store, importer, trees, settle_s=settings.settle_seconds)
    return AirgapParts(
        exports=Exports(store),
        importer=importer,
        drops=drops,
        scan_s=settings.scan_seconds,
        keep_s=settings.keep_hours * 3600,
    )


@contextlib.asynccontextmanager
async def opened_exporter(core: Core) -> AsyncIterator[Exporter]:
    """An exporter with a delivery chain of its own, closed at the end."""
    database, store, routes = core.database, core.store, open_routes(core.place)
    async with database.read() as connection:
        await routes.load(connection)
    flights = Flights(store, Landing(database, store))
    watch = watch_of(database)
    gatekeeper = open_gatekeeper(database, watch)
    upstream = FromUpstream(database, flights, routes)
    delivery = WithPolicy(gatekeeper, FromStore(store, upstream))
    catalog = Catalog()
    locator = Locator(database, catalog, Maps(database), ShardCache(database), gatekeeper)
    sidecars = Sidecars(database, locator, delivery, upstream, trust_root(core.place))
    try:
        yield Exporter(database, store, catalog, locator, delivery, sidecars)
    finally:
        await flights.close()
        await routes.close()
        await watch.close()

"""The one place that names concrete classes and puts them together.

Delivery reads from the outside in: the policy is asked, then the store, then (once per artifact, verified) upstream.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url

from headgate.access.authenticate import Authenticator
from headgate.access.passwords import PasswordRules
from headgate.access.rounds import Rounds
from headgate.access.secrets import load_secret
from headgate.access.service import AccessRules, AccessService
from headgate.access.uses import TokenUses
from headgate.channels.catalog import TOPIC, Catalog
from headgate.channels.maps import Maps
from headgate.channels.service import ChannelService
from headgate.channels.shards import ShardCache
from headgate.conda.archive_members import ArchiveLimits
from headgate.db.engine import Database
from headgate.db.snapshots import Snapshots
from headgate.db.watch import Watch, watch_of
from headgate.delivery.flights import Flights
from headgate.delivery.located import Locator
from headgate.delivery.sources import FromStore, FromUpstream, Landing, WithPolicy
from headgate.doors.credentials import Proxies, SignIn
from headgate.http.client import Outgoing
from headgate.intake.hosted import HostedWriter
from headgate.intake.uploads import Uploads
from headgate.jobs.engine import open_client
from headgate.jobs.service import JobService
from headgate.settings import Settings, load_settings
from headgate.storage.local import BlobStore
from headgate.storage.paths import DataFolder


@dataclass(frozen=True, slots=True)
class Place:
    """A data folder with its settings, and the databases that both lead to."""

    folder: DataFolder
    settings: Settings
    database_url: str
    jobs_url: str


def open_place(root: Path) -> Place:
    """Read the settings of a data folder. Raises Invalid `settings-invalid`."""
    folder = DataFolder(root.resolve())
    settings = load_settings(folder.settings)
    if settings.database.url is None:
        return Place(folder, settings, f"sqlite+aiosqlite:///{folder.database}", f"sqlite:///{folder.jobs}")
    url = make_url(settings.database.url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    return Place(folder, settings, url, url)


def open_outgoing(settings: Settings) -> Outgoing:
    """The client for outgoing requests."""
    return Outgoing(
        file_roots=settings.upstream.file_roots,
        connect_timeout_s=settings.upstream.connect_timeout_seconds,
        stall_timeout_s=settings.upstream.stall_timeout_seconds,
    )


@dataclass(frozen=True, slots=True)
class Core:
    """What both a web worker and the command line on a data folder need."""

    place: Place
    database: Database
    store: BlobStore
    channels: ChannelService
    access: AccessService


def build_core(place: Place) -> Core:
    """The services that only need the data folder."""
    database = Database(place.database_url)
    secret = load_secret(place.folder.secret)
    rules = AccessRules(PasswordRules(place.settings.access.password_min_length), place.settings.access.token_max_days)
    access = AccessService(database, secret, rules)
    return Core(place, database, BlobStore(place.folder), ChannelService(database), access)


@contextlib.asynccontextmanager
async def opened_core(place: Place) -> AsyncIterator[Core]:
    """The same, closed at the end."""
    core = build_core(place)
    try:
        yield core
    finally:
        await core.database.close()


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a web worker serves with."""

    core: Core
    watch: Watch
    snapshots: Snapshots
    catalog: Catalog
    authenticator: Authenticator
    sign_in: SignIn
    rounds: Rounds
    maps: Maps
    shards: ShardCache
    jobs: JobService
    hosted: HostedWriter
    uploads: Uploads
    outgoing: Outgoing
    flights: Flights
    locator: Locator
    upstream: FromUpstream
    delivery: WithPolicy

    async def start(self) -> None:
        """Load what is remembered, and remove what a killed worker left half-written."""
        await asyncio.to_thread(self.core.store.sweep)
        await self.watch.start()
        await self.snapshots.refresh()
        self.rounds.start()

    async def close(self) -> None:
        """Let fetches under way finish, then close every connection."""
        await self.flights.close()
        await self.outgoing.close()
        await asyncio.to_thread(self.jobs.close)
        await self.rounds.close()
        await self.watch.close()
        await self.core.database.close()


def build_services(place: Place) -> Services:
    """Put a web worker together."""
    core = build_core(place)
    database, store, settings = core.database, core.store, place.settings
    watch = watch_of(database)
    snapshots, catalog = Snapshots(database, watch), Catalog()
    uses = TokenUses(database)
    authenticator = Authenticator(load_secret(place.folder.secret), uses.noted)
    snapshots.follow(TOPIC, catalog.load)
    snapshots.follow("access", authenticator.load)
    maps, shards = Maps(database), ShardCache(database)
    outgoing = open_outgoing(settings)
    flights = Flights(outgoing, store, Landing(database, store))
    upstream = FromUpstream(database, flights, outgoing)
    hosted = HostedWriter(database)
    limits = ArchiveLimits(
        max_bytes=settings.upload.max_bytes,
        max_unpacked_bytes=settings.upload.max_unpacked_bytes,
        max_members=settings.upload.max_members,
        max_ratio=settings.upload.max_ratio,
    )
    return Services(
        core=core,
        watch=watch,
        snapshots=snapshots,
        catalog=catalog,
        authenticator=authenticator,
        sign_in=SignIn(
            authenticator,
            Proxies(settings.server.trusted_proxies),
            is_taking_query_keys=settings.access.accept_key_in_query,
        ),
        rounds=Rounds(uses, authenticator.failures),
        maps=maps,
        shards=shards,
        jobs=JobService(open_client(place.jobs_url), database),
        hosted=hosted,
        uploads=Uploads(store, hosted, limits),
        outgoing=outgoing,
        flights=flights,
        locator=Locator(database, catalog, maps, shards),
        upstream=upstream,
        delivery=WithPolicy(FromStore(store, upstream)),
    )

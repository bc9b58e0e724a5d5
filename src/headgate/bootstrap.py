"""The one place that names concrete classes and puts them together.

Delivery reads from the outside in: the policy is asked, then the store, then (once per artifact, verified) upstream.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url

from headgate.access.arrivals import ArrivalService
from headgate.access.authenticate import Authenticator
from headgate.access.ldap.client import LdapClient
from headgate.access.ldap.examination import LdapExaminer
from headgate.access.ldap.service import LdapService
from headgate.access.ldap.signin import LdapSignIn
from headgate.access.ldap.store import TOPIC as LDAP
from headgate.access.ldap.store import LdapDirectories
from headgate.access.passwords import PasswordRules
from headgate.access.rounds import Rounds
from headgate.access.secrets import load_secret
from headgate.access.service import AccessRules, AccessService
from headgate.access.uses import TokenUses
from headgate.approvals.candidates import Reader
from headgate.approvals.plans import Planner
from headgate.approvals.promotions import PromotionService
from headgate.channels import authorities
from headgate.channels.authorities import AuthorityService
from headgate.channels.catalog import TOPIC, Catalog
from headgate.channels.maps import Maps
from headgate.channels.mirror_service import MirrorService
from headgate.channels.mirrors import PURPOSE
from headgate.channels.routes import Routes
from headgate.channels.service import ChannelService
from headgate.channels.shards import ShardCache
from headgate.conda.archive_members import ArchiveLimits
from headgate.db.engine import Database
from headgate.db.sealing import Sealer
from headgate.db.snapshots import Snapshots
from headgate.db.watch import Watch, watch_of
from headgate.delivery.flights import Flights
from headgate.delivery.located import Locator
from headgate.delivery.sources import FromStore, FromUpstream, Landing, WithPolicy
from headgate.doors.credentials import ProxyRanges, SignIn
from headgate.http.breakers import Breakers
from headgate.http.network import DIRECT, Network
from headgate.http.proxies import Proxies
from headgate.intake.hosted import HostedWriter
from headgate.intake.uploads import Uploads
from headgate.jobs.engine import open_client
from headgate.jobs.freshness import Freshness
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


def network_of(settings: Settings, environment: Mapping[str, str]) -> Network:
    """How requests leave unless a mirror says otherwise."""
    chosen = settings.network
    if chosen.proxy is None:
        proxies = Proxies.of_environment(environment)
    elif chosen.proxy == DIRECT:
        proxies = Proxies()
    else:
        proxies = Proxies(chosen.proxy, chosen.proxy, chosen.no_proxy)
    return Network(
        proxies=proxies,
        connect_timeout_s=settings.upstream.connect_timeout_seconds,
        stall_timeout_s=settings.upstream.stall_timeout_seconds,
        retries=chosen.retries,
        connections=chosen.connections,
    )


def open_sealer(place: Place) -> Sealer:
    """What keeps the secrets of mirrors unreadable at rest."""
    return Sealer(load_secret(place.folder.secret), PURPOSE)


def open_routes(place: Place) -> Routes:
    """The ways to the mirrors."""
    settings = place.settings
    breakers = Breakers(settings.network.failures_before_rest, settings.network.rest_seconds)
    return Routes(network_of(settings, os.environ), open_sealer(place), settings.upstream.file_roots, breakers)


@dataclass(frozen=True, slots=True)
class Core:
    """What both a web worker and the command line on a data folder need."""

    place: Place
    database: Database
    store: BlobStore
    channels: ChannelService
    mirrors: MirrorService
    authorities: AuthorityService
    access: AccessService
    ldap: LdapService


def build_core(place: Place) -> Core:
    """The services that only need the data folder."""
    database = Database(place.database_url)
    secret = load_secret(place.folder.secret)
    sealer = open_sealer(place)
    rules = AccessRules(PasswordRules(place.settings.access.password_min_length), place.settings.access.token_max_days)
    return Core(
        place=place,
        database=database,
        store=BlobStore(place.folder),
        channels=ChannelService(database, sealer),
        mirrors=MirrorService(database, sealer),
        authorities=AuthorityService(database),
        access=AccessService(database, secret, rules),
        ldap=LdapService(database, secret),
    )


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
    ldap: LdapClient
    ldap_examiner: LdapExaminer
    maps: Maps
    shards: ShardCache
    jobs: JobService
    hosted: HostedWriter
    uploads: Uploads
    routes: Routes
    flights: Flights
    locator: Locator
    upstream: FromUpstream
    delivery: WithPolicy
    freshness: Freshness
    planner: Planner
    promotions: PromotionService

    async def start(self) -> None:
        """Load what is remembered, and remove what a killed worker left half-written."""
        await asyncio.to_thread(self.core.store.sweep)
        await self.watch.start()
        await self.snapshots.refresh()
        self.rounds.start()

    async def close(self) -> None:
        """Let fetches under way finish, then close every connection."""
        self.ldap.close()
        await self.flights.close()
        await self.routes.close()
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
    snapshots.follow(TOPIC, catalog.load)
    ldap = LdapClient(load_secret(place.folder.secret))
    authenticator = _build_authenticator(place, snapshots, uses, ldap)
    maps, shards = Maps(database), ShardCache(database)
    routes = open_routes(place)
    snapshots.follow(authorities.TOPIC, routes.load)
    flights = Flights(store, Landing(database, store))
    upstream = FromUpstream(database, flights, routes)
    hosted = HostedWriter(database)
    limits = ArchiveLimits(
        max_bytes=settings.upload.max_bytes,
        max_unpacked_bytes=settings.upload.max_unpacked_bytes,
        max_members=settings.upload.max_members,
        max_ratio=settings.upload.max_ratio,
    )
    jobs = JobService(open_client(place.jobs_url), database)
    return Services(
        core=core,
        watch=watch,
        snapshots=snapshots,
        catalog=catalog,
        authenticator=authenticator,
        sign_in=SignIn(
            authenticator,
            ProxyRanges(settings.server.trusted_proxies),
            is_taking_query_keys=settings.access.accept_key_in_query,
        ),
        rounds=Rounds(uses, authenticator.failures),
        ldap=ldap,
        ldap_examiner=LdapExaminer(database, ldap),
        maps=maps,
        shards=shards,
        jobs=jobs,
        hosted=hosted,
        uploads=Uploads(store, hosted, limits),
        routes=routes,
        flights=flights,
        locator=Locator(database, catalog, maps, shards),
        upstream=upstream,
        delivery=WithPolicy(FromStore(store, upstream)),
        freshness=Freshness(
            catalog,
            snapshots,
            core.channels,
            jobs,
            recheck_s=settings.upstream.recheck_minutes * 60,
            first_sync_wait_s=settings.upstream.first_sync_wait_seconds,
        ),
        planner=Planner(database, Reader(maps, shards)),
        promotions=PromotionService(database, store),
    )


def _build_authenticator(place: Place, snapshots: Snapshots, uses: TokenUses, ldap: LdapClient) -> Authenticator:
    """Passwords of ours first, then the directories in their order."""
    authenticator = Authenticator(load_secret(place.folder.secret), uses.noted)
    directories = LdapDirectories()
    remember_s = place.settings.ldap.remember_minutes * 60
    authenticator.ask_also(LdapSignIn(directories, ldap, ArrivalService(uses.database), snapshots.reload, remember_s))
    snapshots.follow(LDAP, directories.load)
    snapshots.follow("access", authenticator.load)
    return authenticator

"""The one place that names concrete classes and puts them together.

Delivery reads from the outside in: the policy is asked, then the store, then (once per artifact, verified) upstream.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy.engine import make_url

from headgate.access.arrivals import ArrivalService
from headgate.access.authenticate import Authenticator
from headgate.access.devices import DeviceService
from headgate.access.ldap.client import LdapClient
from headgate.access.ldap.examination import LdapExaminer
from headgate.access.ldap.service import LdapService
from headgate.access.ldap.signin import LdapSignIn
from headgate.access.ldap.store import TOPIC as LDAP
from headgate.access.ldap.store import LdapDirectories
from headgate.access.oidc import OidcSignIn
from headgate.access.passwords import PasswordRules
from headgate.access.rounds import Rounds
from headgate.access.secrets import load_secret
from headgate.access.service import AccessRules, AccessService
from headgate.access.sessions import TOPIC as SESSIONS
from headgate.access.sessions import Lifetime, Sessions, SessionService
from headgate.access.uses import TokenUses
from headgate.advisories.room import AdvisoryRoom, open_room
from headgate.advisories.store import TOPIC as ADVISORIES
from headgate.airgap.exports import Exports
from headgate.airgap.trust import TrustService
from headgate.approvals.candidates import Reader
from headgate.approvals.life import Life, open_life
from headgate.approvals.planning import Planner
from headgate.approvals.promotions import PromotionService
from headgate.approvals.requests import RequestService, follow_promotion
from headgate.approvals.rules import RulesService
from headgate.audit.room import AuditRoom
from headgate.audit.room import open_room as open_audit
from headgate.backups.service import BackupPlan, BackupService
from headgate.backups.shelf import check_apart
from headgate.channels import authorities
from headgate.channels.authorities import AuthorityService
from headgate.channels.catalog import TOPIC, Catalog
from headgate.channels.exempting import ExemptionService
from headgate.channels.exposure import Exposure
from headgate.channels.gatekeeper import Gatekeeper
from headgate.channels.incidents import IncidentService
from headgate.channels.knowledge import FollowedBook, use_assessments
from headgate.channels.maps import Maps
from headgate.channels.mirror_service import MirrorService
from headgate.channels.mirrors import PURPOSE
from headgate.channels.policies import Policies
from headgate.channels.policing import PolicyService
from headgate.channels.proofs import TOPIC as PROOFS
from headgate.channels.retention import Ages, Retention
from headgate.channels.routes import Routes
from headgate.channels.schedules import ScheduleSettings
from headgate.channels.search import SearchService
from headgate.channels.service import ChannelService
from headgate.channels.shards import ShardCache
from headgate.channels.signing import SigningService
from headgate.conda.archive_members import ArchiveLimits
from headgate.conda.attestations import TrustRoot
from headgate.db.engine import Database
from headgate.db.sealing import Sealer
from headgate.db.snapshots import Snapshots
from headgate.db.watch import Watch, watch_of
from headgate.delivery.flights import Flights
from headgate.delivery.located import Locator
from headgate.delivery.sidecars import Sidecars
from headgate.delivery.sources import FromStore, FromUpstream, Landing, WithPolicy
from headgate.doors.credentials import ProxyRanges, SignIn
from headgate.doors.sessions import SessionCookies
from headgate.http.limits import Limits
from headgate.http.network import DIRECT, Network
from headgate.http.proxies import Proxies
from headgate.intake.hosted import HostedWriter
from headgate.intake.uploads import Uploads
from headgate.jobs.engine import open_client
from headgate.jobs.freshness import Freshness
from headgate.jobs.service import JobService
from headgate.reports.room import ReportRoom
from headgate.reports.room import open_room as open_reports
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
    check_apart(folder.root, settings.backup.folder)
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


def trust_root(place: Place) -> TrustRoot:
    """Whom attestations are checked against. Raises Invalid `trust-root-invalid`."""
    return TrustRoot.load(place.settings.signatures.trusted_root)


def open_routes(place: Place) -> Routes:
    """The ways to the mirrors."""
    settings = place.settings
    chosen = settings.network
    limits = Limits(place.folder.outgoing, failures=chosen.failures_before_rest, rest_s=chosen.rest_seconds)
    return Routes(network_of(settings, os.environ), open_sealer(place), settings.upstream.file_roots, limits)


@dataclass(frozen=True, slots=True)
class Core:
    """What both a web worker and the command line on a data folder need."""

    place: Place
    database: Database
    store: BlobStore
    channels: ChannelService
    policies: PolicyService
    exemptions: ExemptionService
    incidents: IncidentService
    mirrors: MirrorService
    authorities: AuthorityService
    access: AccessService
    sessions: SessionService
    devices: DeviceService
    ldap: LdapService
    trust: TrustService
    signing: SigningService
    life: Life
    retention: Retention
    backups: BackupService


def build_core(place: Place) -> Core:
    """The services that only need the data folder."""
    database = Database(place.database_url)
    secret = load_secret(place.folder.secret)
    sealer = open_sealer(place)
    rules = AccessRules(PasswordRules(place.settings.access.password_min_length), place.settings.access.token_max_days)
    access = AccessService(database, secret, rules)
    store = BlobStore(place.folder)
    return Core(
        place=place,
        database=database,
        store=store,
        channels=ChannelService(database, sealer),
        mirrors=MirrorService(database, sealer),
        policies=PolicyService(database),
        exemptions=ExemptionService(database),
        incidents=IncidentService(database),
        authorities=AuthorityService(database),
        access=access,
        sessions=SessionService(database, secret, _lifetime(place.settings)),
        devices=DeviceService(database, secret, access, place.settings.access.login_token_life),
        ldap=LdapService(database, secret),
        trust=TrustService(database),
        signing=SigningService(database, secret),
        life=open_life(database, store),
        retention=Retention(database, _ages(place.settings)),
        backups=BackupService(place.folder, database, _backup_plan(place.settings)),
    )


def _ages(settings: Settings) -> Ages:
    upkeep = settings.upkeep
    return Ages(timedelta(days=upkeep.shard_age_days), timedelta(hours=upkeep.blob_age_hours))


def _backup_plan(settings: Settings) -> BackupPlan:
    backup = settings.backup
    schedule = ScheduleSettings(cron=backup.cron, timezone=backup.timezone, jitter_seconds=0)
    return BackupPlan(backup.folder, backup.keep, schedule)


def _lifetime(settings: Settings) -> Lifetime:
    hours = settings.access
    return Lifetime(timedelta(hours=hours.session_hours), timedelta(hours=hours.session_idle_hours))


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
    cookies: SessionCookies
    oidc: OidcSignIn
    ldap: LdapClient
    ldap_examiner: LdapExaminer
    maps: Maps
    shards: ShardCache
    policies: Policies
    gatekeeper: Gatekeeper
    jobs: JobService
    hosted: HostedWriter
    uploads: Uploads
    routes: Routes
    flights: Flights
    locator: Locator
    upstream: FromUpstream
    delivery: WithPolicy
    sidecars: Sidecars
    exports: Exports
    freshness: Freshness
    planner: Planner
    promotions: PromotionService
    requests: RequestService
    request_rules: RulesService
    advisories: AdvisoryRoom
    exposure: Exposure
    search: SearchService
    audit: AuditRoom
    reports: ReportRoom

    async def start(self) -> None:
        """Load what is remembered, and remove what a killed worker left half-written."""
        await asyncio.to_thread(self.core.store.sweep)
        await self.watch.start()
        await self.snapshots.refresh()
        self.rounds.start()
        await self.audit.start()

    async def close(self) -> None:
        """Let fetches under way finish, then close every connection."""
        self.ldap.close()
        await self.flights.close()
        await self.routes.close()
        await self.freshness.close()
        await asyncio.to_thread(self.jobs.close)
        await self.rounds.close()
        await self.reports.overviews.close()
        await self.reports.waiting.close()
        await self.audit.close()
        await self.watch.close()
        await self.core.database.close()


def build_services(place: Place) -> Services:
    """Put a web worker together."""
    # At its import it is decided where counts are kept: in the parent of the workers that would be too early.
    from headgate.doors.metrics import EVALUATION, SIGN_IN_FAILURES, UNLOGGED  # noqa: PLC0415 - as said

    core = build_core(place)
    database, store, settings = core.database, core.store, place.settings
    watch, secret = watch_of(database), load_secret(place.folder.secret)
    snapshots, catalog = Snapshots(database, watch), Catalog()
    uses, hosted = TokenUses(database), HostedWriter(database)
    snapshots.follow(TOPIC, catalog.load)
    advisories = open_room(database)
    snapshots.follow(ADVISORIES, advisories.book.load)
    use_assessments(database, FollowedBook(advisories.book, ADVISORIES))
    ldap = LdapClient(secret)
    authenticator = _build_authenticator(place, snapshots, uses, ldap)
    sessions = Sessions(database, secret, _lifetime(settings))
    snapshots.follow(SESSIONS, sessions.load)
    maps, shards, policies = Maps(database), ShardCache(database), Policies()
    snapshots.follow("policies", policies.load)
    gatekeeper = Gatekeeper(database, snapshots, catalog, policies, maps, EVALUATION.observe)
    snapshots.follow(PROOFS, gatekeeper.forget)
    cookies = SessionCookies(sessions, authenticator, settings.server.public_url)
    routes = open_routes(place)
    snapshots.follow(authorities.TOPIC, routes.load)
    flights = Flights(store, Landing(database, store))
    upstream = FromUpstream(database, flights, routes)
    audit = open_audit(database, place.folder.access_log, secret, settings.access_log, UNLOGGED.inc)
    reports = open_reports(database, audit, maps, advisories.book)
    jobs = JobService(open_client(place.jobs_url), database)
    root = trust_root(place)
    locator = Locator(database, catalog, maps, shards, gatekeeper)
    delivery = WithPolicy(gatekeeper, FromStore(store, upstream))
    return Services(
        core=core,
        watch=watch,
        snapshots=snapshots,
        catalog=catalog,
        authenticator=authenticator,
        sign_in=SignIn(
            authenticator,
            cookies,
            ProxyRanges(settings.server.trusted_proxies),
            SIGN_IN_FAILURES.count,
            is_taking_query_keys=settings.access.accept_key_in_query,
        ),
        rounds=Rounds(uses, authenticator.failures),
        cookies=cookies,
        oidc=OidcSignIn(database, secret, routes.everywhere, core.sessions),
        ldap=ldap,
        ldap_examiner=LdapExaminer(database, ldap),
        maps=maps,
        shards=shards,
        policies=policies,
        gatekeeper=gatekeeper,
        jobs=jobs,
        hosted=hosted,
        uploads=Uploads(store, hosted, ArchiveLimits(**settings.upload.model_dump()), root),
        routes=routes,
        flights=flights,
        locator=locator,
        upstream=upstream,
        delivery=delivery,
        sidecars=Sidecars(database, locator, delivery, upstream, root),
        exports=Exports(store),
        freshness=Freshness(
            catalog,
            snapshots,
            core.channels,
            jobs,
            recheck_s=settings.upstream.recheck_minutes * 60,
            first_sync_wait_s=settings.upstream.first_sync_wait_seconds,
        ),
        planner=Planner(database, Reader(maps, shards)),
        promotions=PromotionService(database, store, [follow_promotion]),
        requests=RequestService(database, catalog, Reader(maps, shards)),
        request_rules=RulesService(database),
        advisories=advisories,
        exposure=reports.exposure,
        search=SearchService(database, maps, shards, advisories.book),
        audit=audit,
        reports=reports,
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

"""What the API needs of the house; `bootstrap.Services` has this shape."""

from typing import Protocol

from headgate.access.authenticate import Authenticator
from headgate.access.devices import DeviceService
from headgate.access.ldap.examination import LdapExaminer
from headgate.access.ldap.service import LdapService
from headgate.access.oidc import OidcSignIn
from headgate.access.service import AccessService
from headgate.access.sessions import SessionService
from headgate.advisories.room import AdvisoryRoom
from headgate.airgap.exports import Exports
from headgate.airgap.trust import TrustService
from headgate.approvals.life import Life
from headgate.approvals.planning import Planner
from headgate.approvals.promotions import PromotionService
from headgate.approvals.requests import RequestService
from headgate.approvals.rules import RulesService
from headgate.audit.room import AuditRoom
from headgate.backups.service import BackupService
from headgate.channels.authorities import AuthorityService
from headgate.channels.catalog import Catalog
from headgate.channels.exempting import ExemptionService
from headgate.channels.exposure import Exposure
from headgate.channels.incidents import IncidentService
from headgate.channels.mirror_service import MirrorService
from headgate.channels.policies import Policies
from headgate.channels.policing import PolicyService
from headgate.channels.retention import Retention
from headgate.channels.routes import Routes
from headgate.channels.search import SearchService
from headgate.channels.service import ChannelService
from headgate.channels.signing import SigningService
from headgate.db.engine import Database
from headgate.db.snapshots import Snapshots
from headgate.doors.credentials import SignIn
from headgate.doors.sessions import SessionCookies
from headgate.intake.hosted import HostedWriter
from headgate.intake.uploads import Uploads
from headgate.jobs.freshness import Freshness
from headgate.jobs.service import JobService
from headgate.reports.room import ReportRoom
from headgate.storage.local import BlobStore


class ApiCore(Protocol):
    """The services that only need the data folder."""

    @property
    def database(self) -> Database:
        """Where everything but bytes is kept."""

    @property
    def store(self) -> BlobStore:
        """Where bytes are kept."""

    @property
    def channels(self) -> ChannelService:
        """Writes channels."""

    @property
    def policies(self) -> PolicyService:
        """Writes policies."""

    @property
    def exemptions(self) -> ExemptionService:
        """Writes exemptions."""

    @property
    def incidents(self) -> IncidentService:
        """Declares incidents."""

    @property
    def mirrors(self) -> MirrorService:
        """Writes mirrors."""

    @property
    def authorities(self) -> AuthorityService:
        """Writes CA bundles."""

    @property
    def access(self) -> AccessService:
        """Writes users and tokens."""

    @property
    def sessions(self) -> SessionService:
        """Begins and ends sessions."""

    @property
    def devices(self) -> DeviceService:
        """Takes in devices that sign in."""

    @property
    def ldap(self) -> LdapService:
        """Writes LDAP directories."""

    @property
    def signing(self) -> SigningService:
        """Keeps our own signing keys."""

    @property
    def trust(self) -> TrustService:
        """Writes trusted keys."""

    @property
    def retention(self) -> Retention:
        """Looks ahead to the next clean-up."""

    @property
    def backups(self) -> BackupService:
        """Makes and lists backups."""

    @property
    def life(self) -> Life:
        """Freezes, rolls back and patches channels."""


class ApiServices(Protocol):
    """The services of a web worker that the API calls."""

    @property
    def core(self) -> ApiCore:
        """What needs no worker."""

    @property
    def snapshots(self) -> Snapshots:
        """What this process remembers."""

    @property
    def search(self) -> SearchService:
        """Searches."""

    @property
    def catalog(self) -> Catalog:
        """Finds channels."""

    @property
    def audit(self) -> AuditRoom:
        """What was recorded."""

    @property
    def authenticator(self) -> Authenticator:
        """Finds principals."""

    @property
    def sign_in(self) -> SignIn:
        """Tells who calls."""

    @property
    def cookies(self) -> SessionCookies:
        """Finds who sits at a browser."""

    @property
    def oidc(self) -> OidcSignIn:
        """Signs in with identity providers."""

    @property
    def ldap_examiner(self) -> LdapExaminer:
        """Tries LDAP directories out."""

    @property
    def routes(self) -> Routes:
        """The ways to the mirrors."""

    @property
    def jobs(self) -> JobService:
        """Asks for jobs."""

    @property
    def hosted(self) -> HostedWriter:
        """Changes hosted channels."""

    @property
    def uploads(self) -> Uploads:
        """Takes files."""

    @property
    def advisories(self) -> AdvisoryRoom:
        """Knows advisories."""

    @property
    def reports(self) -> ReportRoom:
        """Makes reports."""

    @property
    def exposure(self) -> Exposure:
        """Holds channels against them."""

    @property
    def exports(self) -> Exports:
        """Bundles being made or sent."""

    @property
    def freshness(self) -> Freshness:
        """Asks for first syncs."""

    @property
    def planner(self) -> Planner:
        """Works out promotions."""

    @property
    def promotions(self) -> PromotionService:
        """Decides on promotions."""

    @property
    def requests(self) -> RequestService:
        """Takes requests and decisions on them."""

    @property
    def policies(self) -> Policies:
        """What policies say."""

    @property
    def request_rules(self) -> RulesService:
        """Knows how requests are decided."""

"""What the pages need of the house; `bootstrap.Services` has this shape."""

from typing import Any, Protocol

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
from headgate.channels.incidents import IncidentService
from headgate.channels.maps import Maps
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
from headgate.intake.uploads import Uploads
from headgate.jobs.freshness import Freshness
from headgate.jobs.service import JobService
from headgate.reports.room import ReportRoom
from headgate.storage.local import BlobStore
from headgate.storage.paths import DataFolder


class WebPlace(Protocol):
    """A data folder with its settings."""

    @property
    def folder(self) -> DataFolder:
        """Where it is."""

    @property
    def settings(self) -> Any:
        """As they were read at the start: `settings.Settings`, which stands above this room."""


class WebCore(Protocol):
    """The services that only need the data folder."""

    @property
    def place(self) -> WebPlace:
        """The data folder and its settings."""

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
    def mirrors(self) -> MirrorService:
        """Writes mirrors."""

    @property
    def authorities(self) -> AuthorityService:
        """CA bundles."""

    @property
    def trust(self) -> TrustService:
        """Keys whose bundles are taken."""

    @property
    def retention(self) -> Retention:
        """Looks ahead to the next clean-up."""

    @property
    def backups(self) -> BackupService:
        """Makes and lists backups."""

    @property
    def life(self) -> Life:
        """Freezes, rolls back and patches channels."""

    @property
    def access(self) -> AccessService:
        """Users, groups, grants and tokens."""

    @property
    def ldap(self) -> LdapService:
        """Directories."""

    @property
    def signing(self) -> SigningService:
        """Our own signing keys."""

    @property
    def policies(self) -> PolicyService:
        """Policies and their history."""

    @property
    def incidents(self) -> IncidentService:
        """Declares incidents."""

    @property
    def sessions(self) -> SessionService:
        """Begins and ends sessions."""

    @property
    def devices(self) -> DeviceService:
        """Takes in devices that sign in."""

    @property
    def exemptions(self) -> ExemptionService:
        """Writes exemptions."""


class WebServices(Protocol):
    """The services of a web worker that the pages call."""

    @property
    def core(self) -> WebCore:
        """What needs no worker."""

    @property
    def sign_in(self) -> SignIn:
        """Looks at passwords, and at where they come from."""

    @property
    def snapshots(self) -> Snapshots:
        """What this process remembers."""

    @property
    def search(self) -> SearchService:
        """Searches."""

    @property
    def catalog(self) -> Catalog:
        """The channels."""

    @property
    def maps(self) -> Maps:
        """What channels publish."""

    @property
    def routes(self) -> Routes:
        """The ways to the mirrors."""

    @property
    def authenticator(self) -> Authenticator:
        """Finds principals."""

    @property
    def cookies(self) -> SessionCookies:
        """Finds who sits at a browser."""

    @property
    def uploads(self) -> Uploads:
        """Takes files."""

    @property
    def reports(self) -> ReportRoom:
        """Makes reports."""

    @property
    def oidc(self) -> OidcSignIn:
        """Signs in with identity providers."""

    @property
    def ldap_examiner(self) -> LdapExaminer:
        """Tries directories out."""

    @property
    def requests(self) -> RequestService:
        """Takes requests and decisions on them."""

    @property
    def promotions(self) -> PromotionService:
        """What passed from one channel into another."""

    @property
    def planner(self) -> Planner:
        """Says what would pass."""

    @property
    def request_rules(self) -> RulesService:
        """Knows how requests are decided."""

    @property
    def freshness(self) -> Freshness:
        """Asks for first syncs."""

    @property
    def policies(self) -> Policies:
        """What policies say."""

    @property
    def advisories(self) -> AdvisoryRoom:
        """What is known of vulnerabilities."""

    @property
    def audit(self) -> AuditRoom:
        """What happened."""

    @property
    def exports(self) -> Exports:
        """Bundles that are prepared, and those that are sent to us."""

    @property
    def jobs(self) -> JobService:
        """Long work."""

"""What the API needs of the house; `bootstrap.Services` has this shape."""

from typing import Protocol

from headgate.access.authenticate import Authenticator
from headgate.access.service import AccessService
from headgate.channels.catalog import Catalog
from headgate.channels.service import ChannelService
from headgate.db.engine import Database
from headgate.db.snapshots import Snapshots
from headgate.doors.credentials import SignIn
from headgate.intake.hosted import HostedWriter
from headgate.intake.uploads import Uploads
from headgate.jobs.service import JobService


class ApiCore(Protocol):
    """The services that only need the data folder."""

    @property
    def database(self) -> Database:
        """Where everything but bytes is kept."""

    @property
    def channels(self) -> ChannelService:
        """Writes channels."""

    @property
    def access(self) -> AccessService:
        """Writes users and tokens."""


class ApiServices(Protocol):
    """The services of a web worker that the API calls."""

    @property
    def core(self) -> ApiCore:
        """What needs no worker."""

    @property
    def snapshots(self) -> Snapshots:
        """What this process remembers."""

    @property
    def catalog(self) -> Catalog:
        """Finds channels."""

    @property
    def authenticator(self) -> Authenticator:
        """Finds principals."""

    @property
    def sign_in(self) -> SignIn:
        """Tells who calls."""

    @property
    def jobs(self) -> JobService:
        """Asks for jobs."""

    @property
    def hosted(self) -> HostedWriter:
        """Changes hosted channels."""

    @property
    def uploads(self) -> Uploads:
        """Takes files."""

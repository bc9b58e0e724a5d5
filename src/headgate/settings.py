"""Settings: one `headgate.toml` in the data folder, and `HEADGATE_<SECTION>__<KEY>` in the environment, which wins.

An unknown key or a bad value is an error that names its place; nothing is ever ignored.
"""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from headgate.audit.masking import Addresses, Kind, Masking, People
from headgate.channels.schedules import ScheduleSettings
from headgate.http.network import check_proxy
from headgate.kernel.errors import Invalid

PREFIX = "HEADGATE_"
# Read by the command line, by tests and by scripts; not settings of the server.
OTHER_VARIABLES = frozenset(
    {
        "HEADGATE_DATA",
        "HEADGATE_URL",
        "HEADGATE_TOKEN",
        "HEADGATE_ADMIN_PASSWORD",
        "HEADGATE_OIDC_PROVIDER",
        "HEADGATE_SHARED",
        "HEADGATE_VENV",
        "HEADGATE_MITMDUMP",
        "HEADGATE_AXE",
        "HEADGATE_PICTURES",
        "HEADGATE_SCALE",
        "HEADGATE_KILLS",
    }
)


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("must be an absolute path")
    return path


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


def _range(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError as error:
        raise ValueError(f"must be a range of addresses such as 10.0.0.0/8: {error}") from error


AddressRange = Annotated[str, AfterValidator(_range)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSettings(_Section):
    """Where the server listens, and how it is reached."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8765, ge=0, le=65535, description="Port to listen on.")
    workers: int = Field(default=1, ge=1, le=64, description="Web worker processes.")
    public_url: str | None = Field(default=None, description="URL that clients use, when it is not http://host:port.")
    trusted_proxies: tuple[AddressRange, ...] = Field(
        default=(), description="Addresses of reverse proxies whose X-Forwarded-For is believed."
    )
    x_accel_prefix: str | None = Field(
        default=None, description="Internal nginx location of the blobs folder; package files then leave through nginx."
    )
    index_max_age_seconds: int = Field(
        default=0, ge=0, le=3600, description="How long a client may reuse an index unasked; 0: it asks every time."
    )


class DatabaseSettings(_Section):
    """Where channels and jobs are kept."""

    url: str | None = Field(
        default=None, description="postgresql://user:password@host/name; without it, SQLite files in the data folder."
    )


class AccessSettings(_Section):
    """What passwords and tokens must be, and how long those who signed in stay so."""

    password_min_length: int = Field(default=12, ge=8, le=128, description="Shortest password that is taken.")
    token_max_days: int = Field(default=365, ge=0, le=3650, description="Longest life of a token; 0: no limit.")
    accept_key_in_query: bool = Field(
        default=False, description="Take a token from `?key=` as well, for tools that can do no better."
    )
    session_hours: int = Field(default=168, ge=1, le=8760, description="How long a browser stays signed in at most.")
    session_idle_hours: int = Field(default=24, ge=1, le=8760, description="How long without a request in between.")
    login_token_days: int = Field(
        default=30, ge=1, le=3650, description="How long a token lasts that `headgate login` gets."
    )

    @property
    def login_token_life(self) -> timedelta:
        """How long a token of `headgate login` lasts: as told, and no longer than any may."""
        return timedelta(days=min(self.login_token_days, self.token_max_days or self.login_token_days))


class UpstreamSettings(_Section):
    """What outgoing requests may reach."""

    file_roots: tuple[AbsolutePath, ...] = Field(
        default=(), description="Folders under which file:// upstreams may lie."
    )
    recheck_minutes: int = Field(
        default=15,
        ge=1,
        description="A mirror whose index is asked for looks at its upstream when its last look is older.",
    )
    connect_timeout_seconds: float = Field(default=10, gt=0, description="Time to connect to an upstream.")
    stall_timeout_seconds: float = Field(
        default=60, gt=0, description="Time without progress after which a request is given up."
    )
    first_sync_wait_seconds: float = Field(
        default=45,
        ge=0,
        le=600,
        description="How long a client waits for the first sync of a subdir before it gets a 503.",
    )


def _checked(check: Callable[[str], object]) -> AfterValidator:
    """Holds a text to what the room that reads it wants of it."""

    def validate(text: str) -> str:
        try:
            check(text)
        except Invalid as error:
            raise ValueError(error.message) from error
        return text

    return AfterValidator(validate)


class NetworkSettings(_Section):
    """How requests to upstreams leave, unless a mirror says otherwise."""

    proxy: Annotated[str, _checked(check_proxy)] | None = Field(
        default=None,
        description="http://user:password@host:port, or `direct`; without it, HTTP_PROXY, HTTPS_PROXY and NO_PROXY count.",
    )
    no_proxy: tuple[str, ...] = Field(
        default=(), description="Hosts, .suffixes, addresses and CIDR blocks that are reached without `proxy`."
    )
    retries: int = Field(default=2, ge=0, le=10, description="Of a request that met a failure which may pass.")
    connections: int = Field(
        default=100,
        ge=1,
        le=1000,
        description="Requests open at once, of the whole server; a mirror may have its own limit.",
    )
    failures_before_rest: int = Field(
        default=8, ge=1, description="Requests in a row without an answer after which a host is left alone."
    )
    rest_seconds: float = Field(default=10, gt=0, description="How long it is left alone.")


class UploadSettings(_Section):
    """Limits of an upload."""

    max_bytes: int = Field(default=8 << 30, gt=0, description="Largest package file.")
    max_unpacked_bytes: int = Field(default=64 << 30, gt=0, description="Largest sum of the files inside.")
    max_members: int = Field(default=500_000, gt=0, description="Most files inside.")
    max_ratio: int = Field(default=200, gt=1, description="Most times that unpacking may enlarge it.")


class UpkeepSettings(_Section):
    """What is collected when."""

    shard_age_days: int = Field(
        default=7, ge=1, description="How long a superseded shard stays for clients with an old index."
    )
    blob_age_hours: int = Field(default=24, ge=1, description="How long bytes stay that nothing lists.")
    interval_hours: int = Field(default=24, ge=1, description="Time between two clean-ups.")


class LdapSettings(_Section):
    """How directories are followed; the directories themselves are in the database."""

    sync_minutes: float = Field(default=60, gt=0, description="Time between two looks at who is in a directory.")
    remember_minutes: float = Field(
        default=5, ge=0, le=60, description="How long a good password is not asked for at its directory again."
    )


class JobsSettings(_Section):
    """Who runs jobs, and how long they are remembered."""

    workers: int = Field(default=1, ge=0, le=16, description="Jobs workers that `headgate serve` runs.")
    history_days: int = Field(default=90, ge=1, description="How long a job that ended is remembered.")


def _none_if_empty(value: Any) -> Any:
    return None if value == "" else value


class BackupSettings(_Section):
    """Where backups go, and when they are made."""

    folder: Annotated[AbsolutePath | None, BeforeValidator(_none_if_empty)] = Field(
        default=None,
        description="Folder for backups, outside the data folder and for this server alone; without it, none.",
    )
    keep: int = Field(
        default=7, ge=1, le=10_000, description="How many backups stay; the oldest go after each new one."
    )
    cron: Annotated[str, _checked(lambda cron: ScheduleSettings(cron=cron).check())] = Field(
        default="", description="When one is made: minute, hour, day of month, month, day of week; empty: by hand only."
    )
    timezone: Annotated[str, _checked(lambda name: ScheduleSettings(timezone=name).check())] = Field(
        default="UTC", description="In which `cron` is read, such as `Europe/Berlin`."
    )


class AirgapSettings(_Section):
    """What is carried over the air gap."""

    drop_folder: AbsolutePath | None = Field(
        default=None, description="Folder whose bundles and zips are taken in; without it, none."
    )
    scan_seconds: int = Field(default=60, ge=1, description="Time between two looks through the drop folder.")
    settle_seconds: float = Field(
        default=30, ge=0, description="How long a file there must have been left alone before it is looked at."
    )
    keep_hours: int = Field(default=48, ge=1, description="How long an export waits to be fetched.")


class SignaturesSettings(_Section):
    """Whom attestations are checked against."""

    trusted_root: AbsolutePath | None = Field(
        default=None, description="Sigstore's trusted_root.json; without it, the one that comes with py-rattler."
    )


class AccessLogSettings(_Section):
    """What is remembered of who downloads what."""

    kinds: tuple[Kind, ...] = Field(
        default=(Kind.DOWNLOAD, Kind.INDEX),
        description="Which requests: of `download`, `index` and `shard`; none: nothing.",
    )
    keep_days: int = Field(default=180, ge=1, le=36_500, description="How long each request is remembered.")
    keep_daily_days: int = Field(
        default=1830,
        ge=1,
        le=36_500,
        description="How long it is remembered who downloaded which file on which day, and how many advisories were open on it.",
    )
    addresses: Addresses = Field(
        default=Addresses.WHOLE, description="`whole`, `truncated` to their network (/24, /48), or `none`."
    )
    people: People = Field(
        default=People.NAMES, description="`names`, `pseudonyms` that only this server's key leads to, or `none`."
    )

    def masking(self, secret: bytes) -> Masking:
        """What the log leaves out, pseudonyms made with the server's secret."""
        return Masking(secret, self.addresses, self.people)


class AuditSettings(_Section):
    """How long it is remembered who changed what."""

    keep_days: int = Field(
        default=0,
        ge=0,
        le=36_500,
        description="How long audit events are kept; 0: for good. A signed checkpoint stays.",
    )

    @property
    def keep(self) -> timedelta | None:
        """The same as a length of time; None: for good."""
        return timedelta(days=self.keep_days) if self.keep_days else None


class LogSettings(_Section):
    """What is logged, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is logged."
    )
    format: Literal["json", "text"] = Field(default="json", description="One JSON object a line, or text for people.")


class Settings(BaseSettings):
    """Every setting, by section."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    access: AccessSettings = AccessSettings()
    upstream: UpstreamSettings = UpstreamSettings()
    network: NetworkSettings = NetworkSettings()
    upload: UploadSettings = UploadSettings()
    upkeep: UpkeepSettings = UpkeepSettings()
    ldap: LdapSettings = LdapSettings()
    jobs: JobsSettings = JobsSettings()
    backup: BackupSettings = BackupSettings()
    airgap: AirgapSettings = AirgapSettings()
    signatures: SignaturesSettings = SignaturesSettings()
    access_log: AccessLogSettings = AccessLogSettings()
    audit: AuditSettings = AuditSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - one file is enough
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file."""
        return env_settings, init_settings


def load_settings(path: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the file, if it is there, and the environment. Raises Invalid `settings-invalid`, a reason per mistake."""
    text = path.read_text() if path.exists() else ""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Invalid("settings-invalid", f"{path} is not TOML: {error}.") from error
    reasons = _unknown_variables(environment if environment is not None else os.environ)
    try:
        settings = Settings(**values)
    except ValidationError as error:
        reasons += [_reason(path, text, values, one) for one in error.errors(include_url=False)]
    if reasons:
        raise Invalid("settings-invalid", f"The settings are not valid: {' '.join(reasons)}", reasons)
    return settings


def _unknown_variables(environment: Mapping[str, str]) -> list[str]:
    known = {f"{PREFIX}{section}__{key}".upper() for section, key in iter_keys()} | OTHER_VARIABLES
    unknown = sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
    return [f"Environment: {name} is not a setting." for name in unknown]


def iter_keys() -> list[tuple[str, str]]:
    """Every (section, key)."""
    return [
        (section, key)
        for section, field in Settings.model_fields.items()
        for key in getattr(field.annotation, "model_fields", {})
    ]


def _reason(path: Path, text: str, values: Mapping[str, Any], error: Any) -> str:
    location = [str(part) for part in error["loc"]]
    name = ".".join(location)
    said = error["msg"].removeprefix("Value error, ")
    what = "is not a setting" if error["type"] == "extra_forbidden" else said[0].lower() + said[1:]
    node: Any = values
    for part in location[:2]:
        node = node.get(part) if isinstance(node, Mapping) else None
    if node is None and error["type"] != "missing":
        return f"Environment: {PREFIX}{'__'.join(location[:2]).upper()} {what}."
    return f"{path.name}, line {_line_of(text, location)}: {name}: {what}."


def _line_of(text: str, location: list[str]) -> int:
    """The line where a key stands; that of its section, or 1, when it cannot be told."""
    section, found = "", 1
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line)
        if header:
            section = header[1]
            found = number if section == location[0] else found
            continue
        key = re.match(r"\s*([A-Za-z0-9_.\"'-]+)\s*=", line)
        if key and ".".join(filter(None, [section, key[1].strip("\"'")])) in {".".join(location[:2]), location[0]}:
            return number
    return found

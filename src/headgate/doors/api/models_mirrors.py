"""Bodies and answers about mirrors."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from headgate.channels.mirrors import Mirror, new
from headgate.channels.modes import Mode
from headgate.channels.trusts import Check
from headgate.conda.names import Subdir
from headgate.doors.api.models import Text, shown, taken
from headgate.doors.api.models_network import RestingAnswer

_NETWORK = {"proxy": "http://•••@proxy.example:3128", "ca": ["corporate"], "retries": 3}
_SCHEDULE = {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}
_FETCH = {"mode": "passive", "newest": 2}
_FILTERS = {"exclude_specs": ["numpy <1.20"], "exclude_licenses": ["gpl3", "agpl"], "dedupe_conda_legacy": True}
_SIGNATURES = {"content_trust": "off", "attestations": "require"}
_MIRROR: dict[str, Any] = {
    "name": "main",
    "urls": ["https://conda.anaconda.org/conda-forge"],
    "subdirs": ["noarch", "linux-64"],
    "settings": {"network": _NETWORK},
}


class NetworkBody(BaseModel):
    """How a mirror is reached. What is left out stays; null takes it back to what the server's own settings say."""

    model_config = taken(_NETWORK)

    proxy: Text | None = Field(default=None, description="http or https URL with its credentials; `direct`: none.")
    no_proxy: list[Text] | None = Field(
        default=None, max_length=1000, description="Hosts, `.suffixes`, addresses, CIDR blocks reached without a proxy."
    )
    ca: list[Text] | None = Field(
        default=None, max_length=100, description="CA bundles trusted for this mirror alone, besides the system's."
    )
    verify: StrictBool | None = Field(default=None, description="False: certificates are not checked; a warning shows.")
    client_certificate: str | None = Field(default=None, max_length=65536, description="PEM, for the upstream to see.")
    client_key: str | None = Field(default=None, max_length=65536, description="Its PEM key, without a passphrase.")
    bearer_token: Text | None = Field(default=None, description="Sent as `Authorization: Bearer`.")
    connect_timeout_seconds: float | None = Field(default=None, gt=0, le=3600)
    stall_timeout_seconds: float | None = Field(default=None, gt=0, le=3600)
    retries: int | None = Field(default=None, ge=0, le=10, description="Of a request that met a passing failure.")
    connections: int | None = Field(
        default=None, ge=1, le=1000, description="Requests open at once, of the whole server."
    )
    bytes_per_second: int | None = Field(
        default=None, ge=1024, le=1 << 40, description="Received, by the whole server."
    )
    s3_region: Text | None = Field(default=None, description="Of an s3:// bucket; us-east-1 unless set.")
    s3_endpoint: Text | None = Field(default=None, description="URL of an S3 service that is not AWS.")
    s3_path_style: StrictBool | None = Field(
        default=None, description="Whether the bucket stands in the path; unless set: at an endpoint of one's own."
    )
    s3_access_key: Text | None = Field(default=None, description="null: what the environment or instance role gives.")
    s3_secret_key: Text | None = Field(default=None, description="Belongs to s3_access_key.")
    s3_unsigned: StrictBool | None = Field(default=None, description="The bucket is public: nothing is signed.")


class ScheduleBody(BaseModel):
    """When a mirror is synced by itself. What is left out stays; null takes it back."""

    model_config = taken(_SCHEDULE)

    cron: Text | None = Field(default=None, description="Five fields, as crontab has them; empty: never by itself.")
    timezone: Text | None = Field(default=None, description="Where the hours of `cron` are: `Europe/Berlin`.")
    jitter_seconds: int | None = Field(
        default=None, ge=0, le=86400, description="Up to so much later, always by the same amount; 60 unless set."
    )


class FetchBody(BaseModel):
    """When a mirror's files come here. What is left out stays; null takes it back."""

    model_config = taken(_FETCH)

    mode: Mode | None = Field(
        default=None, description="active: after each sync; passive: when asked for; redirect: never, clients go there."
    )
    newest: int | None = Field(
        default=None, ge=0, le=1000, description="Passive: so many of the newest versions of each package ahead."
    )
    in_use: StrictBool | None = Field(
        default=None, description="Passive: the newest of those packages ahead that a file is here of."
    )


Words = Annotated[list[Text], Field(max_length=10_000)]


class FilterBody(BaseModel):
    """Which records of a mirror are passed on. What is left out stays; null takes it back."""

    model_config = taken(_FILTERS)

    only_specs: Words | None = Field(default=None, description="Match specs: nothing else, but for dependencies.")
    include_dependencies: StrictBool | None = Field(
        default=None, description="With only_specs: also what a solver needs to install each of them."
    )
    exclude_specs: Words | None = Field(default=None, description="Match specs that are not passed on.")
    include_specs: Words | None = Field(default=None, description="Exceptions from exclude_specs.")
    include_licenses: Words | None = Field(default=None, description="Licences or families: nothing else.")
    exclude_licenses: Words | None = Field(default=None, description="Licences or families that are not passed on.")
    date_from: date | None = Field(default=None, description="Built on this day (UTC) or later.")
    date_to: date | None = Field(default=None, description="Built on this day (UTC) or earlier.")
    dedupe_conda_legacy: StrictBool | None = Field(
        default=None, description="No `.tar.bz2` beside the same package as `.conda`."
    )
    only_signed: StrictBool | None = Field(default=None, description="Only what carries a signature or attestation.")
    cve_score_threshold: float | None = Field(default=None, description="Needs advisories: refused for now.")
    cve_score_exceptions: Words | None = Field(default=None, description="Needs advisories: refused for now.")
    exclude_non_curated_cve: StrictBool | None = Field(default=None, description="Needs advisories: refused for now.")
    exclude_cve_statuses: Words | None = Field(default=None, description="Needs advisories: refused for now.")


class SignaturesBody(BaseModel):
    """What of an upstream is checked. What is left out stays; null takes it back."""

    model_config = taken(_SIGNATURES)

    content_trust: Check | None = Field(default=None, description="Signatures of records: off, report, require.")
    root: Annotated[str, Field(max_length=1 << 20)] | None = Field(
        default=None, description="The root.json to begin with, as text."
    )
    metadata_url: Text | None = Field(default=None, description="Where key_mgr.json is, when not at the mirror's URL.")
    accept_expired: StrictBool | None = Field(
        default=None, description="Roots and key managers count beyond their end."
    )
    attestations: Check | None = Field(default=None, description="Attestations of files: off, report, require.")


class MirrorSettingsBody(BaseModel):
    """Settings of a mirror, in sections; a section left out stays, null takes all of it back."""

    model_config = taken({"network": _NETWORK})

    network: NetworkBody | None = None
    schedule: ScheduleBody | None = None
    fetch: FetchBody | None = None
    filters: FilterBody | None = None
    signatures: SignaturesBody | None = None


class MirrorChange(BaseModel):
    """What to change of a mirror; what is left out stays as it is, `•••` as it was shown means the secret that is kept."""

    model_config = taken({"settings": {"network": {"proxy": "http://user:password@proxy.example:3128"}}}, _MIRROR)

    name: Text | None = Field(default=None, description="Its name in the channel; new ones get `main`, `main-2`, …")
    urls: list[Text] | None = Field(
        default=None,
        min_length=1,
        max_length=20,
        description="http, https, s3 or file URLs of one channel, tried in order.",
    )
    subdirs: list[Text] | None = Field(
        default=None, max_length=100, description="The subdirs to follow; null: every one that clients ask for."
    )
    settings: MirrorSettingsBody | None = None
    next_run_at: datetime | None = Field(default=None, description="Said by the server; in a body it has no effect.")
    warnings: list[str] | None = Field(default=None, description="Said by the server; in a body it has no effect.")

    def given(self) -> dict[str, Any]:
        """What there is to change, as `mirrors.changed` takes it. Raises Invalid `subdir-invalid`."""
        found = self.model_dump(exclude_unset=True, exclude={"next_run_at", "warnings"})
        if "subdirs" in found and found["subdirs"] is not None:
            found["subdirs"] = tuple(Subdir.parse(subdir) for subdir in found["subdirs"])
        return {key: value for key, value in found.items() if value is not None or key == "subdirs"}


class MirrorBody(MirrorChange):
    """A mirror to add, or as it shall be: `subdirs` left out means every one, a setting left out stays as it is."""

    model_config = taken(_MIRROR)

    urls: list[Text] = Field(min_length=1, max_length=20, description="URLs of one channel, tried in order.")

    def mirror(self) -> Mirror:
        """The mirror to add. Raises Invalid."""
        given: Mapping[str, Any] = self.given()
        return new(self.name, self.urls, given.get("subdirs"), {"settings": given.get("settings")})


class MirrorAnswer(BaseModel):
    """A mirror; secrets are shown as `•••`."""

    model_config = shown(_MIRROR | {"next_run_at": None, "warnings": []})

    name: str
    urls: list[str]
    subdirs: list[str] | None
    settings: dict[str, Any]
    next_run_at: datetime | None = Field(description="When it is synced by itself for the next time.")
    warnings: list[str] = Field(description="What is dangerous about its settings.")


class MirrorSubdirAnswer(BaseModel):
    """How one subdir of a mirror stands."""

    name: str
    checked_at: datetime | None
    synced_at: datetime | None
    failure: str | None
    names: int = Field(description="Package names that the upstream offers there.")


class MirrorStatusAnswer(BaseModel):
    """How one mirror stands; `status` has the subdirs that were looked at."""

    model_config = ConfigDict()

    name: str
    urls: list[str]
    subdirs: list[str] | None
    warnings: list[str]
    resting: list[RestingAnswer] = Field(description="Its hosts that are left alone just now.")
    status: list[MirrorSubdirAnswer]


class StandingAnswer(BaseModel):
    """How the mirrors of a channel stand."""

    channel: str
    mirrors: list[MirrorStatusAnswer]


class FetchRequestBody(BaseModel):
    """Which files to fetch now."""

    model_config = taken(
        {},
        {"text": "https://conda.anaconda.org/conda-forge/noarch/six-1.17.0-pyhd8ed1ab_0.conda"},
        {"specs": ["six >=1.17"]},
    )

    text: str | None = Field(
        default=None,
        max_length=8 << 20,
        description="A lock file or list: every package file that it names. null: what the mirrors' settings want.",
    )
    specs: list[Text] | None = Field(
        default=None, max_length=100, description="Match specs, each of one package: every file that passes and fits."
    )


class DryRunBody(FilterBody):
    """Filters to try: how they differ from what is set."""

    subdirs: list[Text] | None = Field(default=None, max_length=100, description="As if only these were followed.")


class FilterCountAnswer(BaseModel):
    """What one filter holds back."""

    model_config = ConfigDict(from_attributes=True)

    cause: str
    records: int
    size_bytes: int


class DryRunAnswer(BaseModel):
    """What filters would do to what is stored of a mirror."""

    model_config = ConfigDict(from_attributes=True)

    records: int = Field(description="All that the upstream has.")
    size_bytes: int
    passed_records: int
    passed_bytes: int
    dependencies: int = Field(description="Of those that pass, how many do as dependencies alone.")
    held_back: list[FilterCountAnswer]
    sentences: list[str] = Field(description="What cannot be installed from what passes.")


class HeldBackAnswer(BaseModel):
    """One record that the filters hold back, and why."""

    model_config = ConfigDict(from_attributes=True)

    subdir: str
    filename: str
    cause: str
    reason: str


class SyncBody(BaseModel):
    """What to sync."""

    model_config = taken({}, {"subdirs": ["linux-64"]}, {"mirror": "main"})

    subdirs: list[Text] | None = Field(default=None, description="null: those its mirrors name, else every known one.")
    mirror: Text | None = Field(default=None, description="null: every mirror of the channel.")

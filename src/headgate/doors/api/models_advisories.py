"""Bodies and answers about advisories, field by field; unknown fields of a body are refused."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from headgate.advisories.curations import Curation
from headgate.advisories.feeds import Feed
from headgate.advisories.findings import AdvisoryStatus, Finding, Sureness
from headgate.doors.api.models import Name, Text
from headgate.http.masking import mask_url

AdvisoryId = Annotated[str, StringConstraints(min_length=3, max_length=200, pattern=r"^[A-Za-z0-9._:+-]+$")]
_CURATION: dict[str, Any] = {
    "advisory": "CVE-2024-35195",
    "status": "cleared",
    "name": "requests",
    "version": ">=2.31,<2.32",
    "justification": "vulnerable_code_not_in_execute_path",
    "note": "We never set verify to False.",
    "expires_at": "2027-06-30T00:00:00Z",
}
_FEED: dict[str, Any] = {
    "name": "osv-pypi",
    "url": "https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip",
    "interval_minutes": 60,
}


def _taken(*examples: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": list(examples)})


class AdvisoryAnswer(BaseModel):
    """An advisory, made of what all feeds say of it. `affected` holds packages of other ecosystems, by purl."""

    id: str
    aliases: list[str]
    summary: str
    details: str
    severity: str | None
    cvss: float | None
    epss: float | None
    is_known_exploited: bool
    is_malicious: bool
    is_withdrawn: bool
    published: str | None
    modified: str | None
    cwes: list[str]
    references: list[str]
    sources: list[str] = Field(description="feed:id of every statement it was made of.")
    affected: list[str]
    vectors: list[str]
    curations: list["CurationAnswer"] = Field(default=[], description="In force; only when one advisory is asked for.")


class CurationAnswer(BaseModel):
    """What somebody says of an advisory and some records; null selectors fit every record."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    advisory: str
    status: AdvisoryStatus
    name: str | None
    version: str | None
    build: str | None
    sha256: str | None
    justification: str | None
    note: str | None
    score: float | None
    author: str
    feed: str | None = Field(description="The feed it came with; null: it was made here, and goes before those.")
    created_at: datetime
    expires_at: datetime | None
    ended_at: datetime | None
    ended_by: str | None


def shown_curation(curation: Curation) -> CurationAnswer:
    """A curation as the API shows it."""
    return CurationAnswer.model_validate(curation)


class ChosenBody(BaseModel):
    """Advisories chosen by what they are, for a curation of many at once."""

    model_config = _taken({"severities": ["low"], "name": "demo"})

    severities: list[Text] | None = None
    least_cvss: float | None = Field(default=None, ge=0, le=10)
    most_cvss: float | None = Field(default=None, ge=0, le=10)
    name: Name | None = Field(default=None, description="Those that affect what this conda package is.")
    text: Name | None = Field(default=None, description="In an id or in the summary.")
    is_malicious: bool | None = None
    is_known_exploited: bool | None = None


class CurationBody(BaseModel):
    """A statement on one advisory, or on each that `chosen` fits; exactly one of the two is given."""

    model_config = _taken(_CURATION)

    advisory: AdvisoryId | None = None
    chosen: ChosenBody | None = None
    status: AdvisoryStatus
    name: Name | None = Field(default=None, description="A conda package; needed for the selectors below.")
    version: Text | None = Field(default=None, description="A range of versions, as in match specs.")
    build: Name | None = Field(default=None, description="A build, with wildcards.")
    sha256: Name | None = None
    justification: Text | None = Field(default=None, description="One of the five of VEX.")
    note: Text | None = None
    score: float | None = Field(default=None, ge=0, le=10, description="Counts instead of the CVSS score.")
    expires_at: datetime | None = None


class FeedBody(BaseModel):
    """A feed to follow; without a URL, one that uploads fill."""

    model_config = _taken(_FEED)

    name: Text
    url: Text | None = None
    interval_minutes: int = Field(default=60, ge=5, le=525_600)
    is_whole: bool = Field(
        default=True, description="Whether each file lists all there is, so that what lacks is gone."
    )


class FeedChange(BaseModel):
    """What is given changes."""

    model_config = _taken({"interval_minutes": 1440})

    url: Text | None = None
    interval_minutes: int | None = Field(default=None, ge=5, le=525_600)


class FeedAnswer(BaseModel):
    """A feed as it stands."""

    name: str
    url: str | None
    interval_minutes: int
    is_whole: bool
    ecosystems: list[str] = Field(description="Those it covers: their packages count as checked.")
    statements: int
    checked_at: datetime | None
    read_at: datetime | None = Field(description="When it was last read with success.")
    age_seconds: int | None
    failure: str | None = Field(description="Why the last attempt was none.")
    note: str | None


def shown_feed(feed: Feed) -> FeedAnswer:
    """A feed as the API shows it, its URL without secrets."""
    return FeedAnswer(
        name=feed.name,
        url=None if feed.url is None else mask_url(feed.url),
        interval_minutes=feed.interval_minutes,
        is_whole=feed.is_whole,
        ecosystems=feed.ecosystems,
        statements=feed.items,
        checked_at=feed.checked_at,
        read_at=feed.read_at,
        age_seconds=feed.age_seconds,
        failure=feed.failure,
        note=feed.note,
    )


class IdentityAnswer(BaseModel):
    """An upstream package that a conda name is; `purl` null: it is known to be none of that ecosystem."""

    ecosystem: str
    purl: str | None
    origin: str
    sureness: Sureness
    is_used: bool = Field(description="False when a more trusted origin speaks of the same ecosystem.")


class NameAnswer(BaseModel):
    """A conda name and what it is said to be."""

    name: str
    identities: list[IdentityAnswer]


class NameBody(BaseModel):
    """What a conda name is from now on; no purl at all: no PyPI package."""

    model_config = _taken({"purls": ["pkg:pypi/apache-airflow"]})

    purls: list[Text] = Field(max_length=50)


class FindingAnswer(BaseModel):
    """An advisory that affects a file."""

    model_config = ConfigDict(from_attributes=True)

    advisory: str
    aliases: list[str]
    status: AdvisoryStatus
    cvss: float | None
    severity: str | None
    epss: float | None
    is_known_exploited: bool
    is_malicious: bool
    is_curated: bool
    sureness: Sureness
    why: str


def shown_finding(finding: Finding) -> FindingAnswer:
    """A finding as the API shows it."""
    return FindingAnswer.model_validate(finding)


class AffectedAnswer(BaseModel):
    """A file of a channel with what affects it."""

    subdir: str
    name: str
    filename: str
    sha256: str | None
    is_affected: bool = Field(description="False when curations mitigate or clear all findings.")
    findings: list[FindingAnswer]


class SubdirCoverageAnswer(BaseModel):
    """Files of a subdir, by what is known of them."""

    subdir: str
    affected: int
    not_affected: int
    not_checked: int
    advisories: int
    not_checked_because: dict[str, int]


class CoverageAnswer(BaseModel):
    """How a channel stands with the advisories."""

    channel: str
    subdirs: list[SubdirCoverageAnswer]
    newest_feed_at: datetime | None

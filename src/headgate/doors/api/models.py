"""Bodies and answers of the API, field by field; unknown fields of a body are refused."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from headgate.channels.model import ChannelKind, Privacy

# Long enough for any; a name's grammar is checked by its own type.
Text = Annotated[str, StringConstraints(max_length=4096, pattern=r"^[^\x00]*$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]

_UPSTREAM = {"url": "https://conda.anaconda.org/conda-forge", "subdirs": ["noarch", "linux-64"]}
_SETTINGS = {"is_hiding": True, "is_keeping_cached": True, "description": "What the team builds."}
_CHANNEL: dict[str, Any] = {
    "name": "conda-forge",
    "kind": "mirror",
    "privacy": "authenticated",
    "settings": _SETTINGS,
    "created_at": "2026-03-01T09:00:00Z",
    "revision": 12,
    "upstreams": [_UPSTREAM],
    "members": [],
    "subdirs": [{"name": "noarch", "revision": 7, "revised_at": "2026-03-02T04:10:00Z"}],
}


def _shown(*examples: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": list(examples)})


def _taken(*examples: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": list(examples)})


class UpstreamBody(BaseModel):
    """An upstream to follow."""

    model_config = _taken(_UPSTREAM)

    url: Text = Field(description="http, https or file URL of a channel.")
    subdirs: list[Text] | None = Field(
        default=None, description="The subdirs to follow; null: every one that clients ask for."
    )


class SettingsBody(BaseModel):
    """Settings of a channel; those left out stay as they are."""

    model_config = _taken(_SETTINGS)

    is_hiding: StrictBool | None = Field(
        default=None, description="Virtual: a name in an earlier member hides it in later ones."
    )
    is_keeping_cached: StrictBool | None = Field(
        default=None, description="Mirror: cached files outlive their upstream."
    )
    description: Text | None = Field(default=None, description="What the channel is for.")

    def given(self) -> dict[str, Any]:
        """The settings to change."""
        return self.model_dump(exclude_none=True)


class ChannelBody(BaseModel):
    """A channel to create."""

    model_config = _taken(
        {"name": "team", "kind": "hosted"},
        {"name": "conda-forge", "kind": "mirror", "privacy": "authenticated", "upstreams": [_UPSTREAM]},
        {"name": "all", "kind": "virtual", "members": ["team", "conda-forge"]},
    )

    name: Text = Field(description="Lower-case letters, digits, `_`, `.`, `-`; parts joined by `/`.")
    kind: ChannelKind
    privacy: Privacy = Privacy.PRIVATE
    settings: SettingsBody = SettingsBody()
    members: list[Text] = Field(
        default=[], max_length=100, description="Virtual only: its channels, most important first."
    )
    upstreams: list[UpstreamBody] = Field(default=[], max_length=100, description="Mirror only, most important first.")


class ChannelChange(BaseModel):
    """What to change of a channel; what is left out stays as it is."""

    model_config = _taken({"privacy": "public"}, {"settings": {"description": "For everyone."}})

    privacy: Privacy | None = None
    settings: SettingsBody | None = None
    members: list[Text] | None = Field(default=None, min_length=1, max_length=100)


class SyncBody(BaseModel):
    """Which subdirs to sync."""

    model_config = _taken({}, {"subdirs": ["linux-64"]})

    subdirs: list[Text] | None = Field(
        default=None, description="null: those its upstreams name, else every known one."
    )


class UpstreamAnswer(BaseModel):
    """An upstream; secrets in its URL are hidden."""

    model_config = _shown(_UPSTREAM)

    url: str
    subdirs: list[str] | None


class SubdirAnswer(BaseModel):
    """A subdir and its newest revision."""

    name: str
    revision: int
    revised_at: datetime


class ChannelAnswer(BaseModel):
    """A channel."""

    model_config = _shown(_CHANNEL)

    name: str
    kind: ChannelKind
    privacy: Privacy
    settings: dict[str, Any]
    created_at: datetime
    revision: int = Field(description="Counts every revision of every subdir.")
    upstreams: list[UpstreamAnswer]
    members: list[str]
    subdirs: list[SubdirAnswer]


class MirrorSubdirAnswer(BaseModel):
    """How one subdir of an upstream stands."""

    name: str
    checked_at: datetime | None
    synced_at: datetime | None
    failure: str | None
    names: int = Field(description="Package names that the upstream offers there.")


class MirrorUpstreamAnswer(UpstreamAnswer):
    """How one upstream stands; `status` has the subdirs that were looked at."""

    model_config = _shown()

    status: list[MirrorSubdirAnswer]


class MirrorAnswer(BaseModel):
    """How a mirror stands."""

    channel: str
    upstreams: list[MirrorUpstreamAnswer]


class RevisionAnswer(BaseModel):
    """One published state of a subdir."""

    model_config = ConfigDict(from_attributes=True)

    subdir: str
    number: int
    created_at: datetime
    cause: str
    changed: int = Field(description="Package names that differ from the revision before.")


class ArtifactAnswer(BaseModel):
    """One file of a channel."""

    model_config = ConfigDict(from_attributes=True)

    channel: str
    subdir: str
    filename: str
    package: str
    status: str = Field(description="active, yanked or deleted.")
    origin: str = Field(description="upload or cache.")
    sha256: str
    size_bytes: int
    created_at: datetime
    created_by: str


class JobAnswer(BaseModel):
    """A job as it stands."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    kind: str
    state: str = Field(description="queued, running, done, failed or stopped.")
    request: Any
    actor: str | None
    result: Any
    failure: str | None
    progress: dict[str, Any] | None
    created_at: datetime
    ended_at: datetime | None


class ProblemAnswer(BaseModel):
    """A failure (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    message: str = Field(description="The same as `detail`, for conda.")
    code: str = Field(description="One of the error codes in the reference; it never changes.")
    reasons: list[str]

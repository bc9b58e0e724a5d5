"""Bodies and answers of the API, field by field; unknown fields of a body are refused."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from headgate.access.permissions import ScopeAction
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
_TOKEN: dict[str, Any] = {
    "name": "ci",
    "user": "admin",
    "prefix": "f3Kq81LmZa",
    "permissions": ["add", "view"],
    "channels": ["team"],
    "created_at": "2026-03-01T09:00:00Z",
    "expires_at": "2026-05-30T09:00:00Z",
    "revoked_at": None,
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


class TokenBody(BaseModel):
    """A token to create."""

    model_config = _taken(
        {"name": "laptop"}, {"name": "ci", "permissions": ["view", "add"], "channels": ["team"], "expires_days": 90}
    )

    name: Name
    user: Name | None = Field(default=None, description="Whom it stands for; null: the caller.")
    permissions: list[ScopeAction] | None = Field(
        default=None, min_length=1, description="null: whatever the user may."
    )
    channels: list[Text] | None = Field(
        default=None, min_length=1, max_length=1000, description="Channels, or `team/*` for all below; null: every one."
    )
    expires_days: int | None = Field(
        default=90, ge=1, le=3650, description="null: it never ends; for administrators alone."
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


class TokenAnswer(BaseModel):
    """A token, without its text."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [_TOKEN]})

    name: str
    user: str
    prefix: str
    permissions: list[str] | None
    channels: list[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class NewTokenAnswer(TokenAnswer):
    """A new token, with its text."""

    model_config = ConfigDict(json_schema_extra={"examples": [_TOKEN | {"token": "hg-f3Kq81LmZa-…"}]})

    token: str = Field(description="The text to sign in with; shown this once.")


class MyTokenAnswer(BaseModel):
    """What the token of a call narrows its owner to."""

    name: str
    permissions: list[str] | None
    channels: list[str] | None
    expires_at: datetime | None


class MeAnswer(BaseModel):
    """Who calls."""

    name: str
    is_administrator: bool
    token: MyTokenAnswer | None


class JobAnswer(BaseModel):
    """A job as it stands."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    kind: str
    state: str = Field(description="queued, running, done, failed, paused or stopped.")
    request: Any
    actor: str | None
    result: Any
    failure: str | None
    progress: dict[str, Any] | None
    created_at: datetime
    ended_at: datetime | None


class JobLineAnswer(BaseModel):
    """One line of what a job said."""

    model_config = ConfigDict(from_attributes=True)

    at: datetime
    text: str


class JobLogAnswer(BaseModel):
    """The last lines of a job."""

    lines: list[JobLineAnswer]


class ProblemAnswer(BaseModel):
    """A failure (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    message: str = Field(description="The same as `detail`, for conda.")
    code: str = Field(description="One of the error codes in the reference; it never changes.")
    reasons: list[str]

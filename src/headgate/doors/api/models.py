"""Bodies and answers of the API, field by field; unknown fields of a body are refused."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from headgate.access.permissions import ScopeAction

# Long enough for any; a name's grammar is checked by its own type.
Text = Annotated[str, StringConstraints(max_length=4096, pattern=r"^[^\x00]*$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]

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


def shown(*examples: Any) -> ConfigDict:
    """The configuration of an answer, with what it may look like."""
    return ConfigDict(json_schema_extra={"examples": list(examples)})


def taken(*examples: Any) -> ConfigDict:
    """The configuration of a body, with what it may look like; unknown fields are refused."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": list(examples)})


class TokenBody(BaseModel):
    """A token to create."""

    model_config = taken(
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
    csrf_token: str | None = Field(description="In a session: what changes have to send as `X-CSRF-Token`.")


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

"""Bodies and answers of the API, field by field; unknown fields of a body are refused."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

# Long enough for any; a name's grammar is checked by its own type.
Text = Annotated[str, StringConstraints(max_length=4096, pattern=r"^[^\x00]*$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]


def shown(*examples: Any) -> ConfigDict:
    """The configuration of an answer, with what it may look like."""
    return ConfigDict(json_schema_extra={"examples": list(examples)})


def taken(*examples: Any) -> ConfigDict:
    """The configuration of a body, with what it may look like; unknown fields are refused."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": list(examples)})


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
    state: str = Field(description="queued, running, done, failed, paused or stopped.")
    request: Any
    actor: str | None
    result: Any
    failure: str | None
    progress: dict[str, Any] | None
    created_at: datetime
    started_at: datetime | None = Field(description="When a jobs process last took it up.")
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

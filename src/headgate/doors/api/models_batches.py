"""Bodies and answers about batches of files, pipelines, and what is said of packages."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StrictBool, StringConstraints

from headgate.access.grants import PrincipalKind
from headgate.approvals.batches import Batch, BatchAction, FileFate
from headgate.approvals.pipelines import Lag, Pipeline
from headgate.channels.packages import PackageWords
from headgate.doors.api.models import Name, shown, taken
from headgate.doors.api.models_life import Comment, Digest

_Want = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Channel = Annotated[str, StringConstraints(min_length=1, max_length=128)]
_Subdir = Annotated[str, StringConstraints(min_length=1, max_length=32)]
_MOST_LISTED = 1_000


class BatchBody(BaseModel):
    """What is to be done with which files of the channel."""

    model_config = taken(
        {"action": "copy", "wants": ["demo <2"], "target": "team/old"},
        {"action": "yank", "wants": ["noarch/demo-1.0-0.conda"], "comment": "It crashes."},
    )

    action: BatchAction
    wants: list[_Want] = Field(min_length=1, max_length=2000, description="Match specs, file names, purls, sha256.")
    target: _Channel | None = Field(default=None, description="Where copies and moved files go: a hosted channel.")
    subdirs: list[_Subdir] = Field(default=[], max_length=50, description="Only in these; without any, in all.")
    digest: Digest | None = Field(default=None, description="Of the preview that was seen.")
    comment: Comment = ""


class BatchItemAnswer(BaseModel):
    """One file of a batch."""

    subdir: str
    filename: str
    sha256: str
    size_bytes: int
    fate: FileFate
    reason: str = Field(description="Why it cannot be changed so; empty when it can.")


class BatchAnswer(BaseModel):
    """What a batch does, or did."""

    action: BatchAction
    digest: str = Field(description="Send it with the decision, so that it counts only for what was seen.")
    total: int = Field(description="How many files; at most 1,000 of them are listed.")
    items: list[BatchItemAnswer]
    hindrances: list[str] = Field(description="Why it cannot be done; empty when it can.")
    job: str | None = Field(default=None, description="The job that does it, when it is much.")


class PipelineBody(BaseModel):
    """A pipeline to make."""

    model_config = taken({"name": "release", "stages": ["dev", "test", "prod"], "is_strict": True})

    name: Name
    stages: list[_Channel] = Field(min_length=2, max_length=20, description="Channels, in their order.")
    is_strict: StrictBool = Field(default=True, description="What comes into a stage comes from the one before it.")


class PipelineChange(BaseModel):
    """What to change of a pipeline; what is left out stays."""

    model_config = taken({"is_strict": False})

    stages: list[_Channel] | None = Field(default=None, min_length=2, max_length=20)
    is_strict: StrictBool | None = None


class LagAnswer(BaseModel):
    """How far a stage is behind the one before it."""

    channel: str
    names: int = Field(description="Packages of which it lacks files.")
    records: int = Field(description="Files that it lacks.")


class PipelineAnswer(BaseModel):
    """A pipeline."""

    model_config = shown({"name": "release", "stages": ["dev", "prod"], "is_strict": True, "lags": None})

    name: str
    stages: list[str]
    is_strict: bool
    lags: list[LagAnswer] | None = Field(
        default=None, description="Of every stage but the first; told of one pipeline."
    )


class DeprecationBody(BaseModel):
    """What is not to be used any more, and why."""

    model_config = taken({"spec": "demo <2", "reason": "It has no maintainer. Use demo 2.", "is_avoided": True})

    spec: _Want = Field(description="A match spec of the package: `demo` is all of it.")
    reason: Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00]*$")]
    is_avoided: StrictBool = Field(default=False, description="Let solvers choose something else if there is any.")


class NoteBody(BaseModel):
    """A note on a package; an empty one removes it."""

    model_config = taken({"text": "Ask the forecast team before you update."})

    text: Annotated[str, StringConstraints(max_length=10_000, pattern=r"^[^\x00]*$")]


class OwnerBody(BaseModel):
    """How somebody owns a package."""

    model_config = taken({"may_publish": True})

    may_publish: StrictBool = Field(default=False, description="Grant them to upload, yank and delete it.")


class DeprecationAnswer(BaseModel):
    """What is not to be used any more."""

    spec: str
    reason: str
    is_avoided: bool
    created_at: datetime
    created_by: str


class OwnerAnswer(BaseModel):
    """Whose package it is."""

    kind: PrincipalKind
    principal: str
    may_publish: bool


class PackageAnswer(BaseModel):
    """What is said of a package."""

    package: str
    note: str
    deprecations: list[DeprecationAnswer]
    owners: list[OwnerAnswer]


def shown_batch(batch: Batch, job: str | None = None) -> BatchAnswer:
    """A batch as the API shows it."""
    return BatchAnswer(
        action=batch.wish.action,
        digest=batch.digest,
        total=len(batch.items),
        items=[
            BatchItemAnswer(
                subdir=one.subdir,
                filename=one.filename,
                sha256=one.sha256,
                size_bytes=one.size_bytes,
                fate=one.fate,
                reason=one.reason,
            )
            for one in batch.items[:_MOST_LISTED]
        ],
        hindrances=batch.hindrances,
        job=job,
    )


def shown_pipeline(pipeline: Pipeline, lags: list[Lag] | None = None) -> PipelineAnswer:
    """A pipeline as the API shows it."""
    return PipelineAnswer(
        name=pipeline.name,
        stages=list(pipeline.stages),
        is_strict=pipeline.is_strict,
        lags=None
        if lags is None
        else [LagAnswer(channel=one.channel, names=one.names, records=one.records) for one in lags],
    )


def shown_words(words: PackageWords) -> PackageAnswer:
    """What is said of a package, as the API shows it."""
    return PackageAnswer(
        package=words.package,
        note=words.note,
        deprecations=[
            DeprecationAnswer(
                spec=one.spec,
                reason=one.reason,
                is_avoided=one.is_avoided,
                created_at=one.created_at,
                created_by=one.created_by,
            )
            for one in words.deprecations
        ],
        owners=[
            OwnerAnswer(kind=one.kind, principal=one.principal, may_publish=one.may_publish) for one in words.owners
        ],
    )

"""Bodies and answers about freezing, rolling back and patching channels."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints

from headgate.channels.patching import PatchEdit, RecordChange
from headgate.doors.api.models import shown, taken
from headgate.intake.rollback import Fate, RollbackPlan, Step

Comment = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00]*$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_SubdirText = Annotated[str, StringConstraints(min_length=1, max_length=32)]
_Number = Annotated[int, Field(ge=0, lt=1 << 62)]


class CommentBody(BaseModel):
    """Why it is done, for whoever asks later."""

    model_config = taken({"comment": "Release 2026.3 is being tested."})

    comment: Comment = ""


class FrozenNamesAnswer(BaseModel):
    """What waits in a frozen channel."""

    model_config = shown({"subdirs": {"linux-64": 12, "noarch": None}})

    subdirs: dict[str, int | None] = Field(description="How many package names wait, by subdir; null: every name.")


class RollbackBody(BaseModel):
    """Where to go back to: a revision per subdir, or a moment for the subdirs named, or for all."""

    model_config = taken(
        {"revisions": {"noarch": 12}, "comment": "2.0 breaks the forecasts."},
        {"moment": "2026-03-01T09:00:00Z", "subdirs": ["linux-64"]},
    )

    revisions: dict[_SubdirText, _Number] | None = Field(default=None, description="Subdir to number; 0 is empty.")
    moment: datetime | None = Field(default=None, description="As it was then.")
    subdirs: list[_SubdirText] = Field(default=[], max_length=50, description="With `moment`: only these.")
    digest: Digest | None = Field(default=None, description="Of the preview that was seen.")
    comment: Comment = ""


class FateAnswer(BaseModel):
    """A file whose place in the index changes."""

    filename: str
    fate: Fate
    reason: str = Field(description="What stands in the way, or what was done to the file since.")


class RecordChangeAnswer(BaseModel):
    """A record that patch instructions change."""

    subdir: str
    filename: str
    fields: dict[str, list[Any]] = Field(description="Each field that differs: before and after; null is absent.")
    is_removed: bool = Field(description="It leaves the index.")
    is_restored: bool = Field(description="It comes back into the index.")


class StepAnswer(BaseModel):
    """What a rollback does to one subdir."""

    subdir: str
    current: int = Field(description="The revision now; going back to it later undoes the rollback.")
    to: int
    files: list[FateAnswer]
    is_patch_changed: bool
    records: list[RecordChangeAnswer]


class RollbackAnswer(BaseModel):
    """What a rollback does, or did."""

    digest: str
    is_empty: bool
    steps: list[StepAnswer]


class PatchPreviewAnswer(BaseModel):
    """What patch instructions would change."""

    total: int = Field(description="Records that would differ; at most 1,000 of them are listed.")
    records: list[RecordChangeAnswer]
    skipped: list[str] = Field(default=[], description="Subdirs of the package that the channel does not have.")


class PatchEditAnswer(BaseModel):
    """One state of a subdir's patch instructions."""

    id: int
    subdir: str
    revision: int = Field(description="The first revision that shows it.")
    origin: str | None = Field(description="The package that brought it; null when it was edited in place.")
    comment: str
    created_at: datetime
    created_by: str


_MOST_LISTED = 1_000


def shown_plan(plan: RollbackPlan) -> RollbackAnswer:
    """A rollback as the API shows it."""
    steps = [_shown_step(step) for step in plan.steps]
    return RollbackAnswer(digest=plan.digest, is_empty=all(step.is_empty for step in plan.steps), steps=steps)


def shown_changes(changes: list[RecordChange], skipped: list[str] | None = None) -> PatchPreviewAnswer:
    """What patch instructions change, as the API shows it."""
    listed = [_shown_change(one) for one in changes[:_MOST_LISTED]]
    return PatchPreviewAnswer(total=len(changes), records=listed, skipped=skipped or [])


def shown_edit(edit: PatchEdit) -> PatchEditAnswer:
    """One state of a subdir's instructions as the API shows it."""
    return PatchEditAnswer(
        id=edit.id,
        subdir=edit.subdir,
        revision=edit.revision,
        origin=edit.origin,
        comment=edit.comment,
        created_at=edit.created_at,
        created_by=edit.created_by,
    )


def _shown_step(step: Step) -> StepAnswer:
    return StepAnswer(
        subdir=step.subdir,
        current=step.current,
        to=step.to,
        files=[FateAnswer(filename=one.filename, fate=one.fate, reason=one.reason) for one in step.files],
        is_patch_changed=step.patch is not None,
        records=[_shown_change(one) for one in step.records[:_MOST_LISTED]],
    )


def _shown_change(change: RecordChange) -> RecordChangeAnswer:
    return RecordChangeAnswer(
        subdir=change.subdir,
        filename=change.filename,
        fields={key: list(values) for key, values in change.fields.items()},
        is_removed=change.is_removed,
        is_restored=change.is_restored,
    )

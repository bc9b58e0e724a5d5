"""Bodies and answers of the routes for requests."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from headgate.approvals.answers import AnswerState, answers_of
from headgate.approvals.request_rows import Request, Vote
from headgate.approvals.requests import Look
from headgate.approvals.rules import RequestRules
from headgate.approvals.states import RequestState
from headgate.doors.api.models_promotions import PlanAnswer, shown_plan

_Want = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Word = Annotated[str, StringConstraints(min_length=1, max_length=128)]
_Virtual = Annotated[str, StringConstraints(pattern=r"^__[a-z0-9_]{1,60}$")]
_Version = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._+!]{1,64}$")]
_Comment = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00]*$")]
_Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Environment = Annotated[str, StringConstraints(min_length=1, max_length=32 << 20)]
_EXAMPLE: dict[str, Any] = {"wants": ["pandas >=2"], "target": "approved-conda", "platforms": ["linux-64"]}


class AskBody(BaseModel):
    """What somebody wishes to pass."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    wants: list[_Want] = Field(default=[], max_length=20_000, description="Match specs, file names, purls, sha256.")
    environment: _Environment | None = Field(
        default=None,
        description="The text of environment.yml, pixi.toml, an explicit list, conda-lock.yml or pixi.lock.",
    )
    link: Annotated[str, StringConstraints(max_length=2000)] | None = Field(
        default=None, description="The link in the answer to a refused download."
    )
    source: _Word | None = Field(
        default=None, description="From which channel; needless where the target's rules tell."
    )
    target: _Word | None = Field(default=None, description="Into which hosted channel; needless where rules tell.")
    platforms: list[_Word] = Field(default=[], max_length=30, description="Without any: all the source has.")
    has_closure: StrictBool = Field(default=True, description="Bring what is needed to install it as well.")
    machine: dict[_Virtual, _Version] = Field(default={}, description="Virtual packages that the machines have.")


class RequestBody(AskBody):
    """A request."""

    comment: _Comment = Field(default="", description="Why it is wanted.")
    is_draft: StrictBool = Field(default=False, description="Keep it to oneself for now.")


class SubmitBody(BaseModel):
    """Ask with a draft, or ask again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"wants": ["pandas >=2.2"]}]})

    wants: list[_Want] = Field(default=[], max_length=20_000, description="In place of what was asked for.")
    environment: _Environment | None = Field(default=None, description="In place of what was asked for.")
    platforms: list[_Word] = Field(default=[], max_length=30)


class ApproveBody(BaseModel):
    """An approval of what was seen."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"digest": "0" * 64, "comment": "For the forecast team."}]}
    )

    digest: _Digest = Field(description="Of the preview that was seen; refused when the facts are others now.")
    comment: _Comment = ""
    left_out: list[_Want] = Field(
        default=[], max_length=20_000,
        description="Wants that do not pass with the others, as they were asked for or by package; a request of their own.",
    )  # fmt: skip
    left_out_why: _Comment = Field(default="", description="Why they are left out; needed with them.")
    ends_at: AwareDatetime | None = Field(
        default=None, description="Until when it is approved; the files leave the channel then. Null: for good."
    )


class CommentBody(BaseModel):
    """Words."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"comment": "Which platform is it for?"}]}
    )

    comment: _Comment = ""


class WantAnswer(BaseModel):
    """How one want stands."""

    want: str
    state: AnswerState
    reasons: list[str]
    alternative: str | None = Field(description="The next version that would pass.")


class RulesAnswer(BaseModel):
    """How requests into a channel are decided."""

    model_config = ConfigDict(extra="forbid")

    sources: list[_Word] = Field(
        default=[], max_length=50, description="Channels that people may ask from who cannot read them."
    )
    approvals: int = Field(default=1, ge=1, le=20, description="How many approvals are needed.")
    groups: list[_Word] = Field(
        default=[], max_length=50, description="Of whose members an approval counts; empty: of all who may approve."
    )
    is_comment_required: StrictBool = False
    expires_days: int = Field(default=30, ge=1, le=3650)
    auto: "AutoAnswer | None" = Field(default=None, description="When nobody needs to decide; null: never.")


class AutoAnswer(BaseModel):
    """When nobody needs to decide: every new file must fit."""

    model_config = ConfigDict(extra="forbid")

    licenses: list[_Word] = Field(max_length=50, description="Licences that are allowed.")
    only_patch_releases: StrictBool = True
    only_checked: StrictBool = Field(default=False, description="Advisory feeds must cover the package.")


class RequestPreview(BaseModel):
    """What is said of it at once."""

    wants: list[WantAnswer]
    plan: PlanAnswer
    rules: RulesAnswer
    why_people: str | None = Field(description="Why somebody has to decide; null: nobody has to.")


class AskerAnswer(BaseModel):
    """Somebody who asks."""

    name: str
    at: datetime
    why: str


class VoteAnswer(BaseModel):
    """An approval; it holds while the facts have this digest."""

    name: str
    at: datetime
    digest: str
    comment: str
    left_out: list[str] = Field(description="Wants that it does not approve.")
    left_out_why: str
    ends_at: datetime | None = Field(description="Until when; null: for good.")


class RemarkAnswer(BaseModel):
    """What was said or done."""

    at: datetime
    author: str
    kind: str
    text: str


class RequestAnswer(BaseModel):
    """A request."""

    id: int
    source: str
    target: str
    wants: list[str]
    platforms: list[str]
    has_closure: bool
    machine: dict[str, str]
    notes: list[str]
    state: RequestState
    summary: dict[str, Any] = Field(description="What the last look at it showed.")
    created_at: datetime
    created_by: str
    changed_at: datetime
    expires_at: datetime | None
    promotion: int | None
    left_out: list[str] = Field(description="Wants that its approval left out.")
    left_out_why: str
    rest: int | None = Field(description="The request that they went on as.")
    part_of: int | None = Field(description="The request that it was left out of.")
    ends_at: datetime | None = Field(description="Until when it was approved; null: for good.")
    requesters: list[AskerAnswer]
    approvals: list[VoteAnswer]
    remarks: list[RemarkAnswer] = Field(default=[], description="Told of one request alone.")
    job: str | None = Field(default=None, description="The job that carries it out; told when it is asked for.")


def shown_request(request: Request, job: str | None = None) -> RequestAnswer:
    """The request as the API shows it."""
    wanted = request.wanted
    return RequestAnswer(
        id=request.id,
        source=wanted.source,
        target=wanted.target,
        wants=list(wanted.texts),
        platforms=list(wanted.platforms),
        has_closure=wanted.has_closure,
        machine=dict(wanted.machine),
        notes=list(request.notes),
        state=request.state,
        summary=dict(request.summary),
        created_at=request.created_at,
        created_by=request.created_by,
        changed_at=request.changed_at,
        expires_at=request.expires_at,
        promotion=request.promotion,
        left_out=list(request.left_out),
        left_out_why=request.left_out_why,
        rest=request.rest,
        part_of=request.part_of,
        ends_at=request.ends_at,
        requesters=[AskerAnswer(name=one.name, at=one.at, why=one.why) for one in request.askers],
        approvals=[_vote(one) for one in request.votes],
        remarks=[RemarkAnswer(at=one.at, author=one.author, kind=one.kind, text=one.text) for one in request.remarks],
        job=job,
    )


def _vote(vote: Vote) -> VoteAnswer:
    return VoteAnswer(
        name=vote.name, at=vote.at, digest=vote.digest, comment=vote.comment, left_out=list(vote.limits.left_out),
        left_out_why=vote.limits.left_out_why, ends_at=vote.limits.ends_at,
    )  # fmt: skip


def shown_look(look: Look, notes: list[str]) -> RequestPreview:
    """What is said of a request at once, as the API shows it."""
    answers = [
        WantAnswer(want=one.want, state=one.state, reasons=list(one.reasons), alternative=one.alternative)
        for one in answers_of(look.plan)
    ]
    return RequestPreview(
        wants=answers, plan=shown_plan(look.plan, notes), rules=shown_rules(look.rules), why_people=look.why_people
    )


def shown_rules(rules: RequestRules) -> RulesAnswer:
    """The rules as the API shows them."""
    return RulesAnswer.model_validate(msgspec.to_builtins(rules))

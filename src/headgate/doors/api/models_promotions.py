"""Bodies and answers of the routes for promotions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from headgate.advisories.findings import Finding
from headgate.approvals.plans import Item, ItemState, Plan
from headgate.approvals.promotions import Promotion, PromotionState

_Want = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Environment = Annotated[str, StringConstraints(min_length=1, max_length=32 << 20)]
_Channel = Annotated[str, StringConstraints(min_length=1, max_length=128)]
_Platform = Annotated[str, StringConstraints(min_length=1, max_length=32)]
_Virtual = Annotated[str, StringConstraints(pattern=r"^__[a-z0-9_]{1,60}$")]
_Version = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._+!]{1,64}$")]
_EXAMPLE: dict[str, Any] = {
    "wants": ["pandas >=2"],
    "source": "unapproved-conda",
    "target": "approved-conda",
    "platforms": ["linux-64"],
}


class WishBody(BaseModel):
    """What is to pass from one channel into another."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    wants: list[_Want] = Field(default=[], max_length=20_000, description="Match specs, file names, purls, sha256.")
    environment: _Environment | None = Field(
        default=None,
        description="The text of environment.yml, pixi.toml, an explicit list, conda-lock.yml or pixi.lock.",
    )
    source: _Channel = Field(description="The channel to promote out of.")
    target: _Channel | None = Field(
        default=None, description="The hosted channel to promote into; without it, the next stage of its pipeline."
    )
    platforms: list[_Platform] = Field(default=[], max_length=30, description="Without any: all the source has.")
    has_closure: StrictBool = Field(default=True, description="Bring what is needed to install it as well.")
    machine: dict[_Virtual, _Version] = Field(
        default={}, description="Virtual packages that the machines have: {'__cuda': '12.4'}."
    )


class PromotionBody(WishBody):
    """A decision on a plan."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{**_EXAMPLE, "comment": "For the forecast team."}]}
    )

    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None, description="Of the preview that was seen; refused when the facts are others now."
    )
    comment: Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00]*$")] = ""


class ReasonAnswer(BaseModel):
    """Why a rule spoke."""

    policy: str
    rule: str
    outcome: str
    fact: str
    remedy: str


class FindingAnswer(BaseModel):
    """An advisory that affects the file."""

    advisory: str
    aliases: list[str]
    status: str
    cvss: float | None
    severity: str | None
    epss: float | None
    is_known_exploited: bool
    is_malicious: bool
    why: str


class ItemAnswer(BaseModel):
    """One file of a plan."""

    subdir: str
    filename: str
    name: str | None
    version: str | None
    build: str | None
    sha256: str | None
    size_bytes: int
    license: str | None
    indexed_timestamp: int | None = Field(description="When it was first seen, in milliseconds since 1970.")
    state: ItemState
    ends_at: datetime | None = Field(description="Until when the target has it, where its state is `ending`.")
    is_asked: bool = Field(description="Asked for; else it is needed by what was.")
    outcome: str = Field(description="What the target's policy says: allow, warn, hold or block.")
    reasons: list[ReasonAnswer] = []
    advisories: list[FindingAnswer] = []
    coverage: str = Field(description="Whether advisory feeds cover the package.")
    scripts: list[str] | None = Field(
        description="Kinds of scripts that run at install or activation; null while nobody has read the archive."
    )
    alternative: str | None = Field(description="Where it is held back: the next version that would pass.")


class PlanAnswer(BaseModel):
    """What would pass."""

    target: str = Field(description="Where it would pass into.")
    digest: str = Field(description="Send it with the decision, so that it counts only for what was seen.")
    platforms: list[str]
    items: list[ItemAnswer]
    new: int = Field(description="How many files the target would get.")
    new_bytes: int
    hindrances: list[str] = Field(description="Why some files cannot pass; empty when all can.")
    failures: list[str] = Field(default=[], description="The solver's words where a platform has no solution.")
    notes: list[str] = Field(default=[], description="What of an environment does not pass by its nature.")


class PromotionAnswer(BaseModel):
    """A promotion."""

    id: int
    source: str
    target: str
    wants: list[str]
    platforms: list[str]
    comment: str
    state: PromotionState
    failure: str | None
    created_at: datetime
    created_by: str
    applied_at: datetime | None
    undone_at: datetime | None
    undone_by: str | None
    request: int | None = Field(description="The request that it carries out.")
    approvers: list[str]
    ends_at: datetime | None = Field(description="Until when its files stay; null: for good.")
    job: str | None = Field(default=None, description="The job that carries it out; told when it is asked for.")
    items: list[ItemAnswer] = []


def shown_plan(plan: Plan, notes: Sequence[str] = ()) -> PlanAnswer:
    """The plan as the API shows it."""
    return PlanAnswer(
        target=plan.wish.target.name,
        digest=plan.digest,
        platforms=list(plan.platforms),
        items=[shown_item(item) for item in plan.items],
        new=len(plan.new),
        new_bytes=sum(item.size_bytes for item in plan.new),
        hindrances=plan.hindrances,
        failures=list(plan.failures),
        notes=list(notes),
    )


def shown_promotion(promotion: Promotion, job: str | None = None) -> PromotionAnswer:
    """The promotion as the API shows it."""
    return PromotionAnswer(
        id=promotion.id,
        source=promotion.source,
        target=promotion.target,
        wants=list(promotion.wants),
        platforms=list(promotion.platforms),
        comment=promotion.comment,
        state=promotion.state,
        failure=promotion.failure,
        created_at=promotion.created_at,
        created_by=promotion.created_by,
        applied_at=promotion.applied_at,
        undone_at=promotion.undone_at,
        undone_by=promotion.undone_by,
        request=promotion.request,
        approvers=list(promotion.approvers),
        ends_at=promotion.ends_at,
        job=job,
        items=[shown_item(item) for item in promotion.items],
    )


def shown_item(item: Item) -> ItemAnswer:
    """One file as the API shows it."""
    record, opinion = item.record, item.opinion
    return ItemAnswer(
        subdir=item.subdir,
        filename=item.filename,
        name=_text(record.get("name")),
        version=_text(record.get("version")),
        build=_text(record.get("build")),
        sha256=_text(record.get("sha256")),
        size_bytes=item.size_bytes,
        license=_text(record.get("license")),
        indexed_timestamp=record.get("indexed_timestamp"),
        state=item.state,
        ends_at=item.ends_at,
        is_asked=item.is_asked,
        outcome=opinion.verdict.outcome,
        reasons=[ReasonAnswer(**one.as_json()) for one in opinion.verdict.reasons],
        advisories=[_finding(one) for one in opinion.assessment.findings],
        coverage=opinion.assessment.coverage,
        scripts=None if opinion.scripts is None else list(opinion.scripts),
        alternative=opinion.alternative,
    )


def _finding(finding: Finding) -> FindingAnswer:
    return FindingAnswer(
        advisory=finding.advisory,
        aliases=list(finding.aliases),
        status=finding.status,
        cvss=finding.cvss,
        severity=finding.severity,
        epss=finding.epss,
        is_known_exploited=finding.is_known_exploited,
        is_malicious=finding.is_malicious,
        why=finding.why,
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)

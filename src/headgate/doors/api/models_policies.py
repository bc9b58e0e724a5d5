"""Bodies and answers of the routes for policies, exemptions, and what they do."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from headgate.doors.api.models import Name, Text
from headgate.policy.exemptions import ExemptionKind
from headgate.policy.model import Mode
from headgate.policy.proofs import ProofState
from headgate.policy.verdicts import Outcome

PolicyPath = Annotated[str, Path(max_length=64, pattern=r"^[a-z0-9][a-z0-9._-]*$", examples=["no-known-cves"])]

_DOCUMENT: dict[str, Any] = {
    "name": "no-known-cves",
    "mode": "enforce",
    "rule": [{"kind": "minimum-age", "days": 7, "action": "hold", "except": ["internal-*"]}],
}
_POLICY: dict[str, Any] = {
    "name": "no-known-cves",
    "mode": "enforce",
    "version": 3,
    "document": _DOCUMENT,
    "created_at": "2026-03-01T09:00:00Z",
    "created_by": "user:ada",
    "attached_to": ["conda-forge"],
    "pending": [],
}
_TARGET: dict[str, Any] = {"channel": "conda-forge"}
_EXEMPTION: dict[str, Any] = {
    "kind": "spec",
    "target": "numpy 1.26.4",
    "reason": "Not reachable from our code; ticket 4711.",
    "owner": "ada",
    "channel": "conda-forge",
    "spec": None,
    "expires_at": "2027-01-31T00:00:00Z",
}
_REASON: dict[str, Any] = {
    "policy": "no-known-cves",
    "rule": "minimum-age",
    "outcome": "hold",
    "fact": "It is new: in the index since 2026-03-01 09:00 UTC.",
    "remedy": "It passes at 2026-03-08 09:00 UTC.",
}
_ABSENT: dict[str, Any] = {"state": "absent", "reason": "", "publishers": [], "issuers": [], "channels": []}
_PROOF: dict[str, Any] = {
    "state": "verified",
    "reason": "",
    "publishers": ["https://github.com/acme/demo/.github/workflows/build.yaml@refs/heads/main"],
    "issuers": ["https://token.actions.githubusercontent.com"],
    "channels": ["https://conda.example/demo"],
}
_EXPLANATION: dict[str, Any] = {
    "channel": "conda-forge",
    "subdir": "noarch",
    "filename": "demo-1.0-0.conda",
    "outcome": "hold",
    "is_passing": False,
    "reasons": [_REASON],
    "valid_until": "2026-03-08T09:00:00Z",
    "signature": _ABSENT,
    "attestation": _PROOF,
}


def _shown(*examples: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": list(examples)})


def _taken(*examples: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": list(examples)})


class PolicyBody(BaseModel):
    """A policy to save: the document itself, or a file in TOML or JSON."""

    model_config = _taken({"document": _DOCUMENT}, {"text": 'name = "nothing"\nmode = "off"\n'})

    document: dict[str, Any] | None = Field(default=None, description="The policy as JSON.")
    text: Annotated[str, Field(max_length=1 << 20)] | None = Field(default=None, description="The same as a file.")


class PolicyAnswer(BaseModel):
    """A policy; `pending` lists channel/subdir of what is still to be judged again after the last change."""

    model_config = _shown(_POLICY)

    name: str
    mode: Mode
    version: int
    document: dict[str, Any]
    created_at: datetime
    created_by: str
    attached_to: list[str] = Field(description="`*`, a prefix such as `team/*`, a channel, or `mirror channel/name`.")
    pending: list[str] = []


class TargetBody(BaseModel):
    """Where to attach a policy: one of these."""

    model_config = _taken(_TARGET, {"is_everywhere": True}, {"prefix": "team/*"})

    is_everywhere: StrictBool = False
    prefix: Text | None = Field(default=None, description="All channels below: `team/*`.")
    channel: Text | None = None
    mirror: Text | None = Field(default=None, description="One mirror of a channel: `channel/name`.")


class ExemptionBody(BaseModel):
    """An exemption to add."""

    model_config = _taken(_EXEMPTION)

    kind: ExemptionKind
    target: Text = Field(description="A match spec, an advisory's id, or a sha256.")
    reason: Text
    owner: Name | None = Field(default=None, description="Who answers for it; left out: the caller.")
    channel: Text | None = Field(default=None, description="A channel, `team/*`, or null for all.")
    spec: Text | None = Field(default=None, description="Of kind advisory: only for these packages.")
    expires_at: datetime | None = Field(default=None, description="null: never.")


class ExemptionAnswer(ExemptionBody):
    """An exemption."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [{"id": 7, **_EXEMPTION}]})

    id: int


class ReasonAnswer(BaseModel):
    """Why a rule or an exemption spoke."""

    model_config = _shown(_REASON)

    policy: str
    rule: str
    outcome: Outcome
    fact: str
    remedy: str


class ProofAnswer(BaseModel):
    """What a check of a signature or attestation came to."""

    model_config = _shown(_PROOF)

    state: ProofState
    reason: str = Field(description="Why it is not good, or was not checked.")
    publishers: list[str] = Field(description="Identities, or of signatures public keys, that vouch for it.")
    issuers: list[str] = Field(description="Who knows these identities.")
    channels: list[str] = Field(description="The channels that it was attested for.")


class ExplanationAnswer(BaseModel):
    """What the gate says of one file."""

    model_config = _shown(_EXPLANATION)

    channel: str = Field(description="The channel whose gate it is: in a virtual channel maybe a member.")
    subdir: str
    filename: str
    outcome: Outcome
    is_passing: bool
    reasons: list[ReasonAnswer]
    valid_until: datetime | None = Field(description="When time alone may change a verdict on this package.")
    signature: ProofAnswer = Field(description="Of its record (conda content trust).")
    attestation: ProofAnswer = Field(description="Of its bytes (CEP 27).")
    ends_at: datetime | None = Field(default=None, description="Until when it is approved; null: without an end.")


class SimulationBody(BaseModel):
    """A draft to try on a channel: a policy as if it were enforced there, or an exemption."""

    model_config = _taken({"channel": "conda-forge", "document": _DOCUMENT, "specs": ["numpy"]})

    channel: Text
    document: dict[str, Any] | None = None
    text: Annotated[str, Field(max_length=1 << 20)] | None = Field(default=None, description="The policy as a file.")
    exemption: ExemptionBody | None = None
    specs: list[Text] = Field(default=[], max_length=50, description="Do these still solve?")
    days: int = Field(default=30, ge=1, le=3650, description="Downloads of so many days count.")
    platform: Literal["linux-64", "linux-aarch64", "osx-64", "osx-arm64", "win-64"] = "linux-64"


class ChangeAnswer(BaseModel):
    """A record that would appear or disappear."""

    subdir: str
    filename: str
    name: str
    version: str
    rules: list[str]
    downloads: int = Field(description="In the days asked for.")


class BrokenAnswer(BaseModel):
    """A record whose dependency could be satisfied once, and can no more."""

    model_config = _shown({"subdir": "noarch", "filename": "app-1.0-0.conda", "dependency": "lib >=2"})

    subdir: str
    filename: str
    dependency: str
    is_last: bool = Field(default=False, description="Nothing of its name can be installed any more in this subdir.")


class SolveAnswer(BaseModel):
    """Whether the specs solve; if not, `failure` says why."""

    is_solved: bool
    records: list[str] = []
    failure: str | None = None


class EnvironmentAnswer(BaseModel):
    """An environment that would miss files."""

    promotion: int
    request: int | None = Field(description="The request that asked for it.")
    wants: list[str]
    applied_at: datetime
    missing: int = Field(description="How many of its files would be gone.")


class SimulationAnswer(BaseModel):
    """What a draft would change. Lists hold at most 1,000 entries; the counts count all."""

    names: int
    appearing: int
    disappearing: int
    appearing_by_rule: dict[str, int]
    disappearing_by_rule: dict[str, int]
    appearing_by_name: dict[str, int]
    disappearing_by_name: dict[str, int]
    disappearing_downloads: int = Field(description="How often what would disappear was downloaded lately.")
    disappearing_downloads_by_rule: dict[str, int]
    disappearing_downloads_by_name: dict[str, int]
    appearing_records: list[ChangeAnswer] = Field(description="The most downloaded first.")
    disappearing_records: list[ChangeAnswer]
    lost_names: list[str] = Field(description="`subdir/name` of what would lose its last version.")
    next_versions: dict[str, str | None]
    environments: list[EnvironmentAnswer] = Field(
        default=[], description="What was approved into the channel and would miss files; who misses most comes first."
    )
    solves_before: SolveAnswer | None = None
    solves_after: SolveAnswer | None = None

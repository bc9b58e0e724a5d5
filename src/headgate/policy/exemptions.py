"""Exemptions: what may pass in spite of a rule, with an owner, a reason and an end."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from headgate.advisories.findings import Assessment
from headgate.conda.names import Sha256
from headgate.conda.records import RecordView
from headgate.kernel import clock
from headgate.kernel.errors import Invalid
from headgate.policy.specs import Spec, parse_policy_spec


class ExemptionKind(StrEnum):
    """What an exemption names. Stored."""

    SPEC = "spec"
    ADVISORY = "advisory"
    SHA256 = "sha256"


@dataclass(frozen=True, slots=True)
class Exemption:
    """One exemption.

    Of kind `spec` or `sha256` it lets a record pass whatever the rules say (but for malicious packages, which only a
    sha256 lets pass); of kind `advisory` it takes one advisory out of what the rules see, for the packages of `spec`.
    `channel` (a name, `team/*`, or None for all) says where.
    """

    id: int
    kind: ExemptionKind
    target: str
    owner: str
    reason: str
    channel: str | None = None
    spec: str | None = None
    expires_at: datetime | None = None

    def is_live(self, now_ms: int) -> bool:
        """False once it has expired."""
        return self.expires_at is None or now_ms < clock.to_ms(self.expires_at)

    @property
    def expires_ms(self) -> int | None:
        """When it ends."""
        return None if self.expires_at is None else clock.to_ms(self.expires_at)

    @property
    def parsed(self) -> Spec | None:
        """The spec that says which packages are meant; None: by other means."""
        text = self.target if self.kind is ExemptionKind.SPEC else self.spec
        return None if text is None else parse_policy_spec(text)

    def may_concern(self, name: str) -> bool:
        """False when it can concern no record of this package."""
        spec = self.parsed
        return spec is None or spec.may_match(name)

    def names(self, record: RecordView) -> bool:
        """Whether it lets this record pass."""
        if self.kind is ExemptionKind.SHA256:
            digest = record.get("sha256")
            return (digest.hex() if isinstance(digest, bytes) else digest) == self.target
        spec = self.parsed
        return self.kind is ExemptionKind.SPEC and spec is not None and spec.surely_matches(record)

    def without(self, assessment: Assessment, record: RecordView) -> Assessment:
        """The assessment without the advisory that this exemption names, malicious ones excepted."""
        spec = self.parsed
        if self.kind is not ExemptionKind.ADVISORY or (spec is not None and not spec.surely_matches(record)):
            return assessment
        kept = tuple(
            one
            for one in assessment.findings
            if one.is_malicious or self.target.upper() not in {one.advisory.upper(), *map(str.upper, one.aliases)}
        )
        if len(kept) == len(assessment.findings):
            return assessment
        return Assessment(assessment.coverage, assessment.why, kept)

    @property
    def sentence(self) -> str:
        """For people, who see it where it acts."""
        until = "" if self.expires_at is None else f" until {self.expires_at:%Y-%m-%d %H:%M} UTC"
        return f"Exempted by {self.owner}{until} ({self.target}): {self.reason}"

    def exact_name(self) -> str | None:
        """The only package that it can concern, when that can be told from its spec."""
        spec = self.parsed
        return None if spec is None else spec.exact_name


def check_target(kind: ExemptionKind, target: str, spec: str | None) -> str:
    """The target in its one form. Raises Invalid `exemption-invalid`, `match-spec-invalid` or `sha256-invalid`."""
    if spec is not None:
        parse_policy_spec(spec)
        if kind is not ExemptionKind.ADVISORY:
            raise Invalid("exemption-invalid", "A spec beside the target belongs to an exemption from an advisory.")
    if kind is ExemptionKind.SPEC:
        return parse_policy_spec(target).text
    if kind is ExemptionKind.SHA256:
        return str(Sha256.parse(target.lower()))
    if not target.strip() or len(target) > 128 or not target.isascii():
        raise Invalid("exemption-invalid", "An advisory is named by its id, such as CVE-2026-1234.")
    return target.strip().upper()

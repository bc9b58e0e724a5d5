"""What the gate says of a record, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from headgate.conda.shards import Shard


class Outcome(StrEnum):
    """What the gate may say of a record, from the mildest to the strictest."""

    ALLOW = "allow"
    WARN = "warn"
    HOLD = "hold"
    """Waits for time or for approval."""
    BLOCK = "block"

    @property
    def rank(self) -> int:
        """Greater is stricter."""
        return _RANKS[self]

    @property
    def is_passing(self) -> bool:
        """True when a record with it may be listed and its bytes served."""
        return self.rank < _RANKS[Outcome.HOLD]


EXEMPTION = "exemption"
"""Stands in place of the policy in a reason that an exemption gives."""
_RANKS = {outcome: number for number, outcome in enumerate(Outcome)}


@dataclass(frozen=True, slots=True, order=True)
class Reason:
    """Why one rule, or one exemption, spoke: the fact that it saw, and what would change it."""

    policy: str
    rule: str
    outcome: Outcome
    fact: str
    remedy: str

    @property
    def sentence(self) -> str:
        """For people."""
        return f"{self.policy}, {self.rule}: {self.fact} {self.remedy}".rstrip()

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "policy": self.policy,
            "rule": self.rule,
            "outcome": self.outcome,
            "fact": self.fact,
            "remedy": self.remedy,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome with the reasons that led to it, in an order that depends on nothing but themselves."""

    outcome: Outcome
    reasons: tuple[Reason, ...] = ()

    @property
    def is_passing(self) -> bool:
        """True when the record may be listed and its bytes served."""
        return self.outcome.is_passing

    @property
    def rules(self) -> tuple[tuple[str, str], ...]:
        """The (policy, rule) pairs that held the record back."""
        return tuple((one.policy, one.rule) for one in self.reasons if not one.outcome.is_passing)

    @property
    def exemptions(self) -> tuple[tuple[str, str], ...]:
        """The exemptions that acted, as (`exemption`, id) pairs."""
        return tuple((one.policy, one.rule) for one in self.reasons if one.policy == EXEMPTION)


ALLOWED = Verdict(Outcome.ALLOW)


@dataclass(frozen=True, slots=True)
class Ruling:
    """A verdict for every file name of a shard that was held back or warned of.

    `valid_until`: the moment at which time alone changes a verdict; None: never.
    """

    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    valid_until: datetime | None = None

    @property
    def distinct(self) -> dict[int, Verdict]:
        """The verdicts by `id`: those on records of one sort are one object."""
        told = self.verdicts.values()
        return dict(zip(map(id, told), told, strict=True))

    @property
    def held_back(self) -> dict[str, Verdict]:
        """The verdicts that keep a record out."""
        passing = {key for key, verdict in self.distinct.items() if verdict.is_passing}
        if not passing:
            return dict(self.verdicts)
        return {filename: verdict for filename, verdict in self.verdicts.items() if id(verdict) not in passing}

    def verdict(self, filename: str) -> Verdict:
        """The verdict on a file of the shard."""
        return self.verdicts.get(filename, ALLOWED)


@dataclass(frozen=True, slots=True)
class Evaluation(Ruling):
    """A ruling with the shard it is on (`judged`), and the part of that which passes."""

    judged: Shard = field(kw_only=True)
    published: Shard = field(kw_only=True)

"""The gate: what of a shard may pass. A pure function, asked by the index and again by every download.

There are no policies yet, so everything passes; both callers already obey whatever verdict comes back.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from headgate.conda.records import Record
from headgate.conda.shards import Shard


class Outcome(StrEnum):
    """What the gate may say of a record."""

    ALLOW = "allow"
    WARN = "warn"
    HOLD = "hold"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome with the sentences that led to it."""

    outcome: Outcome
    reasons: tuple[str, ...] = ()

    @property
    def is_passing(self) -> bool:
        """True when the record may be listed and its bytes served."""
        return self.outcome in {Outcome.ALLOW, Outcome.WARN}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The part of a shard that passes, and a verdict for each file name that was held back."""

    published: Shard
    held_back: dict[str, Verdict] = field(default_factory=dict)


ALLOWED = Verdict(Outcome.ALLOW)


def has_rules(channel: str) -> bool:  # noqa: ARG001 - there are no rules to look up yet
    """True when a shard of this channel must be evaluated at all; false lets it pass by digest, undecoded."""
    return False


def evaluate(channel: str, shard: Shard) -> Evaluation:  # noqa: ARG001 - as above
    """Divide a shard into what passes and what is held back."""
    return Evaluation(shard)


def evaluate_record(channel: str, filename: str, record: Record) -> Verdict:  # noqa: ARG001 - as above
    """The verdict on one record: the same answer that `evaluate` gives for the shard it is in."""
    return ALLOWED

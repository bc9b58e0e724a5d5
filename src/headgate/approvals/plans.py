"""What a promotion would do, worked out before anybody decides."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from headgate.approvals.judging import UNASKED, Opinion
from headgate.approvals.wants import parse_wants
from headgate.channels.model import Channel
from headgate.conda.names import Subdir
from headgate.conda.records import Record


class ItemState(StrEnum):
    """How a file stands in the target."""

    NEW = "new"
    PRESENT = "present"
    """The target lists it already."""
    ENDING = "ending"
    """The target lists it until a moment: approved again, it stays longer."""
    CONFLICT = "conflict"
    """The target has, or had, that name with other bytes; it cannot pass."""
    UNVERIFIABLE = "unverifiable"
    """Its record has no sha256, so its bytes could not be verified; it cannot pass."""


@dataclass(frozen=True, slots=True)
class Item:
    """One file of a plan. `record` is in JSON form; `is_asked` tells what was asked for from what that needs."""

    subdir: Subdir
    filename: str
    state: ItemState
    is_asked: bool
    record: Record
    opinion: Opinion = UNASKED
    ends_at: datetime | None = None
    """Until when the target lists it; None: for good, or not at all."""

    @property
    def may_pass(self) -> bool:
        """Whether the target's policy lets it pass."""
        return self.opinion.verdict.is_passing

    @property
    def size_bytes(self) -> int:
        """As its record says; 0 when it does not."""
        return int(self.record.get("size") or 0)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants promoted: texts of wants, from and into which channel, for which platforms.

    Without `platforms`, all that the source has. `has_closure`: with what it needs. `machine`: virtual packages.
    `left_out`: texts of wants that must not pass with the others.
    """

    texts: Sequence[str]
    source: Channel
    target: Channel
    platforms: Sequence[Subdir] = ()
    has_closure: bool = True
    machine: Mapping[str, str] = field(default_factory=dict)
    left_out: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a want cannot be had: `is_withheld` by policy, with a reason for each rule, or not known at all.

    `alternative`: the next version that would pass.
    """

    want: str
    sentence: str
    is_withheld: bool = False
    reasons: Sequence[str] = ()
    alternative: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What would pass; `digest` changes with every fact that a decision could rest on.

    `problems`: wants that cannot be had. `failures`: a sentence for each platform that has no solution.
    """

    wish: Wish
    platforms: Sequence[Subdir]
    items: Sequence[Item]
    problems: Sequence[Problem] = ()
    failures: Sequence[str] = ()

    @property
    def new(self) -> list[Item]:
        """What the target would get."""
        return [item for item in self.items if item.state is ItemState.NEW]

    @property
    def ending(self) -> list[Item]:
        """What the target would keep for longer."""
        return [item for item in self.items if item.state is ItemState.ENDING]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to decide on."""
        return not self.new and not self.ending

    @property
    def hindrances(self) -> list[str]:
        """A sentence for each file that keeps the plan from being carried out."""
        said = {
            ItemState.CONFLICT: "has or had other bytes under that name",
            ItemState.UNVERIFIABLE: "could not be verified, because its record has no sha256",
        }
        target = self.wish.target.name
        files = {f"{one.subdir}/{one.filename}": one for one in self.items}
        hindered = [f"{place}: {target} {said[one.state]}." for place, one in files.items() if one.state in said]
        for place, one in files.items():
            if one.state in {ItemState.NEW, ItemState.ENDING} and not one.may_pass:
                reasons = [why.sentence for why in one.opinion.verdict.reasons if not why.outcome.is_passing]
                hindered.append(f"{place}: policy of {target}. {' '.join(reasons)}")
        return hindered + self._left_out_in_vain()

    @property
    def digest(self) -> str:
        """SHA-256 over files, records, states, verdicts, advisories and what is left out, as hexadecimal digits.

        What changes every day and says nothing new is left out: EPSS scores, and ages in the words of rules.
        """
        facts = [(str(item.subdir), item.filename, item.state, item.record, _said(item.opinion)) for item in self.items]
        troubles = [one.want for one in self.problems], list(self.failures)
        part = [sorted(self.wish.left_out)] if self.wish.left_out else []
        return hashlib.sha256(msgspec.json.encode([facts, troubles, *part], order="deterministic")).hexdigest()

    def _left_out_in_vain(self) -> list[str]:
        """A sentence for each file that was left out, and is needed by what was not."""
        if not self.wish.left_out:
            return []
        left, kept = parse_wants(self.wish.left_out), parse_wants(self.wish.texts)
        return [
            f"{one.subdir}/{one.filename}: it is left out, and what is not left out needs it. Leave that out as well."
            for one in [*self.new, *self.ending]
            if any(want.is_met_by(one.subdir, one.record) for want in left)
            and not any(want.is_met_by(one.subdir, one.record) for want in kept)
        ]


def _said(opinion: Opinion) -> list[Any]:
    verdict, findings = opinion.verdict, opinion.assessment.findings
    rules = sorted((one.policy, one.rule, one.outcome.value) for one in verdict.reasons)
    known = sorted(
        (one.advisory, one.status.value, one.cvss or 0.0, one.is_known_exploited, one.is_malicious) for one in findings
    )
    return [verdict.outcome.value, rules, known]

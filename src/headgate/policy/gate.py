"""The gate: what of a shard may pass. A pure function, asked by the index and again by every download.

A rule that cannot decide holds the record back and says so; nothing here ever fails open.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec

from headgate.advisories.findings import Coverage
from headgate.conda.shards import Shard
from headgate.kernel import clock
from headgate.policy.exemptions import Exemption
from headgate.policy.facts import Facts, ShardSiblings
from headgate.policy.glance import Glance
from headgate.policy.model import Mode, Policy, RuleEntry
from headgate.policy.rules.advisories import MaliciousRule, NotCheckedRule
from headgate.policy.sitting import BUILT_IN, Entry, Known, Sitting
from headgate.policy.terms import Terms
from headgate.policy.verdicts import ALLOWED, Evaluation, Outcome, Ruling, Verdict

# Part of every digest: raise it when a rule comes to mean something else, and everything is judged anew.
_MEANING = 1
_MALICIOUS = RuleEntry("malicious", MaliciousRule(Terms(BUILT_IN, {})), Outcome.BLOCK)


@dataclass(frozen=True, slots=True)
class Attached:
    """A policy where it holds: for a whole channel, or for what one mirror (its source's id) brings."""

    policy: Policy
    source: int | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What a quick look at a shard came to: the rules that have to look closer, and until when the others do not."""

    closer: tuple[Entry, ...] = ()
    until_ms: int | None = None

    @property
    def is_needed(self) -> bool:
        """False when the shard passes as it is."""
        return bool(self.closer)


@dataclass(frozen=True)
class Gate:
    """The policies and exemptions that hold for one channel."""

    attached: tuple[Attached, ...]
    exemptions: tuple[Exemption, ...] = ()
    _entries: tuple[Entry, ...] = field(init=False)

    def __post_init__(self) -> None:
        entries = [
            Entry(one.policy.name, one.policy.mode is Mode.ENFORCE, one.source, entry)
            for one in self.attached
            if one.policy.mode is not Mode.OFF
            for entry in one.policy.rules
        ]
        object.__setattr__(self, "_entries", (Entry(BUILT_IN, True, None, _MALICIOUS), *entries))

    @cached_property
    def digest(self) -> bytes:
        """The same for gates that decide alike; whatever order they were put together in."""
        policies = sorted(_canonical([one.policy.document, one.policy.mode, one.source]) for one in self.attached)
        exemptions = sorted(_canonical(one) for one in self.exemptions)
        return hashlib.sha256(_canonical([_MEANING, policies, exemptions])).digest()

    @cached_property
    def needs_about(self) -> bool:
        """Whether a rule asks what archives showed."""
        return any(entry.told.rule.needs_about for entry in self._entries)

    @cached_property
    def needs_owners(self) -> bool:
        """Whether a rule asks who owns a name."""
        return any(entry.told.rule.needs_owners for entry in self._entries)

    @cached_property
    def needs_proofs(self) -> bool:
        """Whether a rule asks who vouches for files."""
        return any(entry.told.rule.needs_proofs for entry in self._entries)

    def look(self, glance: Glance, facts: Facts, now: datetime) -> Look:
        """Which rules have to look closer at a stored shard; none: it passes as it is until the moment given."""
        now_ms, until_ms = clock.to_ms(now), None
        closer: list[Entry] = []
        for entry in self._looking:
            if any(one.has_only_name and one.may_match(facts.name) for one in entry.told.exceptions):
                continue
            look = entry.told.rule.look(glance, facts, now_ms)
            if look.is_needed:
                closer.append(entry)
            if look.until_ms is not None and (until_ms is None or look.until_ms < until_ms):
                until_ms = look.until_ms
        if self._has_findings(glance, facts):
            closer += self._asking
        return Look(tuple(closer), until_ms)

    def _has_findings(self, glance: Glance, facts: Facts) -> bool:
        usual = None if glance.has_purls else facts.book.usual(facts.name)
        found = facts.book.assess(facts.name, glance.lazy_records).values() if usual is None else (usual,)
        if any(one.findings for one in found):
            return True
        return self._asks_for_coverage and any(one.coverage is not Coverage.CHECKED for one in found)

    @cached_property
    def _asks_for_coverage(self) -> bool:
        return any(isinstance(entry.told.rule, NotCheckedRule) for entry in self._entries)

    @cached_property
    def _asking(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self._entries if entry.told.rule.needs_assessments)

    @cached_property
    def _looking(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self._entries if not entry.told.rule.needs_assessments)

    def evaluate(self, shard: Shard, facts: Facts, now: datetime) -> Evaluation:
        """Divide a shard into what passes and what is held back, at a moment."""
        sitting = Sitting(self._entries, self.exemptions, ShardSiblings(shard), facts, clock.to_ms(now))
        sitting.assess(dict(shard.records()))
        found = [(filename, sitting.verdict(filename, record)) for filename, record in shard.records()]
        told = _told([one for one in found if one[1] is not ALLOWED])
        ruling = Ruling(told, clock.from_optional_ms(sitting.horizon_ms))
        held = ruling.held_back
        published = shard.only({filename for filename, _ in shard.records()} - held.keys()) if held else shard
        return Evaluation(told, ruling.valid_until, judged=shard, published=published)

    def rule(
        self, glance: Glance, facts: Facts, now: datetime, known: dict[tuple[int, ...], Known] | None = None
    ) -> Ruling | None:
        """The same verdicts on a stored shard after a quick look; None: only `evaluate` can tell its records apart.

        `known` is what was found out in other shards at this moment, for `Judging`.
        """
        look = self.look(glance, facts, now)
        if not look.is_needed:
            return Ruling({}, clock.from_optional_ms(look.until_ms))
        sitting = Sitting(look.closer, self.exemptions, glance, facts, clock.to_ms(now))
        sitting.note(look.until_ms)
        rules = tuple(map(id, look.closer))
        found = sitting.verdicts_by_sort(glance, {} if known is None else known.setdefault(rules, {}))
        return None if found is None else Ruling(_told(found), clock.from_optional_ms(sitting.horizon_ms))


@dataclass(frozen=True, slots=True)
class Judging:
    """A gate that judges many stored shards at one moment.

    What its rules said of a sort of record is remembered from one shard to the next: in a thousand shards there are few
    licences. Not for more than some thousands of shards, for it forgets nothing.
    """

    gate: Gate
    now: datetime
    _known: dict[tuple[int, ...], Known] = field(default_factory=dict)

    def rule(self, glance: Glance, facts: Facts) -> Ruling | None:
        """As `Gate.rule`."""
        return self.gate.rule(glance, facts, self.now, self._known)


def _told(verdicts: Sequence[tuple[str, Verdict]]) -> dict[str, Verdict]:
    """By file name. Two maps may have records under one; the stricter verdict holds for both."""
    told = dict(verdicts)
    if len(told) == len(verdicts):
        return told
    for filename, verdict in verdicts:
        told[filename] = max(verdict, told[filename], key=lambda one: (one.outcome.rank, one.reasons))
    return told


def evaluate(
    shard: Shard, policies: Iterable[Attached], exemptions: Iterable[Exemption], facts: Facts, now: datetime
) -> Evaluation:
    """The gate in one call: the published shard, a verdict for each file it speaks of, and until when that holds."""
    return Gate(tuple(policies), tuple(exemptions)).evaluate(shard, facts, now)


def _canonical(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted", enc_hook=str)

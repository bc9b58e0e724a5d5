"""The gate: what of a shard may pass. A pure function, asked by the index and again by every download.

A rule that cannot decide holds the record back and says so; nothing here ever fails open.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec

from headgate.advisories.findings import Assessment, Coverage
from headgate.conda.records import Record
from headgate.conda.shards import Shard
from headgate.kernel import clock
from headgate.policy.exemptions import Exemption, ExemptionKind
from headgate.policy.facts import Case, Facts
from headgate.policy.glance import Glance
from headgate.policy.model import Mode, Policy, RuleEntry
from headgate.policy.rules.advisories import MaliciousRule, NotCheckedRule
from headgate.policy.rules.rule import Judgement, acts
from headgate.policy.specs import Spec
from headgate.policy.terms import Terms
from headgate.policy.verdicts import ALLOWED, EXEMPTION, Evaluation, Outcome, Reason, Verdict

# Part of every digest: raise it when a rule comes to mean something else, and everything is judged anew.
_MEANING = 1
BUILT_IN = "built-in"
INCIDENT = "incident"
"""The policy that is made of the incidents that are open; no exemption overrules it."""
_MALICIOUS = RuleEntry("malicious", MaliciousRule(Terms(BUILT_IN, {})), Outcome.BLOCK)
_UNKNOWN = Assessment(Coverage.NOT_CHECKED, "nobody asked")


@dataclass(frozen=True, slots=True)
class Attached:
    """A policy where it holds: for a whole channel, or for what one mirror (its source's id) brings."""

    policy: Policy
    source: int | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What a quick look at a shard came to: the rules that have to look closer, and until when the others do not."""

    closer: tuple["_Entry", ...] = ()
    until_ms: int | None = None

    @property
    def is_needed(self) -> bool:
        """False when the shard passes as it is."""
        return bool(self.closer)


@dataclass(frozen=True, slots=True)
class _Entry:
    policy: str
    is_enforced: bool
    source: int | None
    told: RuleEntry


@dataclass(frozen=True)
class Gate:
    """The policies and exemptions that hold for one channel."""

    attached: tuple[Attached, ...]
    exemptions: tuple[Exemption, ...] = ()
    _entries: tuple[_Entry, ...] = field(init=False)

    def __post_init__(self) -> None:
        entries = [
            _Entry(one.policy.name, one.policy.mode is Mode.ENFORCE, one.source, entry)
            for one in self.attached
            if one.policy.mode is not Mode.OFF
            for entry in one.policy.rules
        ]
        object.__setattr__(self, "_entries", (_Entry(BUILT_IN, True, None, _MALICIOUS), *entries))

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

    def look(self, glance: Glance, facts: Facts, now: datetime) -> Look:
        """Which rules have to look closer at a stored shard; none: it passes as it is until the moment given."""
        now_ms, horizons = clock.to_ms(now), []
        closer: list[_Entry] = []
        asking = [entry for entry in self._entries if entry.told.rule.needs_assessments]
        for entry in self._entries:
            if not entry.told.rule.needs_assessments:
                look = entry.told.rule.look(glance, facts, now_ms)
                if look.is_needed:
                    closer.append(entry)
                horizons.append(look.until_ms)
        if self._has_findings(glance, facts):
            closer += asking
        return Look(tuple(closer), min((one for one in horizons if one is not None), default=None))

    def _has_findings(self, glance: Glance, facts: Facts) -> bool:
        assessments = facts.book.assess(facts.name, glance.lazy_records)
        if any(one.findings for one in assessments.values()):
            return True
        does_ask = any(isinstance(entry.told.rule, NotCheckedRule) for entry in self._entries)
        return does_ask and any(one.coverage is not Coverage.CHECKED for one in assessments.values())

    def evaluate(self, shard: Shard, facts: Facts, now: datetime, look: Look | None = None) -> Evaluation:
        """Divide a shard into what passes and what is held back, at a moment; `look`: what a look at it came to."""
        entries = self._entries if look is None else look.closer
        sitting = _Sitting(entries, self.exemptions, shard, facts, clock.to_ms(now))
        if look is not None:
            sitting.note(look.until_ms)
        verdicts: dict[str, Verdict] = {}
        for filename, record in shard.records():
            verdict = sitting.verdict(filename, record)
            if filename in verdicts:
                # Two maps may have records under one file name; the stricter verdict holds for both.
                verdict = max(verdict, verdicts[filename], key=lambda one: (one.outcome.rank, one.reasons))
            verdicts[filename] = verdict
        told = {filename: verdict for filename, verdict in verdicts.items() if verdict is not ALLOWED}
        held = {filename for filename, verdict in told.items() if not verdict.is_passing}
        until = None if sitting.horizon_ms is None else clock.from_ms(sitting.horizon_ms)
        return Evaluation(shard, shard.only(verdicts.keys() - held) if held else shard, told, until)


def evaluate(
    shard: Shard, policies: Iterable[Attached], exemptions: Iterable[Exemption], facts: Facts, now: datetime
) -> Evaluation:
    """The gate in one call: the published shard, a verdict for each file it speaks of, and until when that holds."""
    return Gate(tuple(policies), tuple(exemptions)).evaluate(shard, facts, now)


class _Sitting:
    """Judges the records of one shard; `horizon_ms` is the first moment at which a verdict changes."""

    def __init__(
        self, entries: Iterable[_Entry], exemptions: Iterable[Exemption], shard: Shard, facts: Facts, now_ms: int
    ) -> None:
        self.horizon_ms: int | None = None
        self._shard = shard
        self._facts = facts
        self._now_ms = now_ms
        self._entries = _of_name(entries, facts.name)
        live = [one for one in exemptions if one.is_live(now_ms)]
        self._from_advisories = [one for one in live if one.kind is ExemptionKind.ADVISORY]
        self._from_rules = [one for one in live if one.kind is not ExemptionKind.ADVISORY]
        does_ask = any(entry.told.rule.needs_assessments for entry, _ in self._entries)
        self._assessments, self._failure = _assess(facts, shard) if does_ask else ({}, None)

    def verdict(self, filename: str, record: Record) -> Verdict:
        """The verdict on one record of the shard."""
        reasons: list[Reason] = []
        assessment = self._assessments.get(filename, _UNKNOWN)
        for one in self._from_advisories:
            fewer = one.without(assessment, record)
            if fewer is not assessment:
                assessment = fewer
                reasons.append(self._exempted(one))
        case = Case(filename, record, self._shard, self._facts, assessment, self._now_ms)
        all_known = self._assessments.get(filename, _UNKNOWN)
        whole = case if assessment is all_known else replace(case, assessment=all_known)
        held: list[Reason] = []
        for entry, exceptions in self._entries:
            reason = self._reason(entry, exceptions, whole if entry.policy == INCIDENT else case)
            if reason is not None:
                held.append(reason)
        if not held and not reasons:
            return ALLOWED
        reasons += self._after_exemptions(held, record)
        return Verdict(max((one.outcome for one in reasons), key=lambda one: one.rank), tuple(sorted(set(reasons))))

    def _reason(self, entry: _Entry, exceptions: tuple[Spec, ...], case: Case) -> Reason | None:
        if entry.source is not None and self._facts.origin_of(case.filename).source != entry.source:
            return None
        if exceptions and any(one.surely_matches(case.record) for one in exceptions):
            return None
        outcome = entry.told.action
        try:
            judgement = self._judged(entry, case)
        except Exception as error:  # noqa: BLE001 - whatever a rule stumbles over, the record must not slip through
            judgement = acts(f"The rule could not decide: {type(error).__name__}, {error}".rstrip(".")[:300] + ".")
            outcome = min(outcome, Outcome.HOLD, key=lambda one: one.rank)
        if judgement is None:
            return None
        self.note(judgement.changes_ms)
        if not judgement.does_act:
            return None
        if not entry.is_enforced:
            fact = f"Audit only, it would {outcome}: {judgement.fact}"
            return Reason(entry.policy, entry.told.label, Outcome.WARN, fact, judgement.remedy)
        return Reason(entry.policy, entry.told.label, outcome, judgement.fact, judgement.remedy)

    def _judged(self, entry: _Entry, case: Case) -> Judgement | None:
        if self._failure is not None and entry.told.rule.needs_assessments:
            raise self._failure
        return entry.told.rule.judge(case)

    def _after_exemptions(self, reasons: list[Reason], record: Record) -> list[Reason]:
        """The reasons, those that an exemption overrules made harmless, and the exemptions that did so."""
        if all(one.outcome.is_passing for one in reasons):
            return reasons
        acting: set[Exemption] = set()
        after = []
        named = [one for one in self._from_rules if one.names(record)]
        for reason in reasons:
            is_malicious = reason.policy == BUILT_IN
            able = [one for one in named if one.kind is ExemptionKind.SHA256 or not is_malicious]
            if reason.policy == INCIDENT:
                able = []  # what was let pass before it was known to be an incident
            if reason.outcome.is_passing or not able:
                after.append(reason)
                continue
            acting.update(able)
            after.append(_harmless(reason))
        return after + [self._exempted(one) for one in acting]

    def _exempted(self, exemption: Exemption) -> Reason:
        self.note(exemption.expires_ms)
        return Reason(EXEMPTION, f"{exemption.id}", Outcome.ALLOW, exemption.sentence, "")

    def note(self, moment_ms: int | None) -> None:
        """A verdict changes at that moment."""
        if moment_ms is not None and (self.horizon_ms is None or moment_ms < self.horizon_ms):
            self.horizon_ms = moment_ms


def _of_name(entries: Iterable[_Entry], name: str) -> list[tuple[_Entry, tuple[Spec, ...]]]:
    """The rules that a package is not excepted from by its name alone, each with the exceptions that may concern it."""
    found = []
    for entry in entries:
        exceptions = tuple(one for one in entry.told.exceptions if one.may_match(name))
        if not any(one.has_only_name for one in exceptions):
            found.append((entry, exceptions))
    return found


def _harmless(reason: Reason) -> Reason:
    return Reason(reason.policy, reason.rule, Outcome.ALLOW, reason.fact, reason.remedy)


def _assess(facts: Facts, shard: Shard) -> tuple[Mapping[str, Assessment], Exception | None]:
    try:
        return facts.book.assess(facts.name, dict(shard.records())), None
    except Exception as error:  # noqa: BLE001 - every rule that needs it will say that it could not decide
        return {}, error


def _canonical(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted", enc_hook=str)

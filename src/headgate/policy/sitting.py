"""A sitting of the gate: the records of one shard before its rules, at one moment."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from headgate.advisories.findings import Assessment, Coverage
from headgate.conda.records import RecordView
from headgate.policy.exemptions import Exemption, ExemptionKind
from headgate.policy.facts import Case, Facts, Siblings
from headgate.policy.glance import Glance
from headgate.policy.model import RuleEntry
from headgate.policy.rules.rule import Judgement, Sorter, acts, alike
from headgate.policy.specs import Spec
from headgate.policy.verdicts import ALLOWED, EXEMPTION, Outcome, Reason, Verdict

BUILT_IN = "built-in"
INCIDENT = "incident"
"""The policy that is made of the incidents that are open; no exemption overrules it."""
_UNKNOWN = Assessment(Coverage.NOT_CHECKED, "nobody asked")

Known = dict[Hashable, tuple[Verdict, int | None]]
"""Verdicts by sort of record, and when time changes them: what is the same in every shard."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A rule where it holds: of a policy, and for one source's records alone if `source` is given."""

    policy: str
    is_enforced: bool
    source: int | None
    told: RuleEntry

    @property
    def is_by_sort_alone(self) -> bool:
        """Whether it says the same of records of one sort in whatever shard, wherever from."""
        return self.source is None and self.told.rule.is_by_sort_alone


class Sitting:
    """Judges the records of one shard; `horizon_ms` is the first moment at which a verdict changes."""

    def __init__(
        self,
        entries: Iterable[Entry],
        exemptions: Iterable[Exemption],
        siblings: Siblings,
        facts: Facts,
        now_ms: int,
    ) -> None:
        self.horizon_ms: int | None = None
        self._siblings = siblings
        self._facts = facts
        self._now_ms = now_ms
        self._entries = _of_name(entries, facts.name)
        live = [one for one in exemptions if one.is_live(now_ms) and one.may_concern(facts.name)]
        self._from_advisories = [one for one in live if one.kind is ExemptionKind.ADVISORY]
        self._from_rules = [one for one in live if one.kind is not ExemptionKind.ADVISORY]
        self._does_ask = any(entry.told.rule.needs_assessments for entry, _ in self._entries)
        self._assessments: Mapping[str, Assessment] = {}
        self._failure: Exception | None = None

    def assess(self, records: Mapping[str, RecordView]) -> None:
        """Ask the book of advisories for what the rules want of it; where it fails, every rule that needs it will say so."""
        if self._does_ask:
            try:
                self._assessments = self._facts.book.assess(self._facts.name, records)
            except Exception as error:  # noqa: BLE001 - every rule that needs it will say that it could not decide
                self._failure = error

    def verdict(self, filename: str, record: RecordView) -> Verdict:
        """The verdict on one record of the shard."""
        reasons: list[Reason] = []
        assessment = self._assessments.get(filename, _UNKNOWN)
        for one in self._from_advisories:
            fewer = one.without(assessment, record)
            if fewer is not assessment:
                assessment = fewer
                reasons.append(self._exempted(one))
        case = Case(filename, record, self._siblings, self._facts, assessment, self._now_ms)
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

    def verdicts_by_sort(self, glance: Glance, everywhere: Known) -> list[tuple[str, Verdict]] | None:
        """The verdicts on all records of a stored shard that say something, those of one sort judged once.

        None: records must be told apart. `everywhere` has what these rules said of sorts in other shards, at this moment;
        it is used, and added to, where the sort of a record is all that they look at.
        """
        sorts = self._sorts(glance)
        if sorts is None:
            return None
        known = everywhere if all(entry.is_by_sort_alone for entry, _ in self._entries) else {}
        numbers = dict(zip(sorts, range(len(sorts)), strict=True))
        telling = {
            sort: verdict
            for sort, number in numbers.items()
            if (verdict := self._of_sort(known, sort, glance, number)) is not ALLOWED
        }
        if not telling:
            return []
        found = zip(glance.filenames, map(telling.get, sorts), strict=True)
        return [(filename, verdict) for filename, verdict in found if verdict is not None]

    def _of_sort(self, known: Known, sort: Hashable, glance: Glance, number: int) -> Verdict:
        found = known.get(sort)
        if found is None:
            before_ms, self.horizon_ms = self.horizon_ms, None
            verdict = self.verdict(glance.filenames[number], glance.lazy_record(number, glance.records[number]))
            found = known[sort] = verdict, self.horizon_ms
            self.horizon_ms = before_ms
        self.note(found[1])
        return found[0]

    def _sorts(self, glance: Glance) -> list[Hashable] | None:
        """For each record what tells it apart, as far as anything does; None: nothing can tell."""
        sorters = self._sorters(glance)
        if sorters is None:
            return None
        columns = [list(map(sorter, glance.records)) for sorter in sorters]
        if self._does_ask:
            self.assess(glance.lazy_records)
            columns.append([id(self._assessments.get(filename)) for filename in glance.filenames])
        if not columns:
            return [None] * len(glance.records)
        return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))

    def _sorters(self, glance: Glance) -> list[Sorter] | None:
        """What tells the records apart, without their assessments; None: nothing can tell."""
        if any(exceptions for _, exceptions in self._entries) or any(
            one.kind is not ExemptionKind.SHA256 or bytes.fromhex(one.target) in glance.packed
            for one in (*self._from_rules, *self._from_advisories)
        ):
            return None
        sorts: list[Sorter] = []
        for entry, _ in self._entries:
            one = entry.told.rule.sorter(glance, self._facts, self._now_ms)
            if one is None or (entry.source is not None and self._facts.origins):
                return None
            if one is not alike:
                sorts.append(one)
        return sorts

    def _reason(self, entry: Entry, exceptions: Sequence[Spec], case: Case) -> Reason | None:
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

    def _judged(self, entry: Entry, case: Case) -> Judgement | None:
        if self._failure is not None and entry.told.rule.needs_assessments:
            raise self._failure
        return entry.told.rule.judge(case)

    def _after_exemptions(self, reasons: list[Reason], record: RecordView) -> list[Reason]:
        """The reasons, those that an exemption overrules made harmless, and the exemptions that did so."""
        if all(one.outcome.is_passing for one in reasons):
            return reasons
        acting: set[Exemption] = set()
        after = []
        named = [one for one in self._from_rules if one.names(record)]
        for reason in reasons:
            is_malicious = reason.policy == BUILT_IN
            able = [one for one in named if one.kind is ExemptionKind.SHA256 or not is_malicious]
            if reason.outcome.is_passing or not able or reason.policy == INCIDENT:
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


def _of_name(entries: Iterable[Entry], name: str) -> list[tuple[Entry, tuple[Spec, ...]]]:
    """The rules that a package is not excepted from by its name alone, each with the exceptions that may concern it."""
    found = []
    for entry in entries:
        exceptions = tuple(one for one in entry.told.exceptions if one.may_match(name))
        if not any(one.has_only_name for one in exceptions):
            found.append((entry, exceptions))
    return found


def _harmless(reason: Reason) -> Reason:
    return Reason(reason.policy, reason.rule, Outcome.ALLOW, reason.fact, reason.remedy)

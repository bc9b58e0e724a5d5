"""Rules on time: how long a package has been known here, and when it was published."""

from collections.abc import Hashable
from operator import attrgetter

from headgate.conda.records import RecordView, build_time_ms
from headgate.policy.facts import Case, Facts
from headgate.policy.glance import Glance, LightRecord
from headgate.policy.rules.rule import CLOSER, NOTHING, Judgement, Look, Rule, Sorter, acts, day_of
from headgate.policy.terms import Terms

_UNKNOWN = "Nobody knows since when it has been in the index."


class MinimumAgeRule(Rule):
    """Acts on what has been in the index (CEP 47's `indexed_timestamp`) for less than `days` and `hours`."""

    kind = "minimum-age"
    is_by_sort_alone = True

    def __init__(self, terms: Terms) -> None:
        """Take `days` and `hours`."""
        self._span_ms = terms.span_ms()

    def look(self, glance: Glance, facts: Facts, now_ms: int) -> Look:
        """By the newest record."""
        return NOTHING if glance.ages_ms is not None and glance.ages_ms[1] + self._span_ms <= now_ms else CLOSER

    def sorter(self, glance: Glance, facts: Facts, now_ms: int) -> Sorter:
        """By moment, those that are old enough apart."""
        newest_ms = now_ms - self._span_ms

        def sort(record: LightRecord) -> Hashable:
            indexed_ms = record.indexed_timestamp
            return True if indexed_ms is not None and 0 < indexed_ms <= newest_ms else indexed_ms

        return sort

    def judge(self, case: Case) -> Judgement | None:
        """Until it is old enough."""
        indexed_ms = _indexed_ms(case.record)
        if indexed_ms is None:
            return acts(_UNKNOWN)
        ends_ms = indexed_ms + self._span_ms
        if ends_ms <= case.now_ms:
            return None
        return acts(f"It is new: in the index since {day_of(indexed_ms)}.", f"It passes at {day_of(ends_ms)}.", ends_ms)


class MaximumAgeRule(Rule):
    """Acts on what has been in the index for `days` and `hours`, or longer."""

    kind = "maximum-age"
    is_by_sort_alone = True

    def __init__(self, terms: Terms) -> None:
        """Take `days` and `hours`."""
        self._span_ms = terms.span_ms()

    def look(self, glance: Glance, facts: Facts, now_ms: int) -> Look:
        """By the oldest record."""
        if glance.ages_ms is None or glance.ages_ms[0] + self._span_ms <= now_ms:
            return CLOSER
        return Look(is_needed=False, until_ms=glance.ages_ms[0] + self._span_ms)

    def sorter(self, glance: Glance, facts: Facts, now_ms: int) -> Sorter:
        """By moment."""
        return attrgetter("indexed_timestamp")

    def judge(self, case: Case) -> Judgement | None:
        """From the moment it is too old."""
        indexed_ms = _indexed_ms(case.record)
        if indexed_ms is None:
            return acts(_UNKNOWN)
        if indexed_ms + self._span_ms > case.now_ms:
            return Judgement(does_act=False, changes_ms=indexed_ms + self._span_ms)
        return acts(f"It is too old: in the index since {day_of(indexed_ms)}.", "Use a newer build.")


class DatesRule(Rule):
    """Acts on what was published before `from`, or at or after `to`; `by` says which date counts.

    `indexed`: when it came into the index. `built`: when it was built.
    """

    kind = "dates"
    is_by_sort_alone = True

    def __init__(self, terms: Terms) -> None:
        """Take `from`, `to` and `by`."""
        self._from_ms, self._to_ms = terms.moment_ms("from"), terms.moment_ms("to")
        if self._from_ms is None and self._to_ms is None:
            raise terms.fail("it needs `from` or `to`.")
        self._is_by_build = terms.choice("by", ("indexed", "built"), "indexed") == "built"

    def sorter(self, glance: Glance, facts: Facts, now_ms: int) -> Sorter:
        """By the date that counts."""
        return attrgetter("timestamp" if self._is_by_build else "indexed_timestamp")

    def judge(self, case: Case) -> Judgement | None:
        """By the date that counts."""
        moment = build_time_ms(case.record) if self._is_by_build else _indexed_ms(case.record)
        if moment is None:
            return acts("Nobody knows when it was published.")
        if self._from_ms is not None and moment < self._from_ms:
            return acts(f"It is of {day_of(moment)}, before {day_of(self._from_ms)}.", "Use a newer build.")
        if self._to_ms is not None and moment >= self._to_ms:
            return acts(f"It is of {day_of(moment)}, not before {day_of(self._to_ms)}.", "Use an older build.")
        return None


def _indexed_ms(record: RecordView) -> int | None:
    value = record.get("indexed_timestamp")
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None

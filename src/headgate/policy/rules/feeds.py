"""The rule on how fresh our knowledge is."""

from headgate.kernel import clock
from headgate.policy.facts import Case, Facts
from headgate.policy.glance import Glance
from headgate.policy.rules.rule import CLOSER, Judgement, Look, Rule, Sorter, acts, alike, day_of
from headgate.policy.terms import Terms


class FeedAgeRule(Rule):
    """Acts on everything when the newest feed of advisories is older than `days` and `hours`, or there is none."""

    kind = "feed-age"

    def __init__(self, terms: Terms) -> None:
        """Take `days` and `hours`."""
        self._span_ms = terms.span_ms()

    def look(self, glance: Glance, facts: Facts, now_ms: int) -> Look:
        """The same for every shard."""
        ends_ms = self._ends_ms(facts)
        return CLOSER if ends_ms is None or ends_ms <= now_ms else Look(is_needed=False, until_ms=ends_ms)

    def sorter(self, glance: Glance, facts: Facts, now_ms: int) -> Sorter:
        """All alike."""
        return alike

    def judge(self, case: Case) -> Judgement | None:
        """By the newest feed."""
        ends_ms = self._ends_ms(case.facts)
        remedy = "Import a newer feed."
        if ends_ms is None:
            return acts("No feed of advisories was ever imported.", remedy)
        if ends_ms <= case.now_ms:
            return acts(f"The newest feed of advisories is of {day_of(ends_ms - self._span_ms)}.", remedy)
        return Judgement(does_act=False, changes_ms=ends_ms)

    def _ends_ms(self, facts: Facts) -> int | None:
        newest = facts.book.newest_feed_at()
        return None if newest is None else clock.to_ms(newest) + self._span_ms

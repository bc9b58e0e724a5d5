"""What stands in for the rules of a stored policy that this version cannot read."""

from typing import Self

from headgate.policy.facts import Case, Facts
from headgate.policy.glance import Glance
from headgate.policy.rules.rule import Judgement, Rule, Sorter, acts, alike
from headgate.policy.terms import Terms


class UnreadableRule(Rule):
    """Acts on everything."""

    kind = "unreadable"

    def __init__(self, terms: Terms) -> None:
        """Take `fact`."""
        self._fact = terms.text("fact")

    @classmethod
    def of(cls, complaint: str) -> Self:
        """The rule that repeats a complaint."""
        return cls(Terms("unreadable", {"fact": complaint}))

    def sorter(self, glance: Glance, facts: Facts, now_ms: int) -> Sorter:
        """All alike."""
        return alike

    def judge(self, case: Case) -> Judgement | None:
        """Always the same."""
        return acts(self._fact, "Save the policy again.")

"""Rules on the name, version, build and subdir of a package."""

from headgate.policy.facts import Case, Facts
from headgate.policy.glance import Glance
from headgate.policy.rules.rule import CLOSER, NOTHING, Judgement, Look, Rule, Sorter, acts, alike
from headgate.policy.terms import Terms


class MatchSpecRule(Rule):
    """Acts on what `exclude` matches, unless `include` does too; or, with `only`, on whatever that does not match."""

    kind = "match-spec"

    def __init__(self, terms: Terms) -> None:
        """Take `exclude` with `include`, or `only`."""
        self._exclude, self._include, self._only = (terms.specs(key) for key in ("exclude", "include", "only"))
        if bool(self._exclude) == bool(self._only):
            raise terms.fail("it needs either `exclude` or `only`.")
        if self._only and self._include:
            raise terms.fail("`include` brings back what `exclude` matches; it does not go with `only`.")

    def look(self, glance: Glance, facts: Facts, now_ms: int) -> Look:
        """By name alone."""
        if self._only:
            return NOTHING if any(one.has_only_name and one.may_match(facts.name) for one in self._only) else CLOSER
        return CLOSER if any(one.may_match(facts.name) for one in self._exclude) else NOTHING

    def sorter(self, glance: Glance, facts: Facts, now_ms: int) -> Sorter | None:
        """All alike, where the name decides."""
        meant = [one for one in (*self._exclude, *self._include, *self._only) if one.may_match(facts.name)]
        return alike if all(one.has_only_name for one in meant) else None

    def judge(self, case: Case) -> Judgement | None:
        """Raises Invalid `record-unreadable` for a record that cannot be compared."""
        if self._only:
            if any(one.surely_matches(case.record) for one in self._only):
                return None
            return acts("None of the specs that are let through matches it.", "Add a spec to `only`.")
        hit = next((one for one in self._exclude if one.matches(case.record)), None)
        if hit is None or any(one.surely_matches(case.record) for one in self._include):
            return None
        return acts(f"It matches {hit.text!r}, which is excluded.", "Use another version, or add it to `include`.")

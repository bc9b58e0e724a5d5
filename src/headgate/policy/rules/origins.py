"""Rules on where a package comes from, and on what it runs."""

from collections.abc import Collection
from fnmatch import fnmatchcase

from headgate.policy.facts import Case, Facts
from headgate.policy.glance import Glance
from headgate.policy.rules.rule import CLOSER, NOTHING, Judgement, Look, Rule, Sorter, acts, alike
from headgate.policy.terms import Terms


class OriginRule(Rule):
    """Acts on records from the places of `exclude`, or from all but those of `only`.

    A place is a mirror's name, a member channel's name, or one of the words hosted, mirror, bundle and virtual; `*`
    stands for anything.
    """

    kind = "origin"

    def __init__(self, terms: Terms) -> None:
        """Take `exclude` or `only`."""
        self._exclude, self._only = terms.words("exclude"), terms.words("only")
        if bool(self._exclude) == bool(self._only):
            raise terms.fail("it needs either `exclude` or `only`.")

    def sorter(self, glance: Glance, facts: Facts, now_ms: int) -> Sorter | None:
        """All alike, where all come from one place."""
        return None if facts.origins else alike

    def judge(self, case: Case) -> Judgement | None:
        """By origin."""
        origin = case.facts.origin_of(case.filename)
        patterns = self._exclude or self._only
        is_named = any(pattern == origin.kind or fnmatchcase(origin.name, pattern) for pattern in patterns)
        if is_named is not bool(self._exclude):
            return None
        return acts(f"It comes from {origin.kind} {origin.name}.".replace(" .", "."), "Take it from another place.")


class ReservedNamesRule(Rule):
    """Acts on what an upstream offers under a name that a hosted channel of this server has."""

    kind = "reserved-names"
    needs_owners = True

    def __init__(self, terms: Terms) -> None:
        """Take `names`, wildcards that are reserved though no hosted channel has them yet."""
        self._names = terms.words("names")

    def look(self, glance: Glance, facts: Facts, now_ms: int) -> Look:
        """By name alone."""
        return CLOSER if facts.owner is not None or self._is_named(facts.name) else NOTHING

    def sorter(self, glance: Glance, facts: Facts, now_ms: int) -> Sorter | None:
        """All alike, where all come from one place."""
        return None if facts.origins else alike

    def judge(self, case: Case) -> Judgement | None:
        """What was uploaded passes."""
        if case.facts.origin_of(case.filename).kind == "hosted":
            return None
        if case.facts.owner is not None:
            return acts(f"The name {case.facts.name} belongs to channel {case.facts.owner}.", "Take it from there.")
        if self._is_named(case.facts.name):
            return acts(f"The name {case.facts.name} is reserved for packages of our own.")
        return None

    def _is_named(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self._names)


class InstallScriptsRule(Rule):
    """Acts on packages that run `scripts` at install or activation.

    The archive is believed first, where it was read here; then, unless `upstream` is ignore, what the upstream says of the
    package. `unknown` says what of those of which neither is known.
    """

    kind = "install-scripts"
    needs_about = True
    _SCRIPTS = ("post-link", "pre-link", "pre-unlink", "activate.d", "deactivate.d")

    def __init__(self, terms: Terms) -> None:
        """Take `scripts` (all when left out), `upstream` (believe or ignore) and `unknown` (act or pass)."""
        self._scripts = terms.choices("scripts", self._SCRIPTS, self._SCRIPTS)
        self._flags = {_flag(script): script for script in self._scripts}
        self._does_believe = terms.choice("upstream", ("believe", "ignore"), "believe") == "believe"
        self._does_unknown_pass = terms.choice("unknown", ("act", "pass"), "act") == "pass"

    def look(self, glance: Glance, facts: Facts, now_ms: int) -> Look:
        """By what upstream says of the whole package, where nobody looked into a file of it."""
        said = facts.said.get(facts.origin.source) if self._does_believe else None
        if facts.about or facts.origins or said is None:
            return CLOSER
        return NOTHING if said.isdisjoint(self._flags) else CLOSER

    def sorter(self, glance: Glance, facts: Facts, now_ms: int) -> Sorter | None:
        """All alike, where nobody looked into any and all come from one place."""
        return None if facts.about or facts.origins else alike

    def judge(self, case: Case) -> Judgement | None:
        """By what the archive showed when it was read here, or else by what upstream says."""
        about = case.facts.about.get(case.filename)
        if about is not None and any(_flag(script) in about for script in self._SCRIPTS):
            return self._judged("It runs scripts", {flag for flag in self._flags if about.get(flag)})
        said = case.facts.said_of(case.filename) if self._does_believe else None
        if said is not None:
            return self._judged(f"Its upstream says that {case.facts.name} runs scripts", said & self._flags.keys())
        unknown = acts(
            "It is not known whether it has install scripts.", "Upload it, so that it is looked into, or exempt it."
        )
        return None if self._does_unknown_pass else unknown

    def _judged(self, fact: str, flags: Collection[str]) -> Judgement | None:
        found = ", ".join(sorted(self._flags[flag] for flag in flags))
        return acts(f"{fact}: {found}.", "Use a package without them.") if found else None


def _flag(script: str) -> str:
    """CEP 38's word."""
    return script.replace("-", "_")

"""Rules on what is known of vulnerabilities."""

from abc import abstractmethod
from collections.abc import Iterable

from headgate.advisories.findings import AdvisoryStatus, Coverage, Finding, Sureness
from headgate.policy.facts import Case, Facts
from headgate.policy.glance import Glance
from headgate.policy.rules.rule import Judgement, Rule, Sorter, acts, alike
from headgate.policy.terms import Terms

_SEVERITIES = ("low", "medium", "high", "critical")
_SURENESS = tuple(Sureness)
_STATUSES = tuple(AdvisoryStatus)
_AFFECTING = (AdvisoryStatus.REPORTED, AdvisoryStatus.ACTIVE, AdvisoryStatus.DISPUTED, AdvisoryStatus.UNKNOWN)
_REMEDY = "Use a version that is not affected, or curate the advisory."


class FindingRule(Rule):
    """Acts on a record that has a finding of some sort.

    Common terms: `status` (which statuses count; by default those that clear nothing), `except_advisories` (ids that do
    not count) and `sureness` (the weakest match that counts; by default any).
    """

    needs_assessments = True
    statuses: tuple[AdvisoryStatus, ...] = _AFFECTING

    def __init__(self, terms: Terms) -> None:
        """Take the common terms."""
        self._statuses = terms.choices("status", _STATUSES, self.statuses)
        self._excepted = terms.ids("except_advisories")
        weakest = terms.choice("sureness", _SURENESS, Sureness.GUESSED)
        self._sureness = frozenset(_SURENESS[: _SURENESS.index(Sureness(weakest)) + 1])

    def sorter(self, glance: Glance, facts: Facts, now_ms: int) -> Sorter:
        """By assessment alone."""
        return alike

    def judge(self, case: Case) -> Judgement | None:
        """Names the advisories that count."""
        counting = [one for one in case.assessment.findings if self._counts(one) and self.is_meant(one)]
        return acts(_sentence(counting), _REMEDY) if counting else None

    @abstractmethod
    def is_meant(self, finding: Finding) -> bool:
        """Whether the finding is of the sort."""

    def _counts(self, finding: Finding) -> bool:
        ids = {finding.advisory.upper(), *(alias.upper() for alias in finding.aliases)}
        return finding.status in self._statuses and finding.sureness in self._sureness and not ids & self._excepted


class StatusRule(FindingRule):
    """Acts on findings of the statuses in `status`."""

    kind = "advisory-status"

    def is_meant(self, finding: Finding) -> bool:
        """The status is all there is to it."""
        return True


class NamedRule(FindingRule):
    """Acts on findings of the advisories in `ids`, by any of their names."""

    kind = "advisory-ids"

    def __init__(self, terms: Terms) -> None:
        """Take `ids`."""
        super().__init__(terms)
        self._ids = terms.ids("ids")
        if not self._ids:
            raise terms.fail("it needs `ids`, the advisories that it acts on.")

    def is_meant(self, finding: Finding) -> bool:
        """By id or alias."""
        return not self._ids.isdisjoint({finding.advisory.upper(), *(alias.upper() for alias in finding.aliases)})


class SeverityRule(FindingRule):
    """Acts from the severity `at_least` upwards. A finding without severity counts when `unscored` is true."""

    kind = "advisory-severity"

    def __init__(self, terms: Terms) -> None:
        """Take `at_least` and `unscored`."""
        super().__init__(terms)
        least = terms.choice("at_least", _SEVERITIES)
        self._severities = frozenset(_SEVERITIES[_SEVERITIES.index(least) :])
        self._unscored = terms.flag("unscored")

    def is_meant(self, finding: Finding) -> bool:
        """By severity."""
        return self._unscored if finding.severity is None else finding.severity in self._severities


class ScoreRule(FindingRule):
    """Acts on CVSS scores from `at_least` upwards, or `above` a limit. One without counts when `unscored` is true."""

    kind = "advisory-score"

    def __init__(self, terms: Terms) -> None:
        """Take `at_least` or `above`, and `unscored`."""
        super().__init__(terms)
        self._least, self._above = terms.number("at_least", 0, 10), terms.number("above", 0, 10)
        if (self._least is None) == (self._above is None):
            raise terms.fail("it needs either `at_least` or `above`.")
        self._unscored = terms.flag("unscored")

    def is_meant(self, finding: Finding) -> bool:
        """By the score of the highest CVSS version."""
        if finding.cvss is None:
            return self._unscored
        return finding.cvss >= self._least if self._least is not None else finding.cvss > (self._above or 0)


class EpssRule(FindingRule):
    """Acts on a probability of exploitation (EPSS, 0 to 1) from `at_least` upwards."""

    kind = "advisory-epss"

    def __init__(self, terms: Terms) -> None:
        """Take `at_least`."""
        super().__init__(terms)
        least = terms.number("at_least", 0, 1)
        if least is None:
            raise terms.fail("it needs `at_least`, from 0 to 1.")
        self._least = least

    def is_meant(self, finding: Finding) -> bool:
        """By EPSS."""
        return finding.epss is not None and finding.epss >= self._least


class KnownExploitedRule(FindingRule):
    """Acts on what CISA lists as exploited."""

    kind = "advisory-kev"

    def is_meant(self, finding: Finding) -> bool:
        """By KEV."""
        return finding.is_known_exploited


class UncuratedRule(FindingRule):
    """Acts on advisories that nobody here has judged yet."""

    kind = "advisory-uncurated"

    def is_meant(self, finding: Finding) -> bool:
        """By curation."""
        return not finding.is_curated


class MaliciousRule(FindingRule):
    """Acts on packages known to be malicious; nothing but an exemption by sha256 lets one pass."""

    kind = "malicious"
    statuses = tuple(AdvisoryStatus)

    def is_meant(self, finding: Finding) -> bool:
        """By OpenSSF's records."""
        return finding.is_malicious


class NotCheckedRule(Rule):
    """Acts on what nobody could check: no identity, or no feed that covers it."""

    kind = "advisory-not-checked"
    needs_assessments = True

    def __init__(self, terms: Terms) -> None:
        """Nothing to take."""

    def sorter(self, glance: Glance, facts: Facts, now_ms: int) -> Sorter:
        """By assessment alone."""
        return alike

    def judge(self, case: Case) -> Judgement | None:
        """By coverage."""
        if case.assessment.coverage is Coverage.CHECKED:
            return None
        return acts(f"It was not checked: {case.assessment.why}.", "Give the package an identity, or import a feed.")


def _sentence(findings: Iterable[Finding]) -> str:
    found = sorted({(one.advisory, one.status.value, one.cvss or 0.0, one.why) for one in findings})
    told = [f"{name} ({status}{f', CVSS {cvss:g}' if cvss else ''}): {why}" for name, status, cvss, why in found[:5]]
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return f"It is affected by {'; '.join(told)}{more}".rstrip(".") + "."

"""When nobody has to decide, and how rules are read."""

from dataclasses import replace
from typing import Any

import pytest

from headgate.advisories.findings import AdvisoryStatus, Assessment, Coverage, Finding, Sureness
from headgate.approvals.judging import Opinion
from headgate.approvals.plans import Item, ItemState, Plan, Problem, Wish
from headgate.approvals.rules import AutoRules, RequestRules, parse_rules, why_not_automatic
from headgate.channels.model import Channel, ChannelKind, ChannelSettings, Privacy
from headgate.conda.names import ChannelName, Subdir
from headgate.kernel import clock
from headgate.kernel.errors import Invalid
from headgate.policy.verdicts import Outcome, Reason, Verdict

LINUX = Subdir("linux-64")
RULES = RequestRules(sources=("outside",), auto=AutoRules(licenses=("MIT", "BSD-3-Clause")))
KNOWN = {"lib": [{"name": "lib", "version": "1.2.3", "build_number": 0}]}
CHECKED = Assessment(Coverage.CHECKED, "Checked.")
WARNED = Verdict(Outcome.WARN, (Reason("p", "license", Outcome.WARN, "It is old.", ""),))


def finding(status: AdvisoryStatus) -> Finding:
    return Finding("CVE-1", (), status, 9.8, "critical", 0.5, False, False, False, Sureness.EXACT, "It is lib.")


def channel(name: str, number: int) -> Channel:
    settings = ChannelSettings()
    kind, privacy = ChannelKind.HOSTED, Privacy.PRIVATE
    return Channel(number, ChannelName(name), kind, privacy, settings, 0, clock.now())


def plan(opinion: Opinion | None = None, **record: Any) -> Plan:
    whole = {"name": "lib", "version": "1.2.4", "license": "MIT", "sha256": "a" * 64, **record}
    item = Item(LINUX, f"lib-{whole['version']}-0.conda", ItemState.NEW, True, whole, opinion or Opinion())
    return Plan(Wish(["lib"], channel("outside", 1), channel("inside", 2)), [LINUX], [item])


def test_a_clean_patch_release_needs_nobody() -> None:
    assert why_not_automatic(RULES, plan(Opinion(assessment=CHECKED)), KNOWN) is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (plan(version="1.3.0"), "no patch release"),
        (plan(version="1.2.2"), "no patch release"),
        (plan(name="other"), "no patch release"),
        (plan(license="GPL-3.0-only"), "licence"),
        (plan(license="MIT AND GPL-3.0-only"), "licence"),
        (plan(license=None), "licence"),
        (plan(Opinion(assessment=replace(CHECKED, findings=(finding(AdvisoryStatus.REPORTED),)))), "advisory"),
        (plan(Opinion(verdict=WARNED)), "warns"),
        (plan(Opinion(verdict=Verdict(Outcome.BLOCK))), "Not all of it can pass"),
        (replace(plan(), problems=[Problem("x", "There is none.")]), "Not all of it can pass"),
        (replace(plan(), items=[]), "Not all of it can pass"),
    ],
)
def test_what_does_not_fit_is_decided_by_people(changed: Plan, said: str) -> None:
    why = why_not_automatic(RULES, changed, KNOWN)
    assert why is not None
    assert said in why


@pytest.mark.parametrize(
    "allowed",
    [
        plan(license="GPL-3.0-only OR MIT"),
        plan(version="1.2.3", build="1", build_number=1),
        plan(Opinion(assessment=replace(CHECKED, findings=(finding(AdvisoryStatus.CLEARED),)))),
    ],
)
def test_choices_new_builds_and_cleared_advisories_fit(allowed: Plan) -> None:
    assert why_not_automatic(RULES, allowed, KNOWN) is None


def test_rules_may_be_stricter_or_none() -> None:
    auto = AutoRules(licenses=("MIT",), only_checked=True)
    assert "feed" in (why_not_automatic(RequestRules(sources=("outside",), auto=auto), plan(), KNOWN) or "")
    assert why_not_automatic(RequestRules(), plan(), KNOWN) is not None
    assert why_not_automatic(RequestRules(auto=RULES.auto), plan(), KNOWN) is not None
    lenient = RequestRules(sources=("outside",), auto=AutoRules(licenses=("MIT",), only_patch_releases=False))
    assert why_not_automatic(lenient, plan(name="other"), KNOWN) is None


@pytest.mark.parametrize(
    "document",
    [{"approvals": 0}, {"approvals": True}, {"expires_days": 0}, {"groups": [""]}, {"auto": {}}, {"more": 1}],
)
def test_rules_that_make_no_sense_are_refused(document: dict[str, object]) -> None:
    with pytest.raises(Invalid) as caught:
        parse_rules(document)
    assert caught.value.code == "request-rules-invalid"

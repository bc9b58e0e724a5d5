"""Every kind of rule, as a table: what it acts on, what it leaves alone, and what it does not understand."""

from collections.abc import Mapping
from typing import Any

import pytest

from headgate.advisories.findings import AdvisoryStatus, Coverage, Sureness
from headgate.conda.shards import Shard
from headgate.kernel import clock
from headgate.kernel.errors import Invalid
from headgate.policy.facts import Origin
from headgate.policy.model import parse_policy
from headgate.policy.proofs import Proof, ProofState
from headgate.policy.rules.kinds import KINDS
from headgate.policy.verdicts import Outcome
from tests.unit.policy.making import DAY, NOW, Book, ago, finding, judge, judge_one, record, shard_of

FILE = "demo-1.0-0.conda"
MIRROR = Origin("mirror", "https://conda.example/main", 7)


SIGNED = Proof(ProofState.VERIFIED, publishers=("ab" * 32,))
ATTESTED = Proof(
    ProofState.VERIFIED,
    publishers=("https://github.com/ours/x/.github/workflows/a.yaml@refs/heads/main",),
    issuers=("https://token.actions.githubusercontent.com",),
    channels=("https://conda.example/team",),
)


def known(**more: Any) -> dict[str, Any]:
    return {"book": Book({FILE: (finding(**more),)})}


# (rule, record's members, facts, does it act?)
TABLE: list[tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any], bool]] = [
    ({"kind": "match-spec", "exclude": ["demo <2"]}, {}, {}, True),
    ({"kind": "match-spec", "exclude": ["demo >=2"]}, {}, {}, False),
    ({"kind": "match-spec", "exclude": ["de*"]}, {}, {}, True),
    ({"kind": "match-spec", "exclude": ["de* >=2"]}, {}, {}, False),
    ({"kind": "match-spec", "exclude": ["demo 1.0 py*"]}, {"build": "py_0"}, {}, True),
    ({"kind": "match-spec", "exclude": ["*[subdir=linux-64]"]}, {}, {}, False),
    ({"kind": "match-spec", "exclude": ["*[subdir=noarch]"]}, {}, {}, True),
    ({"kind": "match-spec", "exclude": ["demo"], "include": ["demo 1.*"]}, {}, {}, False),
    ({"kind": "match-spec", "exclude": ["demo"], "include": ["demo 2.*"]}, {}, {}, True),
    ({"kind": "match-spec", "only": ["demo 1.*", "other"]}, {}, {}, False),
    ({"kind": "match-spec", "only": ["other"]}, {}, {}, True),
    ({"kind": "license", "exclude": ["gpl3"]}, {"license": "GPL-3.0-or-later"}, {}, True),
    ({"kind": "license", "exclude": ["gpl3"]}, {"license": "MIT OR GPL-3.0-only"}, {}, False),
    ({"kind": "license", "exclude": ["gpl3"]}, {"license": "MIT AND GPL-3.0-only"}, {}, True),
    ({"kind": "license", "exclude": ["gpl2"]}, {"license": "LGPL-2.1-only"}, {}, False),
    ({"kind": "license", "exclude": ["none"]}, {"license": None}, {}, True),
    ({"kind": "license", "exclude": ["none"]}, {"license": None, "license_family": "BSD"}, {}, False),
    ({"kind": "license", "exclude": ["GPL-2.0-only"]}, {"license": "GPL-2.0-only WITH GCC-exception-2.0"}, {}, True),
    ({"kind": "license", "exclude": ["proprietary"]}, {"license": "LicenseRef-Proprietary"}, {}, True),
    ({"kind": "license", "only": ["mit", "bsd"]}, {"license": "BSD-3-Clause"}, {}, False),
    ({"kind": "license", "only": ["mit", "bsd"]}, {"license": "BSD-3-Clause AND Apache-2.0"}, {}, True),
    ({"kind": "license", "only": ["public_domain"]}, {"license": "Unlicense"}, {}, False),
    ({"kind": "license", "only": ["mit"]}, {"license": ["MIT"]}, {}, True),
    ({"kind": "advisory-status", "status": ["reported"]}, {}, known(), True),
    ({"kind": "advisory-status", "status": ["active"]}, {}, known(), False),
    ({"kind": "advisory-status"}, {}, known(status=AdvisoryStatus.MITIGATED), False),
    ({"kind": "advisory-status"}, {}, {}, False),
    ({"kind": "advisory-status", "except_advisories": ["ghsa-ABCD"]}, {}, known(), False),
    ({"kind": "advisory-status", "sureness": "exact"}, {}, known(sureness=Sureness.LIKELY), False),
    ({"kind": "advisory-status", "sureness": "likely"}, {}, known(sureness=Sureness.LIKELY), True),
    ({"kind": "advisory-ids", "ids": ["ghsa-ABCD"]}, {}, known(), True),
    ({"kind": "advisory-ids", "ids": ["GHSA-abcd", "CVE-1999-1"]}, {}, known(), True),
    ({"kind": "advisory-ids", "ids": ["CVE-1999-1"]}, {}, known(), False),
    ({"kind": "advisory-ids", "ids": ["GHSA-abcd"]}, {}, known(status=AdvisoryStatus.CLEARED), False),
    ({"kind": "advisory-ids", "ids": ["GHSA-abcd"]}, {}, {}, False),
    ({"kind": "advisory-severity", "at_least": "high"}, {}, known(), True),
    ({"kind": "advisory-severity", "at_least": "high"}, {}, known(severity="medium"), False),
    ({"kind": "advisory-severity", "at_least": "high"}, {}, known(severity=None), False),
    ({"kind": "advisory-severity", "at_least": "high", "unscored": True}, {}, known(severity=None), True),
    ({"kind": "advisory-severity", "at_least": "low"}, {}, known(status=AdvisoryStatus.CLEARED), False),
    ({"kind": "advisory-score", "above": 9.8}, {}, known(), False),
    ({"kind": "advisory-score", "above": 9.7}, {}, known(), True),
    ({"kind": "advisory-score", "at_least": 9.8}, {}, known(), True),
    ({"kind": "advisory-score", "at_least": 0}, {}, known(cvss=None), False),
    ({"kind": "advisory-score", "above": 0, "unscored": True}, {}, known(cvss=None), True),
    ({"kind": "advisory-epss", "at_least": 0.4}, {}, known(), True),
    ({"kind": "advisory-epss", "at_least": 0.5}, {}, known(), False),
    ({"kind": "advisory-kev"}, {}, known(is_known_exploited=True), True),
    ({"kind": "advisory-kev"}, {}, known(), False),
    ({"kind": "advisory-uncurated"}, {}, known(), True),
    ({"kind": "advisory-uncurated"}, {}, known(is_curated=True), False),
    ({"kind": "advisory-not-checked"}, {}, {"book": Book(coverage=Coverage.NOT_CHECKED)}, True),
    ({"kind": "advisory-not-checked"}, {}, {}, False),
    ({"kind": "malicious"}, {}, known(is_malicious=True, status=AdvisoryStatus.CLEARED), True),
    ({"kind": "malicious"}, {}, known(), False),
    ({"kind": "minimum-age", "days": 7}, {"indexed_timestamp": ago(6.9)}, {}, True),
    ({"kind": "minimum-age", "days": 7}, {"indexed_timestamp": ago(7)}, {}, False),
    ({"kind": "minimum-age", "days": 6, "hours": 24}, {"indexed_timestamp": ago(6.9)}, {}, True),
    ({"kind": "minimum-age", "days": 7}, {"indexed_timestamp": None}, {}, True),
    ({"kind": "maximum-age", "days": 365}, {"indexed_timestamp": ago(365)}, {}, True),
    ({"kind": "maximum-age", "days": 365}, {"indexed_timestamp": ago(364)}, {}, False),
    ({"kind": "dates", "from": "2026-05-01"}, {"indexed_timestamp": ago(60)}, {}, True),
    ({"kind": "dates", "from": "2026-05-01"}, {"indexed_timestamp": ago(10)}, {}, False),
    ({"kind": "dates", "to": "2026-05-01"}, {"indexed_timestamp": ago(10)}, {}, True),
    ({"kind": "dates", "to": "2026-05-01", "by": "built"}, {"timestamp": ago(60)}, {}, False),
    ({"kind": "dates", "to": "2026-05-01", "by": "built"}, {"timestamp": None}, {}, True),
    ({"kind": "size", "most_bytes": 999}, {}, {}, True),
    ({"kind": "size", "most_bytes": 1000}, {}, {}, False),
    ({"kind": "size", "least_bytes": 1001}, {}, {}, True),
    ({"kind": "size", "most_bytes": 999}, {"size": None}, {}, True),
    ({"kind": "sha256", "sha256": ["02" * 32, "01" * 32]}, {}, {}, True),
    ({"kind": "sha256", "sha256": ["AB" * 32]}, {"sha256": b"\xab" * 32}, {}, True),
    ({"kind": "sha256", "sha256": ["02" * 32]}, {}, {}, False),
    ({"kind": "sha256", "sha256": ["01" * 32], "except": ["demo"]}, {}, {}, False),
    ({"kind": "origin", "exclude": ["mirror"]}, {}, {"origin": MIRROR}, True),
    ({"kind": "origin", "exclude": ["https://conda.example/*"]}, {}, {"origin": MIRROR}, True),
    ({"kind": "origin", "exclude": ["https://other.example/*"]}, {}, {"origin": MIRROR}, False),
    ({"kind": "origin", "only": ["hosted"]}, {}, {"origin": MIRROR}, True),
    ({"kind": "origin", "only": ["hosted"]}, {}, {"origins": {FILE: Origin("hosted", "team")}, "origin": MIRROR}, False),
    ({"kind": "reserved-names"}, {}, {"origin": MIRROR, "owner": "team"}, True),
    ({"kind": "reserved-names"}, {}, {"origin": MIRROR}, False),
    ({"kind": "reserved-names", "names": ["dem*"]}, {}, {"origin": MIRROR}, True),
    ({"kind": "reserved-names"}, {}, {"owner": "team"}, False),
    ({"kind": "install-scripts"}, {}, {"about": {FILE: {"post_link": True}}}, True),
    ({"kind": "install-scripts"}, {}, {"about": {FILE: {"post_link": False}}}, False),
    ({"kind": "install-scripts", "scripts": ["activate.d"]}, {}, {"about": {FILE: {"post_link": True}}}, False),
    ({"kind": "install-scripts"}, {}, {}, True),
    ({"kind": "install-scripts", "unknown": "pass"}, {}, {}, False),
    ({"kind": "install-scripts"}, {}, {"said": {0: frozenset({"post_link"})}}, True),
    ({"kind": "install-scripts"}, {}, {"said": {0: frozenset()}}, False),
    ({"kind": "install-scripts"}, {}, {"said": {7: frozenset()}}, True),
    ({"kind": "install-scripts"}, {}, {"said": {7: frozenset()}, "origin": Origin("mirror", "main", 7)}, False),
    ({"kind": "install-scripts", "upstream": "ignore"}, {}, {"said": {0: frozenset()}}, True),
    ({"kind": "install-scripts", "scripts": ["activate.d"]}, {}, {"said": {0: frozenset({"post_link"})}}, False),
    ({"kind": "install-scripts"}, {}, {"said": {0: frozenset()}, "about": {FILE: {"post_link": True}}}, True),
    ({"kind": "install-scripts"}, {}, {"said": {0: frozenset({"post_link"})}, "about": {FILE: {"post_link": False}}}, False),
    ({"kind": "signature"}, {}, {}, True),
    ({"kind": "signature"}, {}, {"signatures": {FILE: SIGNED}}, False),
    ({"kind": "signature"}, {}, {"attestations": {FILE: ATTESTED}}, True),
    ({"kind": "signature"}, {}, {"signatures": {FILE: Proof(ProofState.INVALID, "it was changed")}}, True),
    ({"kind": "signature"}, {}, {"signatures": {FILE: Proof(ProofState.NOT_CHECKED)}}, True),
    ({"kind": "signature", "publishers": ["ab*"]}, {}, {"signatures": {FILE: SIGNED}}, False),
    ({"kind": "signature", "publishers": ["cd*"]}, {}, {"signatures": {FILE: SIGNED}}, True),
    ({"kind": "signature", "except": ["demo <2"]}, {}, {}, False),
    ({"kind": "attestation"}, {}, {}, True),
    ({"kind": "attestation"}, {}, {"attestations": {FILE: ATTESTED}}, False),
    ({"kind": "attestation"}, {}, {"signatures": {FILE: SIGNED}}, True),
    ({"kind": "attestation"}, {}, {"attestations": {FILE: Proof(ProofState.INVALID, "not its bytes")}}, True),
    ({"kind": "attestation"}, {}, {"attestations": {FILE: Proof(ProofState.NOT_CHECKED)}}, True),
    ({"kind": "attestation", "publishers": ["*/ours/*"]}, {}, {"attestations": {FILE: ATTESTED}}, False),
    ({"kind": "attestation", "publishers": ["*/theirs/*"]}, {}, {"attestations": {FILE: ATTESTED}}, True),
    ({"kind": "attestation", "issuers": ["https://token.*"]}, {}, {"attestations": {FILE: ATTESTED}}, False),
    ({"kind": "attestation", "issuers": ["https://gitlab.com"]}, {}, {"attestations": {FILE: ATTESTED}}, True),
    ({"kind": "attestation", "channels": ["https://conda.example/team"]}, {}, {"attestations": {FILE: ATTESTED}}, False),
    ({"kind": "attestation", "channels": ["https://conda.example/x"]}, {}, {"attestations": {FILE: ATTESTED}}, True),
    ({"kind": "attestation", "except": ["de*"]}, {}, {}, False),
    ({"kind": "feed-age", "days": 2}, {}, {}, False),
    ({"kind": "feed-age", "days": 1}, {}, {}, True),
    ({"kind": "feed-age", "days": 1}, {}, {"book": Book(feed_at=None)}, True),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "members", "facts", "does_act"), TABLE, ids=[str(row[0]) for row in TABLE])
def test_rule_acts_on_what_it_is_for_and_on_nothing_else(
    rule: Mapping[str, Any], members: Mapping[str, Any], facts: Mapping[str, Any], does_act: bool
) -> None:
    one = record(**members)
    shard = Shard(conda={FILE: one})
    verdict = judge(shard, rule, **facts).verdict(FILE)
    assert verdict.is_passing is not does_act, verdict
    if does_act:
        told = [reason for reason in verdict.reasons if reason.policy == "test"]
        assert told[0].rule == rule["kind"]
        assert told[0].fact.endswith(".")


def test_every_kind_stands_in_the_table_or_below_it() -> None:
    assert {str(row[0]["kind"]) for row in TABLE} | {"format-duplicates", "latest-patch"} == set(KINDS)


def test_old_format_is_a_duplicate_only_beside_the_new_one() -> None:
    both = Shard(packages={"demo-1.0-0.tar.bz2": record(), "demo-2.0-0.tar.bz2": record(version="2.0")},
                 conda={FILE: record()})  # fmt: skip
    evaluation = judge(both, {"kind": "format-duplicates"})
    assert evaluation.held_back.keys() == {"demo-1.0-0.tar.bz2"}


def test_only_the_latest_patch_of_a_series_passes() -> None:
    shard = shard_of(*(record(version=version) for version in ("1.0", "1.0.1", "1.0.10", "1.1.0", "2024a", "7")))
    evaluation = judge(shard, {"kind": "latest-patch"})
    assert evaluation.held_back.keys() == {"demo-1.0.1-0.conda"}
    assert "1.0.10 is a later patch" in evaluation.verdict("demo-1.0.1-0.conda").reasons[0].fact


def test_record_that_makes_no_sense_does_not_slip_past_a_spec() -> None:
    verdict = judge_one({"kind": "match-spec", "exclude": ["demo >=2"]}, record(build=None))
    assert verdict.outcome is Outcome.HOLD
    assert "could not decide" in verdict.reasons[0].fact
    excepted = {"kind": "size", "most_bytes": 1, "except": ["demo 1.*"]}
    assert not judge_one(excepted, record(build=None)).is_passing


def test_book_that_falls_apart_holds_everything_back() -> None:
    verdict = judge_one({"kind": "advisory-kev"}, book=Book(is_broken=True))
    assert verdict.outcome is Outcome.HOLD
    assert "the book fell apart" in verdict.reasons[0].fact


def test_cooldown_ends_at_its_moment() -> None:
    shard = shard_of(record(indexed_timestamp=ago(6)))
    evaluation = judge(shard, {"kind": "minimum-age", "days": 7, "action": "hold"})
    assert evaluation.valid_until == NOW + DAY
    assert evaluation.verdict(FILE).outcome is Outcome.HOLD
    assert "It passes at 2026-06-02 12:00 UTC." in evaluation.verdict(FILE).reasons[0].sentence
    later = judge(shard, {"kind": "minimum-age", "days": 7}, now=NOW + DAY)
    assert later.held_back == {}


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ({"kind": "minimum-age", "action": "hold"}, "Rule 1 (minimum-age): it needs `days` or `hours`."),
        ({"kind": "minimum-age", "days": -1, "action": "hold"}, "`days` is -1; it must be a number from 0 to 36500."),
        ({"kind": "size", "action": "block"}, "Rule 1 (size): it needs `most_bytes` or `least_bytes`."),
        ({"kind": "sise", "action": "block"}, "Rule 1 (sise): `kind` is 'sise'; it must be one of advisory-epss"),
        ({"kind": "advisory-kev"}, "Rule 1 (advisory-kev): `action` is missing; it must be one of warn, hold, block."),
        ({"kind": "advisory-kev", "action": "block", "dayz": 3}, "Rule 1 (advisory-kev): it has no key `dayz`."),
        ({"kind": "match-spec", "action": "block"}, "it needs either `exclude` or `only`."),
        ({"kind": "match-spec", "action": "block", "exclude": ["a >>1"]}, "`exclude`: 'a >>1' is not a match spec"),
        ({"kind": "license", "action": "block", "exclude": ["gplv9"]}, "'gplv9' is neither an SPDX id nor a family"),
        ({"kind": "advisory-status", "action": "block", "status": ["open"]}, "`status` names 'open'"),
        ({"kind": "dates", "action": "block", "from": "soon"}, "`from` is 'soon'; it must be a date"),
        ({"kind": "advisory-kev", "action": "block", "except": "internal-*"}, "`except` must be a list of texts."),
    ],
)
def test_complaint_names_the_rule_and_the_key(rule: Mapping[str, Any], complaint: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_policy({"name": "x", "rule": [rule]})
    assert caught.value.code == "policy-invalid"
    assert complaint in caught.value.reasons[0]


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        parse_policy({"name": "x", "rule": [{"kind": "size"}, {"kind": "nothing"}, 7]})
    assert [reason.split(":")[0] for reason in caught.value.reasons] == ["Rule 1 (size)", "Rule 2 (nothing)", "Rule 3"]


def test_clock_of_the_tests_is_what_it_says() -> None:
    assert clock.from_ms(ago(1)) == NOW - DAY

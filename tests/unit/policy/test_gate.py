"""Policies and exemptions together: modes, exceptions, what overrules what, and what is never overruled."""

from datetime import timedelta
from typing import Any

import pytest

from headgate.conda.shards import Shard, encode_shard
from headgate.kernel.errors import Invalid
from headgate.policy.exemptions import Exemption, ExemptionKind, check_target
from headgate.policy.facts import Facts, Origin
from headgate.policy.gate import Gate, evaluate
from headgate.policy.glance import Glance
from headgate.policy.memo import Memo
from headgate.policy.model import parse_policy, read_document
from headgate.policy.verdicts import Outcome
from tests.unit.policy.making import DAY, NOW, Book, ago, attached, finding, judge, record, shard_of

FILE = "demo-1.0-0.conda"
EXAMPLE = b"""
name = "no-known-cves"
mode = "enforce"            # off | audit | enforce

[[rule]]
kind = "advisory-status"
status = ["reported", "active"]
action = "block"            # warn | hold | block

[[rule]]
kind = "minimum-age"
days = 7
action = "hold"
except = ["internal-*"]     # match specs
"""
BIG: dict[str, Any] = {"kind": "size", "most_bytes": 1}


def exempt(kind: ExemptionKind, target: str, **more: Any) -> Exemption:
    values: dict[str, Any] = {"id": 7, "owner": "ada", "reason": "We need it."} | more
    return Exemption(kind=kind, target=target, **values)


def test_the_example_of_the_documentation_works_as_written() -> None:
    policy = parse_policy(read_document(EXAMPLE))
    assert [entry.label for entry in policy.rules] == ["advisory-status", "minimum-age"]
    fresh: dict[str, Any] = {"indexed_timestamp": ago(1)}
    shard = shard_of(record(), record(version="2.0", **fresh), record(version="3.0"))
    book = Book({"demo-3.0-0.conda": (finding(),)})
    told = evaluate(shard, [attached()], [], Facts(name="demo", book=book), NOW)
    assert told.held_back == {}
    gate = Gate((attached(*policy.document["rule"], name="no-known-cves"),))
    held = gate.evaluate(shard, Facts(name="demo", book=book), NOW).held_back
    assert {file: verdict.outcome for file, verdict in held.items()} == {
        "demo-2.0-0.conda": Outcome.HOLD,
        "demo-3.0-0.conda": Outcome.BLOCK,
    }
    ours = shard_of(record("internal-tool", **fresh))
    assert gate.evaluate(ours, Facts(name="internal-tool", book=book), NOW).held_back == {}


def test_json_is_as_good_as_toml_and_nonsense_is_neither() -> None:
    assert read_document(b'{"name": "x"}') == {"name": "x"}
    assert read_document(b'name = "x"\nsince = 2026-01-31') == {"name": "x", "since": "2026-01-31"}
    for body in (b"name = ", b"{", b"\xff\xfe"):
        with pytest.raises(Invalid) as caught:
            read_document(body)
        assert caught.value.code == "policy-invalid"


def test_mode_decides_whether_a_policy_counts() -> None:
    shard = shard_of(record())
    outcomes = {}
    for mode in ("off", "audit", "enforce"):
        told = evaluate(shard, [attached(BIG, mode=mode)], [], Facts(name="demo"), NOW)
        outcomes[mode] = told.verdict(FILE).outcome
    assert outcomes == {"off": Outcome.ALLOW, "audit": Outcome.WARN, "enforce": Outcome.BLOCK}


def test_warning_lets_pass_and_says_so() -> None:
    evaluation = judge(shard_of(record()), BIG | {"action": "warn"})
    assert evaluation.held_back == {}
    assert evaluation.verdict(FILE).outcome is Outcome.WARN
    assert evaluation.published == evaluation.judged


def test_policy_of_one_mirror_leaves_the_others_alone() -> None:
    shard = shard_of(record(), record(version="2.0"))
    origins = {FILE: Origin("mirror", "one", 1), "demo-2.0-0.conda": Origin("mirror", "two", 2)}
    told = evaluate(shard, [attached(BIG, source=1)], [], Facts(name="demo", origins=origins), NOW)
    assert told.held_back.keys() == {FILE}


@pytest.mark.parametrize("kind", [ExemptionKind.SPEC, ExemptionKind.SHA256])
def test_exemption_lets_pass_until_it_ends_and_is_listed_where_it_acts(kind: ExemptionKind) -> None:
    target = "demo 1.*" if kind is ExemptionKind.SPEC else "01" * 32
    one = exempt(kind, target, expires_at=NOW + DAY)
    shard = shard_of(record())
    during = judge(shard, BIG, exemptions=(one,))
    assert during.held_back == {}
    assert during.valid_until == NOW + DAY
    sentences = [reason.sentence for reason in during.verdict(FILE).reasons]
    assert any("Exempted by ada until 2026-06-02 12:00 UTC" in one and "We need it." in one for one in sentences)
    assert any("It has 1000 bytes" in one for one in sentences), "what it overrules is still told"
    after = judge(shard, BIG, exemptions=(one,), now=NOW + DAY)
    assert after.held_back.keys() == {FILE}
    assert judge(shard_of(record("other", sha256=b"\2" * 32)), BIG, exemptions=(one,), name="other").held_back


def test_exemption_from_an_advisory_leaves_the_others() -> None:
    rule = {"kind": "advisory-status"}
    one, both = (finding(),), (finding(), finding("CVE-2026-2", aliases=()))
    exemption = exempt(ExemptionKind.ADVISORY, "GHSA-ABCD", spec="demo <2")
    shard = shard_of(record())
    assert judge(shard, rule, exemptions=(exemption,), book=Book({FILE: one})).held_back == {}
    held = judge(shard, rule, exemptions=(exemption,), book=Book({FILE: both})).held_back
    assert "CVE-2026-2" in held[FILE].reasons[-1].fact
    newer = shard_of(record(version="2.0"))
    assert judge(newer, rule, exemptions=(exemption,), book=Book({"demo-2.0-0.conda": one})).held_back


def test_nothing_but_a_sha256_lets_a_malicious_package_pass() -> None:
    book = Book({FILE: (finding("MAL-2026-1", is_malicious=True),)})
    shard = shard_of(record())
    for exemption in (
        exempt(ExemptionKind.SPEC, "demo"),
        exempt(ExemptionKind.ADVISORY, "MAL-2026-1"),
        exempt(ExemptionKind.SHA256, "02" * 32),
    ):
        assert judge(shard, exemptions=(exemption,), book=book).held_back.keys() == {FILE}
    assert judge(shard, book=book).verdict(FILE).outcome is Outcome.BLOCK
    assert judge(shard, exemptions=(exempt(ExemptionKind.SHA256, "01" * 32),), book=book).held_back == {}


def test_stricter_of_two_records_of_one_name_counts() -> None:
    shard = Shard(conda={FILE: record(size=9)}, v3={"conda": {"demo-1.0-0": record(size=0)}})
    evaluation = judge(shard, BIG)
    assert evaluation.held_back.keys() == {FILE}
    assert list(evaluation.published.records()) == []


def test_digest_knows_no_order_and_every_difference() -> None:
    one, two = attached(BIG, name="one"), attached({"kind": "malicious"}, name="two")
    exemption = exempt(ExemptionKind.SPEC, "demo")
    assert Gate((one, two)).digest == Gate((two, one)).digest
    gates = [
        Gate((one,)), Gate((two,)), Gate((one, two)), Gate((one,), (exemption,)), Gate((attached(BIG, source=1),)),
        Gate((attached(BIG, name="one", mode="audit"),)),
    ]  # fmt: skip
    assert len({gate.digest for gate in gates}) == len(gates)


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "license", "exclude": ["gpl3"]},
        {"kind": "minimum-age", "days": 7},
        {"kind": "maximum-age", "days": 300},
        {"kind": "size", "most_bytes": 5000},
        {"kind": "match-spec", "exclude": ["other"]},
        {"kind": "format-duplicates"},
        {"kind": "advisory-kev"},
        {"kind": "advisory-not-checked"},
        {"kind": "feed-age", "days": 3},
        {"kind": "reserved-names"},
    ],
    ids=lambda rule: str(rule["kind"]),
)
def test_quick_look_suffices_for_what_no_rule_concerns(rule: dict[str, Any]) -> None:
    _, body = encode_shard(shard_of(record(), record(version="2.0")))
    gate, facts = Gate((attached(rule),)), Facts(name="demo", book=Book())
    look = gate.look(Glance(body), facts, NOW)
    assert not look.is_needed
    horizon = gate.evaluate(shard_of(record(), record(version="2.0")), facts, NOW).valid_until
    assert look.until_ms == (None if horizon is None else int(horizon.timestamp() * 1000))


def test_memo_forgets_what_time_has_changed() -> None:
    memo: Memo[str] = Memo(most=2)
    memo.keep("a", "yes", NOW, NOW + DAY)
    assert memo.find("a", NOW) == "yes"
    assert memo.find("a", NOW + DAY) is None
    assert memo.find("a", NOW - timedelta(seconds=1)) is None
    for key in ("b", "c"):
        memo.keep(key, key, NOW, None)
    assert (memo.find("a", NOW), memo.find("b", NOW + 9 * DAY)) == (None, "b")


@pytest.mark.parametrize(
    ("kind", "target", "spec"),
    [
        (ExemptionKind.SPEC, "a >>1", None),
        (ExemptionKind.SHA256, "12", None),
        (ExemptionKind.ADVISORY, " ", None),
        (ExemptionKind.SPEC, "demo", "demo"),
    ],
)
def test_exemption_that_could_not_act_is_refused(kind: ExemptionKind, target: str, spec: str | None) -> None:
    with pytest.raises(Invalid):
        check_target(kind, target, spec)

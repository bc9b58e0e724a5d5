"""Laws of the gate: order counts for nothing, more rules let nothing more pass, nothing is lost, time is exact."""

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.advisories.findings import AdvisoryStatus
from headgate.conda.shards import Shard, encode_shard
from headgate.policy.exemptions import Exemption, ExemptionKind
from headgate.policy.facts import Facts
from headgate.policy.gate import Attached, Gate
from headgate.policy.glance import Glance
from tests.unit.policy.making import NOW, Book, ago, attached, finding, record

_ACTIONS = st.sampled_from(["warn", "hold", "block"])
_SPECS = st.sampled_from(["demo", "demo 1.*", "demo >=2", "de*", "other", "* >=3", "demo 2.0 0"])
_EXCEPT = st.lists(_SPECS, max_size=1)
_RULE = st.one_of(
    st.fixed_dictionaries({"kind": st.just("match-spec"), "exclude": st.lists(_SPECS, min_size=1, max_size=2)}),
    st.fixed_dictionaries({"kind": st.just("match-spec"), "only": st.lists(_SPECS, min_size=1, max_size=2)}),
    st.fixed_dictionaries({"kind": st.just("minimum-age"), "days": st.integers(0, 12)}),
    st.fixed_dictionaries({"kind": st.just("maximum-age"), "days": st.integers(1, 12)}),
    st.fixed_dictionaries({"kind": st.just("license"), "exclude": st.just(["gpl3"])}),
    st.fixed_dictionaries({"kind": st.just("size"), "most_bytes": st.integers(0, 3)}),
    st.fixed_dictionaries({"kind": st.just("advisory-score"), "at_least": st.sampled_from([1, 5, 9])}),
    st.fixed_dictionaries({"kind": st.just("feed-age"), "days": st.integers(1, 4)}),
    st.sampled_from([{"kind": "format-duplicates"}, {"kind": "latest-patch"}, {"kind": "advisory-uncurated"}]),
)


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    rule: dict[str, Any] = draw(_RULE)
    return rule | {"action": draw(_ACTIONS), "except": draw(_EXCEPT)}


@st.composite
def policies(draw: st.DrawFn) -> list[Attached]:
    modes = st.sampled_from(["off", "audit", "enforce", "enforce"])
    return [
        attached(*draw(st.lists(rules(), max_size=3)), name=f"p{number}", mode=draw(modes))
        for number in range(draw(st.integers(0, 3)))
    ]


@st.composite
def shards(draw: st.DrawFn) -> Shard:
    shard = Shard(packages={}, conda={}, v3={}, removed=[])
    for version in draw(st.lists(st.sampled_from(["1.0", "1.0.1", "1.0.2", "2.0", "3.1"]), unique=True, max_size=5)):
        members: dict[str, Any] = {
            "indexed_timestamp": ago(draw(st.integers(0, 14))),
            "license": draw(st.sampled_from(["MIT", "GPL-3.0-only", "MIT OR GPL-3.0-only", None])),
            "size": draw(st.integers(0, 4)),
            "build": draw(st.sampled_from(["0", "0", "0", None])),
        }
        one = record(version=version, **members)
        if draw(st.booleans()):
            shard.packages[f"demo-{version}-0.tar.bz2"] = one
        if draw(st.booleans()):
            shard.conda[f"demo-{version}-0.conda"] = one
    return shard


@st.composite
def exemptions(draw: st.DrawFn) -> list[Exemption]:
    def one(number: int) -> Exemption:
        kind, target = draw(
            st.sampled_from(
                [
                    (ExemptionKind.SPEC, "demo 1.*"),
                    (ExemptionKind.SPEC, "demo"),
                    (ExemptionKind.SHA256, "01" * 32),
                    (ExemptionKind.ADVISORY, "CVE-2026-1"),
                ]
            )
        )
        end = draw(st.sampled_from([None, NOW + timedelta(hours=5), NOW + timedelta(days=3), NOW]))
        return Exemption(number, kind, target, "ada", "because", expires_at=end)

    return [one(number) for number in range(draw(st.integers(0, 2)))]


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    found = draw(st.lists(st.sampled_from([1.0, 5.0, 9.0]), max_size=2))
    told = tuple(finding(f"CVE-2026-{number}", cvss=score, aliases=()) for number, score in enumerate(found))
    if draw(st.booleans()):
        told += (finding("MAL-1", is_malicious=True, cvss=None, status=AdvisoryStatus.REPORTED),)
    book = Book({"demo-1.0-0.conda": told, "demo-2.0-0.tar.bz2": told})
    return Facts(name="demo", book=book)


def filenames(shard: Shard) -> set[str]:
    return {filename for filename, _ in shard.records()}


@given(shards(), policies(), exemptions(), facts(), st.randoms())
def test_order_of_policies_rules_and_exemptions_counts_for_nothing(
    shard: Shard, given_policies: list[Attached], exempt: list[Exemption], told: Facts, chance: Any
) -> None:
    straight = Gate(tuple(given_policies), tuple(exempt)).evaluate(shard, told, NOW)
    chance.shuffle(given_policies)
    chance.shuffle(exempt)
    shuffled = Gate(tuple(given_policies), tuple(exempt)).evaluate(shard, told, NOW)
    assert (shuffled.verdicts, shuffled.valid_until) == (straight.verdicts, straight.valid_until)
    assert filenames(shuffled.published) == filenames(straight.published)


@given(shards(), policies(), exemptions(), facts(), rules())
def test_one_more_rule_reveals_no_record(
    shard: Shard, given_policies: list[Attached], exempt: list[Exemption], told: Facts, rule: dict[str, Any]
) -> None:
    fewer = Gate(tuple(given_policies), tuple(exempt)).evaluate(shard, told, NOW)
    more = Gate((*given_policies, attached(rule, name="more")), tuple(exempt)).evaluate(shard, told, NOW)
    assert filenames(more.published) <= filenames(fewer.published)


@given(shards(), policies(), exemptions(), facts())
def test_published_and_held_back_are_all_and_nothing_twice(
    shard: Shard, given_policies: list[Attached], exempt: list[Exemption], told: Facts
) -> None:
    evaluation = Gate(tuple(given_policies), tuple(exempt)).evaluate(shard, told, NOW)
    published, held = filenames(evaluation.published), set(evaluation.held_back)
    assert published | held == filenames(shard)
    assert published & held == set()
    assert all(verdict.rules for verdict in evaluation.held_back.values()), "each says which rule it was"


@given(shards(), policies(), exemptions(), facts())
@settings(max_examples=200)
def test_verdicts_hold_until_their_moment_and_not_beyond(
    shard: Shard, given_policies: list[Attached], exempt: list[Exemption], told: Facts
) -> None:
    gate = Gate(tuple(given_policies), tuple(exempt))
    first = gate.evaluate(shard, told, NOW)
    if first.valid_until is None:
        assert gate.evaluate(shard, told, NOW + timedelta(days=4000)).verdicts == first.verdicts
        return
    assert first.valid_until > NOW
    just_before = first.valid_until - timedelta(milliseconds=1)
    for moment in (NOW + (just_before - NOW) / 2, just_before):
        again = gate.evaluate(shard, told, moment)
        assert (again.verdicts, again.valid_until) == (first.verdicts, first.valid_until)
    assert gate.evaluate(shard, told, first.valid_until).verdicts != first.verdicts


@given(shards(), policies(), exemptions(), facts())
@settings(max_examples=300)
def test_quick_look_and_close_look_agree(
    shard: Shard, given_policies: list[Attached], exempt: list[Exemption], told: Facts
) -> None:
    gate = Gate(tuple(given_policies), tuple(exempt))
    glance = Glance(encode_shard(shard)[1])
    close, quick = gate.evaluate(shard, told, NOW), gate.rule(glance, told, NOW)
    if not gate.look(glance, told, NOW).is_needed:
        assert close.verdicts == {}
    if quick is not None:
        assert quick.verdicts == close.verdicts
        has_exceptions = any(entry.exceptions for one in given_policies for entry in one.policy.rules)
        if close.valid_until != quick.valid_until:
            assert has_exceptions or not filenames(shard), "then a quick look may come back too early, but never late"
            assert quick.valid_until is not None
            assert close.valid_until is None or quick.valid_until < close.valid_until


@given(shards(), st.randoms())
def test_leaving_packed_records_out_equals_leaving_them_out_of_the_shard(shard: Shard, chance: Any) -> None:
    gone = {filename for filename in filenames(shard) if chance.random() < 0.5}
    left = shard.only(filenames(shard) - gone)
    fragments = Glance(encode_shard(shard)[1]).fragments
    assert fragments.encode_without(gone) == (None if left.is_empty else encode_shard(left))

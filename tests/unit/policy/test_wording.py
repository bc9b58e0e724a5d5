"""Policies in words: every kind has a sentence and a beginning, and the text that is shown is the policy."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.policy.model import parse_policy, read_document
from headgate.policy.rules.kinds import KINDS
from headgate.policy.wording import EXAMPLES, render_policy, sentence_of


def test_every_kind_of_rule_has_a_beginning_that_is_a_policy_and_a_sentence() -> None:
    assert EXAMPLES.keys() == KINDS.keys()
    for kind, terms in EXAMPLES.items():
        rule = {"kind": kind, **terms}
        parse_policy({"name": "one", "rule": [rule]})
        assert "the rule" not in sentence_of(rule), kind


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"kind": "minimum-age", "days": 7, "action": "hold", "except": ["internal-*"]},
         "Holds back packages until they have been in the index for 7 days, except internal-*."),
        ({"kind": "match-spec", "exclude": ["a", "b <2"], "include": ["b 1.1"], "action": "block"},
         "Blocks a or b <2, unless it is b 1.1."),
        ({"kind": "advisory-score", "above": 6.9, "except_advisories": ["CVE-1"], "action": "warn"},
         "Warns of packages with an advisory whose CVSS score is above 6.9, CVE-1 apart."),
        ({"kind": "size", "most_bytes": 2_000_000_000, "action": "block"}, "Blocks files larger than 2 GB."),
        ({"kind": "of-tomorrow", "action": "block"}, "Blocks what the rule of-tomorrow says."),
    ],
)  # fmt: skip
def test_rules_read_as_plain_sentences(rule: dict[str, Any], sentence: str) -> None:
    assert sentence_of(rule) == sentence


_PLAIN = st.one_of(st.text(), st.integers(-(2**53), 2**53), st.booleans(), st.lists(st.text(), max_size=3))


@given(st.text(), st.lists(st.dictionaries(st.sampled_from(["kind", "action", "days", "note"]), _PLAIN), max_size=3))
def test_text_of_a_policy_reads_as_the_same_policy(description: str, rules: list[dict[str, Any]]) -> None:
    document = {"name": "one", "mode": "audit", "description": description, "rule": rules}
    expected = document if rules else {key: value for key, value in document.items() if key != "rule"}
    assert read_document(render_policy(document).encode("utf-8", "surrogatepass")) == expected

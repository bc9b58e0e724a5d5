"""The page on policies: every example can be applied as written, and every kind of rule has one."""

import re

import pytest

from headgate.policy.model import parse_policy, read_document
from headgate.policy.rules.kinds import KINDS
from tests.house.sources import ROOT

PAGE = ROOT / "docs" / "admin" / "policies.md"
EXAMPLES = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def complete(example: str) -> bytes:
    return (example if example.startswith("name") else f'name = "example"\n{example}').encode()


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_can_be_applied(example: str) -> None:
    assert parse_policy(read_document(complete(example))).rules


def test_every_kind_of_rule_has_an_example() -> None:
    shown = {rule["kind"] for example in EXAMPLES for rule in read_document(complete(example))["rule"]}
    assert shown == set(KINDS)

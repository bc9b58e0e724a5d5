"""One word per thing: the glossary defines each once, in alphabetical order."""

import re
from collections import Counter

from tests.house.sources import ROOT

GLOSSARY = ROOT / "docs" / "dev" / "glossary.md"
HOUSE_WORDS = frozenset(
    """
    access log; advisory; approval; artifact; audit event; blob; bundle; channel; curation; environment; exemption;
    grant; group; job; mirror; package; patch; permission; policy; principal; promotion; pull-through; reason; record;
    request; revision; role; rule; shard; shard index; source; subdir; sync; token; upstream; verdict
    """.replace("\n", " ").split(";")
)


def entries() -> list[tuple[str, str]]:
    """(word, meaning) of every row of the glossary."""
    return re.findall(r"^\| \*\*([^*]+)\*\* \| (.+) \|$", GLOSSARY.read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_every_house_word_is_defined_once() -> None:
    counted = Counter(word for word, _ in entries())
    assert {word for word, times in counted.items() if times > 1} == set()
    assert {word.strip() for word in HOUSE_WORDS} - set(counted) == set()


def test_words_are_in_alphabetical_order() -> None:
    found = [word for word, _ in entries()]
    assert found == sorted(found)


def test_every_meaning_is_one_line_and_a_sentence() -> None:
    for word, meaning in entries():
        assert meaning.endswith("."), word
        assert len(meaning) <= 200, word

"""What a record says of its licence: an expression of licences, each of one or more families.

Real records hold SPDX expressions (`MIT OR Apache-2.0`), names of older days (`BSD 3-Clause`), and lists as R writes
them (`GPL-2 | GPL-3`). All three are read here; what cannot be placed belongs to the family `other`.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from headgate.conda.records import Record

FAMILIES: Final = frozenset("agpl gpl2 gpl3 lgpl bsd mit apache psf public-domain proprietary other none".split())

# The first that fits decides; the affero and lesser licences contain the words of the GPL.
_PATTERNS: Final = tuple(
    (re.compile(pattern), frozenset(families.split()))
    for pattern, families in (
        (r"agpl|affero", "agpl"),
        (r"lgpl|lesser general|library general", "lgpl"),
        (r"(gpl|general public)[^0-9]*3", "gpl3"),
        (r"(gpl|general public)[^0-9]*2", "gpl2"),
        (r"gpl|general public", "gpl2 gpl3"),
        (r"bsd", "bsd"),
        (r"\bmit\b|expat|mit-", "mit"),
        (r"apache|\basl\b", "apache"),
        (r"\bpsf|python-2|python software|cnri-python", "psf"),
        (r"public[- _]?domain|\bcc0|unlicense|blessing", "public-domain"),
        (r"proprietary|commercial|eula|nvidia|all rights reserved|closed", "proprietary"),
        (r"^(none|unknown|)$", "none"),
    )
)
_TOKENS: Final = re.compile(r"\s*(\(|\)|\||&|(?<![\w-])(?:and|or)(?![\w-]))\s*", re.IGNORECASE)
# "or later" is part of a licence's name, not a choice between two; an exception belongs to its licence.
_OR_LATER: Final = re.compile(r"\s+or\s+(later|newer|any later version|above)\b", re.IGNORECASE)
_VERSION: Final = re.compile(r"\(\s*([<>=!~0-9., ]+)\s*\)")

Test = Callable[[str], bool]


def normal(name: str) -> str:
    """How a licence or family is compared: `public_domain` and `Public-Domain` are one."""
    return name.strip().lower().replace("_", "-")


@lru_cache(maxsize=4_096)
def families_of(name: str) -> frozenset[str]:
    """The families of one licence, by its name; several when it leaves the choice."""
    text = normal(name)
    return next((families for pattern, families in _PATTERNS if pattern.search(text)), frozenset({"other"}))


def expression_of(record: Record) -> str:
    """What the record says; its `license_family` where its `license` says nothing that can be placed."""
    said, family = record.get("license"), record.get("license_family")
    said = said if isinstance(said, str) else ""
    family = family if isinstance(family, str) else ""
    is_placed = not families_of(said) <= {"other", "none"}
    return said if is_placed or families_of(family) <= {"other", "none"} else family


def is_satisfied(expression: str, is_good: Test) -> bool:
    """Whether the licences can be met with good ones alone: all of an AND, one of an OR."""
    text = _VERSION.sub(r" \1 ", _OR_LATER.sub("-or-later", expression))
    words = [word for word in _TOKENS.split(text) if word.strip()]
    found, _ = _either(words, 0, is_good)
    return found


def _either(words: list[str], at: int, is_good: Test) -> tuple[bool, int]:
    found, at = _both(words, at, is_good)
    while at < len(words) and words[at].lower() in {"or", "|"}:
        other, at = _both(words, at + 1, is_good)
        found = found or other
    return found, at


def _both(words: list[str], at: int, is_good: Test) -> tuple[bool, int]:
    found, at = _single(words, at, is_good)
    while at < len(words) and words[at].lower() in {"and", "&"}:
        other, at = _single(words, at + 1, is_good)
        found = found and other
    return found, at


def _single(words: list[str], at: int, is_good: Test) -> tuple[bool, int]:
    if at >= len(words):
        return is_good(""), at
    if words[at] == "(":
        found, at = _either(words, at + 1, is_good)
        return found, at + 1
    return is_good(words[at]), at + 1

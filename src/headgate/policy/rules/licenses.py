"""Rules on licences: SPDX expressions, and the families they belong to."""

import re
from collections.abc import Callable, Collection
from functools import lru_cache
from operator import attrgetter
from typing import Any

from license_expression import ExpressionError, get_spdx_licensing

from headgate.policy.facts import Case, Facts
from headgate.policy.glance import Glance
from headgate.policy.rules.rule import CLOSER, NOTHING, Judgement, Look, Rule, Sorter, acts
from headgate.policy.terms import Terms

FAMILIES = (
    "agpl", "gpl", "gpl2", "gpl3", "lgpl", "bsd", "mit", "apache", "mozilla", "cc", "psf", "public-domain",
    "proprietary", "other", "none",
)  # fmt: skip
# The first that fits.
_FAMILY_OF = (
    ("agpl", re.compile(r"agpl|affero", re.IGNORECASE)),
    ("lgpl", re.compile(r"lgpl|lesser general", re.IGNORECASE)),
    ("gpl3", re.compile(r"\bgpl[-_ v(>=]*3", re.IGNORECASE)),
    ("gpl2", re.compile(r"\bgpl[-_ v(>=]*[12]", re.IGNORECASE)),
    ("gpl", re.compile(r"\bgpl|gnu general public", re.IGNORECASE)),
    ("public-domain", re.compile(r"public[-_ ]?domain|unlicense|\bcc0|\bblessing\b|\b0bsd\b", re.IGNORECASE)),
    ("bsd", re.compile(r"\bbsd|bsd\b", re.IGNORECASE)),
    ("apache", re.compile(r"\bapache|\basl\b", re.IGNORECASE)),
    ("mozilla", re.compile(r"\bmpl\b|mozilla", re.IGNORECASE)),
    ("psf", re.compile(r"\bpsf|\bpython-2|python software", re.IGNORECASE)),
    ("cc", re.compile(r"\bcc-by|creative commons", re.IGNORECASE)),
    ("mit", re.compile(r"\bmit\b|\bx11\b|\bexpat\b", re.IGNORECASE)),
    ("proprietary", re.compile(r"proprietary|commercial|\beula\b|end[-_ ]user|all rights reserved", re.IGNORECASE)),
    ("none", re.compile(r"\s*(none|noassertion|unknown|unspecified|)\s*", re.IGNORECASE)),
)
_BREAKS = re.compile(r"[,;&|]|\s+/\s+")
_BY_LICENSE = attrgetter("license", "license_family")
_licensing = get_spdx_licensing()


class LicenseRule(Rule):
    """Acts on licences of `exclude`, or on all but those of `only`: SPDX ids, or families such as `gpl3`.

    Of `A OR B` the side that passes is taken; of `A AND B` both must pass.
    """

    kind = "license"
    is_by_sort_alone = True

    def __init__(self, terms: Terms) -> None:
        """Take `exclude` or `only`."""
        exclude, only = terms.words("exclude"), terms.words("only")
        if bool(exclude) == bool(only):
            raise terms.fail("it needs either `exclude` or `only`.")
        known = {key.lower() for key in _licensing.known_symbols}
        for word in (*exclude, *only):
            plain = word.lower().replace("_", "-")
            if plain not in FAMILIES and plain not in known and not plain.startswith("licenseref-"):
                raise terms.fail(f"{word!r} is neither an SPDX id nor a family; families are {', '.join(FAMILIES)}.")
        self._words = frozenset(word.lower().replace("_", "-") for word in (*exclude, *only))
        self._is_excluding = bool(exclude)
        self._known: dict[str, Judgement | None] = {}
        self._passing: dict[tuple[str | None, str | None], bool] = {}

    def look(self, glance: Glance, facts: Facts, now_ms: int) -> Look:
        """By the licences that occur."""
        return NOTHING if all(map(self._passes, glance.licenses)) else CLOSER

    def sorter(self, glance: Glance, facts: Facts, now_ms: int) -> Sorter:
        """By licence and family."""
        return _BY_LICENSE

    def judge(self, case: Case) -> Judgement | None:
        """By the record's licence; without one, by its family."""
        text = _text(case.record.get("license")) or _text(case.record.get("license_family"))
        if text not in self._known:
            passes = _passes(self._words, self._is_excluding, text)
            shown = text or "none"
            fact = acts(f"Its licence is {shown:.200}.", "Use a package under another licence.")
            self._known[text] = None if passes else fact
        return self._known[text]

    def _passes(self, pair: tuple[str | None, str | None]) -> bool:
        known = self._passing.get(pair)
        if known is None:
            text = _text(pair[0]) or _text(pair[1])
            known = self._passing[pair] = _passes(self._words, self._is_excluding, text)
        return known


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    raise ValueError("its licence is not a text")


@lru_cache(maxsize=20_000)
def _passes(words: frozenset[str], is_excluding: bool, text: str) -> bool:  # noqa: FBT001 - a key of the cache
    def is_good(symbol: str) -> bool:
        return words.isdisjoint(families_of(symbol)) is is_excluding

    return _holds(_parsed(text), is_good) if text.strip() else is_good("")


def _holds(expression: Any, is_good: Callable[[str], bool]) -> bool:
    """Whether the expression can be satisfied by licences that are good."""
    if isinstance(expression, list):
        return all(_holds(one, is_good) for one in expression)
    if isinstance(expression, _licensing.OR):
        return any(_holds(one, is_good) for one in expression.args)
    if isinstance(expression, _licensing.AND):
        return all(_holds(one, is_good) for one in expression.args)
    return is_good(str(expression))


def _parsed(text: str) -> Any:
    """The expression; of a text that is none, its parts, all of which count."""
    try:
        return _licensing.parse(text, validate=False)
    except (ExpressionError, ValueError, RecursionError):
        parts = [part.strip() for part in _BREAKS.split(text) if part.strip()]
        return [_parsed(part) for part in parts] if len(parts) > 1 else text


@lru_cache(maxsize=20_000)
def families_of(symbol: str) -> Collection[str]:
    """The words that mean this one licence: its SPDX id in lower case, without its exception too, and its family."""
    plain = symbol.strip().lower()
    bare = plain.split(" with ")[0]
    # `LicenseRef-MIT` says of itself what it is as well as any other name.
    found = next((name for name, pattern in _FAMILY_OF if _fits(name, pattern, bare)), "other")
    words = {plain, bare, found} | ({"gpl"} if found in {"gpl2", "gpl3"} else set())
    # Without a version it may be either.
    return frozenset(words | ({"gpl2", "gpl3"} if found == "gpl" else set()))


def _fits(name: str, pattern: re.Pattern[str], symbol: str) -> bool:
    return (pattern.fullmatch(symbol) if name == "none" else pattern.search(symbol)) is not None

"""What people type into the search box: words, and `key:value` terms. Pure.

numpy license:BSD subdir:linux-64 age:<30d
"""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from headgate.kernel.errors import Invalid

KEYS: Final[Mapping[str, str]] = {
    "channel:": "in that channel, or below it: channel:team/*",
    "subdir:": "for that platform: subdir:linux-64",
    "license:": "whose licence holds the word: license:MIT",
    "age:": "whose newest file is younger or older: age:<30d, age:>2y",
    "cve:": "touched by an advisory of that score, or by that one: cve:>7, cve:CVE-2026-1234",
    "blocked:": "of which policy holds something back: blocked:yes, or by which rule",
}
_DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}
_AGE = re.compile(r"([<>])(\d{1,5})([dwmy])")
_SCORE = re.compile(r"([<>])(\d{1,2}(?:\.\d)?)")
_HEX = re.compile(r"[0-9a-f]{12,64}")
_ADVISORY = re.compile(r"(?:CVE-\d{4}-\d{3,}|(?:GHSA|PYSEC|MAL|RUSTSEC|GO|OSV)-[\w-]+)", re.IGNORECASE)
_MOST_WORDS = 8


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for. All words and all terms must hold."""

    text: str = ""
    words: tuple[str, ...] = ()
    channel: str | None = None
    subdir: str | None = None
    licence: str | None = None
    younger: timedelta | None = None
    older: timedelta | None = None
    least_score: float | None = None
    most_score: float | None = None
    advisory: str | None = None
    blocked: str | None = None
    """`yes`, or the name of a rule."""
    sha256: str | None = None
    """A sha256, or how it begins."""
    terms: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked for."""
        return not self.words and not self.terms and self.sha256 is None and self.advisory is None


def parse_query(text: str) -> Query:
    """Read it. Raises Invalid `search-invalid`."""
    query = Query(text=text)
    for part in _split(text):
        key, colon, value = part.partition(":")
        reader = _READERS.get(key.lower()) if colon else None
        if reader is not None:
            if value:  # else it is being typed
                query = replace(reader(query, value), terms={**query.terms, key.lower(): value})
        elif _ADVISORY.fullmatch(part):
            query = replace(query, advisory=_id(part))
        elif _HEX.fullmatch(part.lower()) and not _is_word(part):
            query = replace(query, sha256=part.lower())
        elif len(query.words) < _MOST_WORDS:
            query = replace(query, words=(*query.words, part.lower()))
    return query


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text, posix=True)
    except ValueError:
        return text.split()  # a quotation mark without its other half


def _is_word(part: str) -> bool:
    """Twelve letters from a to f, and no digit, are rather a name."""
    return not any(sign.isdigit() for sign in part)


def _id(text: str) -> str:
    head, dash, rest = text.partition("-")
    return f"{head.upper()}{dash}{rest.lower() if head.upper() == 'GHSA' else rest.upper()}"


def _age(query: Query, value: str) -> Query:
    match = _AGE.fullmatch(value)
    if match is None:
        raise Invalid("search-invalid", f"age:{value} is not an age: write age:<30d or age:>2y (d, w, m or y).")
    length = timedelta(days=int(match[2]) * _DAYS[match[3]])
    return replace(query, younger=length) if match[1] == "<" else replace(query, older=length)


def _cve(query: Query, value: str) -> Query:
    if _ADVISORY.fullmatch(value):
        return replace(query, advisory=_id(value))
    match = _SCORE.fullmatch(value)
    if match is None:
        raise Invalid("search-invalid", f"cve:{value} is no score and no id: write cve:>7 or cve:CVE-2026-1234.")
    score = float(match[2])
    return replace(query, least_score=score) if match[1] == ">" else replace(query, most_score=score)


_READERS: Final[Mapping[str, Callable[[Query, str], Query]]] = {
    "channel": lambda query, value: replace(query, channel=value),
    "subdir": lambda query, value: replace(query, subdir=value),
    "license": lambda query, value: replace(query, licence=value.lower()),
    "licence": lambda query, value: replace(query, licence=value.lower()),
    "age": _age,
    "cve": _cve,
    "blocked": lambda query, value: replace(query, blocked=value.lower()),
}

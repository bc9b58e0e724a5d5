"""Scores: CVSS vectors of versions 2, 3.0, 3.1 and 4, and the words for them. Pure."""

from collections.abc import Iterable
from functools import lru_cache

from cvss import CVSS2, CVSS3, CVSS4
from cvss.exceptions import CVSSError

from headgate.advisories.statements import Score

SEVERITIES = ("none", "low", "medium", "high", "critical")
_RANK = {"CVSS_V4": 4, "CVSS_V3": 3, "CVSS_V2": 2}
# What advisory databases say in words, without a vector.
_WORDS = {"moderate": "medium", "important": "high"}


@lru_cache(maxsize=16_384)
def base_score(vector: str) -> float | None:
    """The base score of a vector, from 0 to 10; None when it is none."""
    try:
        if vector.startswith("CVSS:4"):
            return float(CVSS4(vector).base_score)
        if vector.startswith("CVSS:3"):
            return float(CVSS3(vector).scores()[0])
        return float(CVSS2(vector.strip("()")).scores()[0])
    except (CVSSError, ValueError, TypeError, KeyError):
        return None


def kind_of(vector: str) -> str:
    """`CVSS_V2`, `CVSS_V3` or `CVSS_V4`, from the vector's own prefix."""
    if vector.startswith("CVSS:4"):
        return "CVSS_V4"
    return "CVSS_V3" if vector.startswith("CVSS:3") else "CVSS_V2"


def best_score(scores: Iterable[Score]) -> float | None:
    """The base score of the highest CVSS version that has any; of several of it, the highest."""
    known = [(_RANK.get(one.kind, 0), score) for one in scores if (score := base_score(one.vector)) is not None]
    return max(known)[1] if known else None


def severity_of(score: float | None, said: Iterable[str | None] = ()) -> str | None:
    """The word for a score (FIRST's scale); without a score, the gravest word that was said."""
    if score is not None:
        grades = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"), (0.1, "low"))
        return next((word for least, word in grades if score >= least), "none")
    words = [_WORDS.get(word.lower(), word.lower()) for word in said if word]
    known = [word for word in words if word in SEVERITIES]
    return max(known, key=SEVERITIES.index) if known else None

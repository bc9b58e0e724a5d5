"""CVSS vectors and severities."""

import pytest

from headgate.advisories.scoring import base_score, best_score, kind_of, severity_of
from headgate.advisories.statements import Score

V2 = "AV:N/AC:L/Au:N/C:P/I:P/A:P"
V3 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
V4 = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"


@pytest.mark.parametrize(
    ("vector", "score"), [(V2, 7.5), (f"({V2})", 7.5), (V3, 9.8), (V4, 9.3), ("CVSS:3.1/AV:N", None), ("", None)]
)
def test_base_score_of_a_vector(vector: str, score: float | None) -> None:
    assert base_score(vector) == score


def test_highest_version_counts_then_the_highest_score() -> None:
    low = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"
    scores = [Score(kind_of(one), one, "x") for one in (V2, low, V3)]
    assert best_score(scores) == 9.8
    assert best_score([*scores, Score("CVSS_V4", V4, "x")]) == 9.3
    assert best_score([Score("CVSS_V3", "garbage", "x")]) is None


@pytest.mark.parametrize(
    ("score", "said", "word"),
    [
        (0.0, [], "none"), (3.9, [], "low"), (4.0, [], "medium"), (6.9, [], "medium"), (7.0, [], "high"),
        (9.0, ["low"], "critical"), (None, ["MODERATE", "LOW"], "medium"), (None, ["odd", None], None),
    ],
)  # fmt: skip
def test_severity_is_the_word_for_the_score_else_what_was_said(
    score: float | None, said: list[str | None], word: str | None
) -> None:
    assert severity_of(score, said) == word

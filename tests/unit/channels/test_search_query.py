"""What people type into the search box."""

from datetime import timedelta

import pytest

from headgate.channels.search_query import parse_query
from headgate.kernel.errors import Invalid


def test_words_and_terms_are_told_apart() -> None:
    query = parse_query('NumPy license:BSD subdir:linux-64 "two words" age:<30d')
    assert query.words == ("numpy", "two words")
    assert (query.licence, query.subdir, query.younger) == ("bsd", "linux-64", timedelta(days=30))
    assert query.terms == {"license": "BSD", "subdir": "linux-64", "age": "<30d"}


def test_scores_and_ids_of_advisories() -> None:
    assert parse_query("cve:>7").least_score == 7
    assert parse_query("cve:<4.5").most_score == 4.5
    assert parse_query("cve-2026-1234").advisory == "CVE-2026-1234"
    assert parse_query("cve:ghsa-AAAA-bbbb-cccc").advisory == "GHSA-aaaa-bbbb-cccc"


@pytest.mark.parametrize(
    ("text", "is_digest"),
    [("9f86d081884c", True), ("9F86D081884C" + "0" * 52, True), ("deadbeefcafe", False), ("9f86d08", False)],
)
def test_a_digest_is_known_by_its_digits(text: str, is_digest: bool) -> None:
    query = parse_query(text)
    assert (query.sha256 == text.lower()) is is_digest
    assert bool(query.words) is not is_digest


def test_what_is_being_typed_asks_for_nothing_yet() -> None:
    assert parse_query("license:").is_empty
    assert parse_query('"half').words == ('"half',)
    assert parse_query("   ").is_empty


@pytest.mark.parametrize("text", ["age:30", "age:<x", "cve:high", "cve:>"])
def test_a_term_that_makes_no_sense_is_told_how_to_be_written(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_query(text)
    assert caught.value.code == "search-invalid"
    assert "write" in caught.value.message

"""Ranges of addresses, and which of them a caller is in."""

import pytest

from headgate.access.addresses import are_within, is_within, neighbourhood, parse_ranges
from headgate.kernel.errors import Invalid


def test_ranges_are_kept_in_one_form() -> None:
    assert parse_ranges(["10.0.0.0/8", "192.0.2.7", "2001:DB8::/32"]) == ("10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32")


@pytest.mark.parametrize("text", ["", "10.0.0.1/8", "10.0.0.0/40", "example.com", "10.0.0", "2001:db8::/200"])
def test_range_that_is_none(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_ranges([text])
    assert refused.value.code == "address-range-invalid"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.1.2.3", False),
        ("2001:db8::5", True),
        ("2001:db9::5", False),
        ("unknown", False),
        ("", False),
        ("10.1.2.3 " * 50, False),
    ],
)
def test_address_is_within(address: str, expected: bool) -> None:
    assert is_within(address, ("10.0.0.0/8", "2001:db8::/32")) is expected


def test_ranges_within_ranges() -> None:
    assert are_within(["10.1.0.0/16", "2001:db8:1::/48"], ["10.0.0.0/8", "2001:db8::/32"])
    assert not are_within(["10.0.0.0/7"], ["10.0.0.0/8"])
    assert not are_within(["0.0.0.0/0"], ["::/0"])


def test_neighbourhood_is_an_address_or_a_64() -> None:
    assert neighbourhood("192.0.2.7") == "192.0.2.7"
    assert neighbourhood("2001:db8::7") == "2001:db8::/64"
    assert len(neighbourhood("x" * 10_000)) < 50

"""Clients are known by what they say of themselves."""

import pytest

from headgate.audit.masking import Addresses, Masking, People
from headgate.audit.user_agents import parse_agent


@pytest.mark.parametrize(
    ("agent", "name", "version"),
    [
        ("conda/25.1.0 requests/2.32.3 CPython/3.12.8 Linux/6.1", "conda", "25.1.0"),
        ("mamba/2.0.5 libmamba/2.0.5", "mamba", "2.0.5"),
        ("micromamba/1.5.8", "micromamba", "1.5.8"),
        ("libmambapy/2.0 conda/24.9.2", "conda", "24.9.2"),
        ("pixi/0.40.3", "pixi", "0.40.3"),
        ("rattler/0.2", "rattler", "0.2"),
        ("Mozilla/5.0 (X11; Linux x86_64)", "browser", "5.0"),
        ("curl/8.5.0", "curl", "8.5.0"),
        ("", "other", ""),
        ("=evil\n<script>", "other", ""),
    ],
)
def test_a_client_has_a_name_and_a_version(agent: str, name: str, version: str) -> None:
    assert parse_agent(agent)[:2] == (name, version)


def test_what_a_client_says_is_kept_short_and_on_one_line() -> None:
    assert parse_agent("x" * 500 + "\n").agent == "x" * 200
    assert parse_agent("a\nb").agent == "ab"


@pytest.mark.parametrize(
    ("choice", "address", "kept"),
    [
        (Addresses.WHOLE, "192.0.2.7", "192.0.2.7"),
        (Addresses.TRUNCATED, "192.0.2.7", "192.0.2.0/24"),
        (Addresses.TRUNCATED, "2001:db8:1:2::3", "2001:db8:1::/48"),
        (Addresses.TRUNCATED, "::ffff:192.0.2.7", "192.0.2.0/24"),
        (Addresses.TRUNCATED, "unknown", ""),
        (Addresses.NONE, "192.0.2.7", ""),
    ],
)
def test_addresses_are_kept_as_chosen(choice: Addresses, address: str, kept: str) -> None:
    assert Masking(b"s", choice).address(address) == kept


def test_a_pseudonym_is_always_the_same_and_says_nothing_without_the_key() -> None:
    one, other = (Masking(secret, people=People.PSEUDONYMS) for secret in (b"a", b"b"))
    assert one.person("ada") == one.person("ada") != one.person("adam")
    assert one.person("ada") != other.person("ada")
    assert "ada" not in one.person("ada")
    assert (one.person("anonymous"), one.token("laptop")) == ("anonymous", "")
    assert Masking(b"a", people=People.NONE).person("ada") == ""

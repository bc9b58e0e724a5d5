"""What of a provider's claims becomes a name, groups and roles here."""

from dataclasses import replace
from typing import Any

import pytest

from headgate.access.oidc_claims import arrival_of, find_claim
from headgate.access.oidc_providers import OidcProvider, OidcSettings, check_provider
from headgate.kernel.errors import HeadgateError

PROVIDER = OidcProvider("sso", "https://sso.example", "headgate", None, OidcSettings())


def provider(**settings: Any) -> OidcProvider:
    return replace(PROVIDER, settings=OidcSettings(**settings))


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.b", 1),
        ("a.c", None),
        ("a.b.c", None),
        ("x.y", 2),
        ("https://corp.example/groups", ["g"]),
        ("", None),
    ],
)
def test_paths_lead_into_claims(path: str, found: object) -> None:
    claims = {"a": {"b": 1}, "x.y": 2, "x": {"y": 3}, "https://corp.example/groups": ["g"]}
    assert find_claim(claims, path) == found


def test_people_are_known_by_issuer_and_subject() -> None:
    arrival = arrival_of(PROVIDER, {"sub": "7", "preferred_username": "ada"})
    assert (arrival.provider, arrival.external_id, arrival.name) == ("oidc:sso", "https://sso.example 7", "ada")
    assert (list(arrival.groups), list(arrival.roles)) == ([], [])


def test_only_what_is_mapped_counts() -> None:
    chosen = provider(groups={"dev": "Developers"}, roles={"boss": "administrator"})
    claims = {"sub": "7", "preferred_username": "ada", "groups": ["dev", "Developers", 7, None, {"x": 1}],
              "realm_access": {"roles": "boss"}}  # fmt: skip
    arrival = arrival_of(chosen, claims)
    assert (list(arrival.groups), list(arrival.roles)) == (["Developers"], ["administrator"])


def test_a_star_at_the_provider_is_no_star_here() -> None:
    chosen = provider(groups={"*": "*", "dev": "Developers"}, is_taking_same_names=True)
    claims = {"sub": "7", "preferred_username": "ada", "groups": ["*", "dev", "/path/of/keycloak", "Everyone", "ops"]}
    assert list(arrival_of(chosen, claims).groups) == ["Developers", "ops"]


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"preferred_username": "ada", "email": "x@y.example"}, "ada"),
        ({"email": "x@y.example"}, "x@y.example"),
        ({"preferred_username": 7, "email": "x@y.example"}, "x@y.example"),
        ({"email": "x@y.example", "email_verified": False}, None),
        ({}, None),
    ],
)
def test_first_claim_that_is_there_gives_the_name(claims: dict[str, object], name: str | None) -> None:
    if name is not None:
        assert arrival_of(PROVIDER, {"sub": "7", **claims}).name == name
        return
    with pytest.raises(HeadgateError) as caught:
        arrival_of(PROVIDER, {"sub": "7", **claims})
    assert caught.value.code == "user-name-missing"


@pytest.mark.parametrize(
    ("claims", "is_let_in"),
    [
        ({"email": "a@Corp.example", "email_verified": True}, True),
        ({"email": "a@corp.example"}, False),
        ({"email": "a@corp.example", "email_verified": "true"}, False),
        ({"email": "a@evil.example", "email_verified": True}, False),
        ({"email": "a@corp.example@evil.example", "email_verified": True}, False),
        ({"hd": "corp.example"}, True),
        ({}, False),
    ],
)
def test_domains_count_by_verified_addresses_alone(claims: dict[str, object], is_let_in: bool) -> None:
    arriving = {"sub": "7", "preferred_username": "ada", **claims}
    if is_let_in:
        assert arrival_of(provider(domains=("corp.example",)), arriving).name == "ada"
        return
    with pytest.raises(HeadgateError) as caught:
        arrival_of(provider(domains=("corp.example",)), arriving)
    assert caught.value.code == "domain-refused"


@pytest.mark.parametrize(
    "change",
    [
        {"name": "a/b"},
        {"name": "A"},
        {"name": ""},
        {"name": "x" * 33},
        {"issuer": "http://sso.example"},
        {"issuer": "ftp://127.0.0.1"},
        {"issuer": "https://"},
        {"issuer": "https://[x"},
        {"issuer": "https://sso.example/ x"},
        {"client_id": ""},
        {"settings": OidcSettings(name_claims=())},
        {"settings": OidcSettings(groups={"*": "*"})},
        {"settings": OidcSettings(groups={"*": "all"}, is_taking_same_names=True)},
        {"settings": OidcSettings(groups={"dev": ""})},
        {"settings": OidcSettings(groups={"dev": "a/b"})},
    ],
)
def test_providers_that_cannot_be(change: dict[str, Any]) -> None:
    with pytest.raises(HeadgateError) as caught:
        check_provider(replace(PROVIDER, **change))
    assert caught.value.code == "oidc-provider-invalid"


@pytest.mark.parametrize(
    "issuer", ["http://127.0.0.1:8080/realms/x", "http://localhost:1", "http://[::1]:1", "https://x"]
)
def test_plain_http_is_for_this_machine(issuer: str) -> None:
    check_provider(replace(PROVIDER, issuer=issuer))

"""Which ID tokens count: made by hand, against a provider that publishes its keys over HTTP."""

import base64
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from headgate.access.oidc_discovery import Discovery
from headgate.access.oidc_tokens import Audience, read_id_token
from headgate.http.client import Outgoing
from headgate.kernel.errors import Refused, Unavailable
from tests.unit.http.servers import serve

NONCE = "the nonce"
RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
STRANGER = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
OTHERS: dict[str, ECKey | OKPKey | RSAKey] = {
    "PS256": RSA,
    "ES256": ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"}),
    "Ed25519": OKPKey.generate_key("Ed25519", {"kid": "okp", "use": "sig"}),
}


@dataclass
class Issuer:
    """A provider that only says who it is."""

    url: str = ""
    keys: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    key_reads: int = 0

    @property
    def audience(self) -> Audience:
        return Audience(self.url, "headgate")

    def claims(self, **more: Any) -> dict[str, Any]:
        now = int(time.time())
        base = {"iss": self.url, "aud": "headgate", "sub": "id-ada", "nonce": NONCE, "iat": now, "exp": now + 300}
        return {key: value for key, value in {**base, **more}.items() if value is not None}

    def sign(self, key: Any = RSA, header: dict[str, Any] | None = None, **more: Any) -> str:
        head = {"alg": "RS256", "kid": "rsa", **(header or {})}
        return jwt.encode(head, self.claims(**more), key, registry=JWSRegistry(algorithms=[head["alg"]]))


@asynccontextmanager
async def issuing(**metadata: Any) -> AsyncIterator[Issuer]:
    issuer = Issuer(keys=[key.as_dict(private=False) for key in (RSA, OTHERS["ES256"], OTHERS["Ed25519"])])

    async def describe(request: web.Request) -> web.StreamResponse:
        endpoints = {name: f"{issuer.url}/{name}" for name in ("authorization_endpoint", "token_endpoint")}
        return web.json_response(
            {"issuer": issuer.url, **endpoints, "jwks_uri": f"{issuer.url}/keys", **metadata, **issuer.metadata}
        )

    async def keys(request: web.Request) -> web.StreamResponse:
        issuer.key_reads += 1
        return web.json_response({"keys": issuer.keys})

    async with serve({"/.well-known/openid-configuration": describe, "/keys": keys}) as base:
        issuer.url = base
        yield issuer


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with issuing() as issuer:
        yield issuer


@pytest.fixture
async def outgoing() -> AsyncIterator[Outgoing]:
    outgoing = Outgoing()
    yield outgoing
    await outgoing.close()


@pytest.fixture
def discovery(outgoing: Outgoing) -> Discovery:
    return Discovery(lambda: outgoing)


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims))
    return ".".join([*parts, signature])


async def refusal(discovery: Discovery, issuer: Issuer, text: str) -> str:
    with pytest.raises(Refused) as caught:
        await read_id_token(discovery, issuer.audience, text, NONCE)
    assert caught.value.code == "id-token-invalid"
    return caught.value.message


async def test_good_token_counts(discovery: Discovery, issuer: Issuer) -> None:
    claims = await read_id_token(discovery, issuer.audience, issuer.sign(), NONCE)
    assert claims["sub"] == "id-ada"


@pytest.mark.parametrize("algorithm", ["PS256", "ES256", "Ed25519"])
async def test_good_token_of_another_algorithm_counts(discovery: Discovery, issuer: Issuer, algorithm: str) -> None:
    key = OTHERS[algorithm]
    text = issuer.sign(key, {"alg": algorithm, "kid": key.kid})
    assert (await read_id_token(discovery, issuer.audience, text, NONCE))["sub"] == "id-ada"


async def test_token_for_several_clients_counts_for_the_authorized_one(discovery: Discovery, issuer: Issuer) -> None:
    text = issuer.sign(aud=["headgate", "mail"], azp="headgate")
    assert (await read_id_token(discovery, issuer.audience, text, NONCE))["azp"] == "headgate"


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE"])
async def test_token_without_signature_is_refused(discovery: Discovery, issuer: Issuer, name: str) -> None:
    said = await refusal(discovery, issuer, unsigned({"alg": name}, issuer.claims()))
    assert f"signed with '{name}', which is not accepted" in said


async def test_public_key_is_no_shared_secret(discovery: Discovery, issuer: Issuer) -> None:
    text = unsigned({"alg": "HS256", "kid": "rsa"}, issuer.claims())
    digest = hmac.digest(RSA.as_pem(private=False), text.rstrip(".").encode(), "sha256")
    text += base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert "signed with 'HS256', which is not accepted" in await refusal(discovery, issuer, text)


class _Away(NamedTuple):
    """A moment so many seconds from when the test runs, not from when it was collected."""

    seconds: int


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"nonce": "another"}, "its nonce belongs to another sign-in"),
        ({"nonce": None}, "its nonce is missing"),
        ({"exp": _Away(-120)}, "it has expired"),
        ({"exp": None}, "its exp is missing"),
        ({"exp": "soon"}, "its exp is missing or no time"),
        ({"exp": 1e300}, "its exp is no time"),
        ({"iat": _Away(600)}, "compare the clocks"),
        ({"iat": None}, "its iat is missing"),
        ({"nbf": _Away(600)}, "compare the clocks"),
        ({"iss": "https://evil.example"}, "it was issued by 'https://evil.example'"),
        ({"aud": "mail"}, "meant for another client"),
        ({"aud": ["headgate", "mail"]}, "another client is authorized"),
        ({"azp": "mail"}, "another client is authorized"),
        ({"sub": None}, "its sub is missing"),
    ],
)
async def test_claims_that_do_not_count(
    discovery: Discovery, issuer: Issuer, more: dict[str, Any], sentence: str
) -> None:
    claims: dict[str, Any] = {
        name: int(time.time()) + value.seconds if isinstance(value, _Away) else value for name, value in more.items()
    }
    assert sentence in await refusal(discovery, issuer, issuer.sign(**claims))


async def test_clocks_may_differ_by_a_minute(discovery: Discovery, issuer: Issuer) -> None:
    now = int(time.time())
    await read_id_token(discovery, issuer.audience, issuer.sign(exp=now - 30, iat=now + 30), NONCE)


@pytest.mark.parametrize("text", ["", "x", "a.b", "a.b.c", "..", "e30.e30.", "\ud800.e30.", "é.é.é"])
async def test_what_is_no_token_is_refused(discovery: Discovery, issuer: Issuer, text: str) -> None:
    await refusal(discovery, issuer, text)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "RS256", "kid": 7},
        {"alg": ["RS256"]},
        {"alg": "RS256", "typ": "logout+jwt"},
        {"alg": "RS256", "kid": "rsa", "crit": ["exp"]},
    ],
)
async def test_odd_headers_are_refused(discovery: Discovery, issuer: Issuer, header: dict[str, Any]) -> None:
    await refusal(discovery, issuer, unsigned(header, issuer.claims(), "AAAA"))


async def test_signature_of_somebody_else_is_refused(discovery: Discovery, issuer: Issuer) -> None:
    assert "signature is not that of the provider" in await refusal(discovery, issuer, issuer.sign(STRANGER))


async def test_unknown_key_is_asked_for_once_and_refused(discovery: Discovery, issuer: Issuer) -> None:
    await read_id_token(discovery, issuer.audience, issuer.sign(), NONCE)
    for _ in range(3):
        said = await refusal(discovery, issuer, issuer.sign(header={"kid": "nobody's"}))
        assert "a key that the provider does not publish" in said
    assert issuer.key_reads == 1  # ten seconds have not passed


async def test_new_key_is_learned(outgoing: Outgoing, issuer: Issuer) -> None:
    discovery = Discovery(lambda: outgoing, keys_every_s=0)
    await read_id_token(discovery, issuer.audience, issuer.sign(), NONCE)
    new = RSAKey.generate_key(2048, {"kid": "new", "use": "sig"})
    issuer.keys.append(new.as_dict(private=False))
    await read_id_token(discovery, issuer.audience, issuer.sign(new, {"kid": "new"}), NONCE)
    assert issuer.key_reads == 2


async def test_key_must_be_of_the_kind_of_the_algorithm(discovery: Discovery, issuer: Issuer) -> None:
    text = issuer.sign(OTHERS["ES256"], {"alg": "ES256", "kid": "rsa"})
    assert "does not publish" in await refusal(discovery, issuer, text)


async def test_key_without_a_name_counts_when_it_is_the_only_one(discovery: Discovery, issuer: Issuer) -> None:
    text = jwt.encode({"alg": "RS256"}, issuer.claims(), RSA)
    await read_id_token(discovery, issuer.audience, text, NONCE)
    issuer.keys.append(STRANGER.as_dict(private=False))
    discovery.forget(issuer.url)
    assert "does not publish" in await refusal(discovery, issuer, text)


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        ({"issuer": "https://evil.example"}, "it says that its issuer is 'https://evil.example'"),
        ({"token_endpoint": "http://far.example/token"}, "its token_endpoint is not an https URL"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "its authorization_endpoint is not an https URL"),
        ({"jwks_uri": None}, "it names no jwks_uri"),
    ],
)
async def test_provider_that_says_odd_things_of_itself(
    discovery: Discovery, metadata: dict[str, Any], sentence: str
) -> None:
    async with issuing(**metadata) as issuer:
        with pytest.raises(Unavailable) as caught:
            await discovery.metadata(issuer.url)
    assert caught.value.code == "oidc-provider-failed"
    assert sentence in caught.value.message

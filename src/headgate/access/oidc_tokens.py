"""Which ID tokens and logout tokens count (OpenID Connect Core 3.1.3.7, Back-Channel Logout 2.6, RFC 8725)."""

import warnings
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any, Final

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jws import JWSRegistry

from headgate.access.oidc_discovery import Discovery
from headgate.kernel import clock
from headgate.kernel.errors import Refused

# Never `none`, and never HS*: a public key must not serve as a shared secret.
ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)
LEEWAY: Final = timedelta(seconds=60)
_LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_OLDEST_LOGOUT = timedelta(minutes=10)
_REGISTRY = JWSRegistry(algorithms=sorted(ALGORITHMS), strict_check_header=False)

Claims = Mapping[str, Any]


class _Wrong(Exception):
    """What is wrong with a token, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Between whom a token is: the issuer that must have made it, and the client it must be for."""

    issuer: str
    client_id: str


async def read_id_token(discovery: Discovery, audience: Audience, text: str, nonce: str) -> Claims:
    """The claims of an ID token. Raises Refused `id-token-invalid`."""
    try:
        claims = await _read(discovery, audience, text, {"JWT"})
        if not compare_digest(_text(claims, "nonce").encode(), nonce.encode()):
            raise _Wrong("its nonce belongs to another sign-in")
        _text(claims, "sub")
    except _Wrong as wrong:
        raise Refused("id-token-invalid", f"The ID token of {audience.issuer} does not count: {wrong}.") from None
    return claims


async def read_logout_token(discovery: Discovery, audience: Audience, text: str) -> Claims:
    """The claims of a logout token; whether its `jti` is new is for the caller. Raises Refused `logout-token-invalid`."""
    try:
        claims = await _read(discovery, audience, text, {"LOGOUT+JWT", "JWT"})
        events = claims.get("events")
        if not isinstance(events, dict) or not isinstance(events.get(_LOGOUT_EVENT), dict):
            raise _Wrong("it tells of no logout")
        if "nonce" in claims:
            raise _Wrong("it has a nonce, as only ID tokens have")
        if not (claims.get("sid") or claims.get("sub")):
            raise _Wrong("it names neither a session nor a person")
        for name in {"sid", "sub"} & set(claims):
            _text(claims, name)
        _text(claims, "jti")
        if _moment(claims, "iat") < clock.now() - _OLDEST_LOGOUT:
            raise _Wrong("it is older than ten minutes")
    except _Wrong as wrong:
        raise Refused(
            "logout-token-invalid", f"The logout token of {audience.issuer} does not count: {wrong}."
        ) from None
    return claims


async def _read(discovery: Discovery, audience: Audience, text: str, types: set[str]) -> Claims:
    header = _header(text)
    algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise _Wrong(f"it is signed with {str(algorithm)[:32]!r}, which is not accepted")
    if not isinstance(kind, str) or kind.upper() not in types:
        raise _Wrong(f"it is of the type {str(kind)[:32]!r}")
    if key_id is not None and not isinstance(key_id, str):
        raise _Wrong("the name of its key is not a text")
    key = await discovery.find_key(audience.issuer, algorithm, key_id)
    if key is None:
        raise _Wrong("it is signed with a key that the provider does not publish")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # of the name EdDSA, which providers still use
            claims = jwt.decode(text, key, registry=_REGISTRY).claims
    except (JoseError, ValueError):
        raise _Wrong("its signature is not that of the provider") from None
    _check(claims, audience)
    return claims


def _header(text: str) -> Mapping[str, Any]:
    head = text.partition(".")[0]
    try:
        return msgspec.json.decode(urlsafe_b64decode(head + "=" * (-len(head) % 4)), type=dict[str, Any])
    except (ValueError, msgspec.DecodeError):
        raise _Wrong("it is not a JSON Web Token") from None


def _check(claims: Claims, audience: Audience) -> None:
    if claims.get("iss") != audience.issuer:
        raise _Wrong(f"it was issued by {str(claims.get('iss'))[:200]!r}")
    meant = claims.get("aud")
    listed = meant if isinstance(meant, list) else [meant]
    if audience.client_id not in listed:
        raise _Wrong("it is meant for another client")
    authorized = claims.get("azp")
    if authorized != audience.client_id and (authorized is not None or len(listed) > 1):
        raise _Wrong("another client is authorized to use it")
    now = clock.now()
    if _moment(claims, "exp") <= now - LEEWAY:
        raise _Wrong("it has expired")
    if _moment(claims, "iat") > now + LEEWAY or ("nbf" in claims and _moment(claims, "nbf") > now + LEEWAY):
        raise _Wrong("it is from the future; compare the clocks")


def _moment(claims: Claims, name: str) -> datetime:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Wrong(f"its {name} is missing or no time")
    try:
        return clock.from_ms(int(value * 1000))
    except (ValueError, OverflowError, OSError):
        raise _Wrong(f"its {name} is no time") from None


def _text(claims: Claims, name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise _Wrong(f"its {name} is missing")
    return value

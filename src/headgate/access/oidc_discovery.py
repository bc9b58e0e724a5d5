"""What a provider says of itself: endpoints and keys (OpenID Connect Discovery 1.0, RFC 8414, RFC 7517)."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from headgate.access.oidc_providers import is_trustworthy
from headgate.http.client import Outgoing
from headgate.kernel.errors import Unavailable

Key = RSAKey | ECKey | OKPKey
_DOCUMENT_BYTES = 1 << 20
_KEY_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_JSON = {"Accept": "application/json"}


@dataclass(frozen=True, slots=True)
class Metadata:
    """The endpoints of a provider, and what it can."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    end_session_endpoint: str | None
    token_auth_methods: tuple[str, ...]
    is_saying_issuer: bool
    """Whether it names itself when it sends people back (RFC 9207)."""


@dataclass(slots=True)
class _Known:
    metadata: Metadata
    read_at: float
    keys: list[dict[str, Any]] = field(default_factory=list)
    keys_at: float = float("-inf")


class Discovery:
    """Reads and remembers; metadata for an hour, keys until one is asked for that is not among them.

    Keys are read again at most every `keys_every_s`, however many tokens name keys that nobody has.
    """

    def __init__(
        self, outgoing: Callable[[], Outgoing], *, metadata_every_s: float = 3600, keys_every_s: float = 10
    ) -> None:
        self._outgoing = outgoing
        self._metadata_every_s = metadata_every_s
        self._keys_every_s = keys_every_s
        self._known: dict[str, _Known] = {}

    async def metadata(self, issuer: str) -> Metadata:
        """What the issuer says of itself. Raises Unavailable `oidc-provider-failed`, or as `Outgoing.open` does."""
        return (await self._read(issuer)).metadata

    async def find_key(self, issuer: str, algorithm: str, key_id: str | None) -> Key | None:
        """The public key for a signature; without `key_id` the only one that fits. Raises as `metadata` does."""
        known = await self._read(issuer)
        found = _choose(known.keys, algorithm, key_id)
        if found is None and time.monotonic() - known.keys_at > self._keys_every_s:
            known.keys_at = time.monotonic()
            document = await self._fetch(known.metadata.jwks_uri, _metadata_url(issuer))
            keys = document.get("keys")
            known.keys = [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []
            found = _choose(known.keys, algorithm, key_id)
        return found

    def forget(self, issuer: str) -> None:
        """Read everything anew the next time."""
        self._known.pop(issuer, None)

    async def _read(self, issuer: str) -> _Known:
        known = self._known.get(issuer)
        if known is None or time.monotonic() - known.read_at > self._metadata_every_s:
            url = _metadata_url(issuer)
            metadata = _metadata(issuer, await self._fetch(url, None))
            known = self._known[issuer] = _Known(metadata, time.monotonic())
        return known

    async def _fetch(self, url: str, told_by: str | None) -> Mapping[str, Any]:
        async with self._outgoing().open(url, headers=_JSON, told_by=told_by) as answer:
            body = await answer.read(_DOCUMENT_BYTES)
        if answer.status != 200:
            raise failed(answer.url, f"it answers {answer.status}")
        return read_json(answer.url, body)


def read_json(url: str, body: bytes) -> Mapping[str, Any]:
    """The JSON object in a body. Raises Unavailable `oidc-provider-failed`."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        raise failed(url, "it does not answer with a JSON object") from None


def failed(url: str, why: str) -> Unavailable:
    """The error for a provider that does not keep to the protocol."""
    return Unavailable("oidc-provider-failed", f"The identity provider cannot be used at {url}: {why}.")


def _metadata_url(issuer: str) -> str:
    return f"{issuer.rstrip('/')}/.well-known/openid-configuration"


def _metadata(issuer: str, document: Mapping[str, Any]) -> Metadata:
    url = _metadata_url(issuer)
    if document.get("issuer") != issuer:
        raise failed(url, f"it says that its issuer is {str(document.get('issuer'))[:200]!r}, not {issuer!r}")

    def endpoint(name: str) -> str | None:
        value = document.get(name)
        if value is not None and not (isinstance(value, str) and is_trustworthy(value)):
            raise failed(url, f"its {name} is not an https URL")
        return value

    def needed(name: str) -> str:
        value = endpoint(name)
        if value is None:
            raise failed(url, f"it names no {name}")
        return value

    methods = document.get("token_endpoint_auth_methods_supported")
    return Metadata(
        issuer,
        needed("authorization_endpoint"),
        needed("token_endpoint"),
        needed("jwks_uri"),
        endpoint("userinfo_endpoint"),
        endpoint("end_session_endpoint"),
        tuple(map(str, methods)) if isinstance(methods, list) else ("client_secret_basic",),
        document.get("authorization_response_iss_parameter_supported") is True,
    )


def _choose(keys: list[dict[str, Any]], algorithm: str, key_id: str | None) -> Key | None:
    fitting = [
        key
        for key in keys
        if key.get("kty") == _KEY_TYPES[algorithm[:2]]
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) in {algorithm, "EdDSA" if algorithm.startswith("Ed") else algorithm}
        and (key_id is None or key.get("kid") == key_id)
    ]
    if len(fitting) != 1:
        return None
    try:
        key = import_key(fitting[0])
    except (JoseError, ValueError):
        return None
    return key if isinstance(key, RSAKey | ECKey | OKPKey) else None

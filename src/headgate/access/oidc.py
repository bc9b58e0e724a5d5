"""Signing in with an OIDC provider: the authorization code flow with PKCE (OpenID Connect Core 1.0, RFC 7636, 9207).

begin    state, nonce and verifier are made; sealed, they wait in a cookie of the browser; off to the provider
finish   the state must be the cookie's, of this provider, young and new; the code becomes an ID token; somebody arrives
log out  the provider says that a session has ended (Back-Channel Logout), or we ask it to (RP-Initiated Logout)
"""

import hashlib
import secrets
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from hmac import compare_digest
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from sqlalchemy import select

from headgate.access.arrivals import ArrivalService
from headgate.access.oidc_claims import Claims, arrival_of, lacks_claims
from headgate.access.oidc_discovery import Discovery, Metadata, failed, read_json
from headgate.access.oidc_providers import OidcProvider, OidcProviderService
from headgate.access.oidc_tokens import Audience, read_id_token, read_logout_token
from headgate.access.sessions import SessionService
from headgate.access.spending import Spending
from headgate.db import tables
from headgate.db.engine import Database
from headgate.db.sealing import Sealer
from headgate.http.client import Outgoing
from headgate.kernel import clock
from headgate.kernel.errors import Refused, Unavailable

PATIENCE: Final = timedelta(minutes=10)
"""How long somebody may take at the provider."""
_ANSWER_BYTES = 1 << 20
_JTI_KEPT = timedelta(minutes=20)
_BEGIN_AGAIN = "Begin again at the sign-in page of this server."


class _Begun(msgspec.Struct, frozen=True):
    """What the browser carries, sealed, while somebody is at the provider."""

    provider: str
    issuer: str
    state: str
    nonce: str
    verifier: str
    path: str
    until_ms: int


@dataclass(frozen=True, slots=True)
class Departure:
    """Where to send the browser, and what its cookie has to hold until it comes back."""

    url: str
    cookie: str


@dataclass(frozen=True, slots=True)
class Return:
    """What came back: the query of the callback, the cookie of the browser, and the callback's own URL."""

    query: Mapping[str, str]
    cookie: str | None
    url: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who it is, by their name here, where they wanted to go, and the provider's own session."""

    user: str
    path: str
    method: str
    sid: str | None
    id_token: str


class OidcSignIn:
    """The flow, for every provider."""

    def __init__(
        self, database: Database, secret: bytes, outgoing: Callable[[], Outgoing], sessions: SessionService
    ) -> None:
        self._database = database
        self._outgoing = outgoing
        self._sessions = sessions
        self._sealer = Sealer(secret, "sign-in")
        self._spending = Spending(database, secret)
        self._arrivals = ArrivalService(database)
        self.providers = OidcProviderService(database, secret)
        self.discovery = Discovery(outgoing)

    async def begin(self, name: str, callback: str, path: str) -> Departure:
        """Leave for a provider, to come back to `callback` and go on to `path`.

        Raises NotFound `oidc-provider-unknown`, and what Discovery raises.
        """
        provider = await self.providers.get_provider(name)
        metadata = await self.discovery.metadata(provider.issuer)
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        until = clock.to_ms(clock.now() + PATIENCE)
        begun = _Begun(name, provider.issuer, state, nonce, verifier, path, until)
        question = {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": callback,
            "scope": " ".join(provider.settings.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
        }
        return Departure(
            _with_query(metadata.authorization_endpoint, question),
            self._sealer.seal(msgspec.json.encode(begun).decode()),
        )

    async def finish(self, name: str, back: Return) -> SignedIn:
        """Let in who comes back from a provider.

        Raises Refused `sign-in-state`, `sign-in-issuer`, `sign-in-denied`, `id-token-invalid`, `stranger-refused`,
        `domain-refused`, Unavailable `oidc-provider-failed`, and what ArrivalService.welcome raises.
        """
        begun = self._open(name, back)
        provider = await self.providers.get_provider(name)
        metadata = await self.discovery.metadata(provider.issuer)
        _check_issuer(begun, metadata, back.query.get("iss"))
        if not await self._spending.spend(f"state {begun.state}", clock.from_ms(begun.until_ms)):
            raise Refused("sign-in-state", f"This sign-in was finished once already. {_BEGIN_AGAIN}")
        if "error" in back.query or not back.query.get("code"):
            raise _denied(provider, back.query)
        tokens = await self._redeem(provider, metadata, begun, back)
        text = tokens.get("id_token")
        if not isinstance(text, str):
            raise failed(metadata.token_endpoint, "it gave no ID token")
        audience = Audience(provider.issuer, provider.client_id)
        claims = await read_id_token(self.discovery, audience, text, begun.nonce)
        arrival = arrival_of(provider, await self._completed(provider, metadata, claims, tokens.get("access_token")))
        if not provider.settings.is_welcoming:
            await self._check_known(arrival.provider, arrival.external_id)
        user = await self._arrivals.welcome(arrival)
        sid = claims.get("sid")
        return SignedIn(user, begun.path, provider.word, sid if isinstance(sid, str) else None, text)

    async def log_out(self, name: str, logout_token: str) -> int:
        """End the sessions that a provider's logout token names; how many. Raises Refused `logout-token-invalid`."""
        provider = await self.providers.get_provider(name)
        audience = Audience(provider.issuer, provider.client_id)
        claims = await read_logout_token(self.discovery, audience, logout_token)
        if not await self._spending.spend(f"jti {provider.word} {claims['jti']}", clock.now() + _JTI_KEPT):
            raise Refused("logout-token-invalid", f"The logout token of {provider.issuer} was used already.")
        subject = claims.get("sub")
        external_id = None if subject is None else provider.external_id(subject)
        return await self._sessions.end_at_provider(provider.word, sid=claims.get("sid"), external_id=external_id)

    async def farewell(self, method: str, id_token: str | None, back_to: str) -> str | None:
        """Where a browser signs out of the provider too; None when that cannot be (RP-Initiated Logout 1.0)."""
        names = [one for one in await self.providers.list_names() if f"oidc:{one}" == method]
        if not names:
            return None
        provider = await self.providers.get_provider(names[0])
        try:
            endpoint = (await self.discovery.metadata(provider.issuer)).end_session_endpoint
        except Unavailable:
            return None
        if endpoint is None:
            return None
        question = {"client_id": provider.client_id, "post_logout_redirect_uri": back_to}
        return _with_query(endpoint, question | ({"id_token_hint": id_token} if id_token else {}))

    async def test(self, name: str) -> Metadata:
        """Ask a provider anew what it is. Raises what Discovery raises."""
        provider = await self.providers.get_provider(name)
        self.discovery.forget(provider.issuer)
        return await self.discovery.metadata(provider.issuer)

    def _open(self, name: str, back: Return) -> _Begun:
        """What this browser had begun with this provider. Raises Refused `sign-in-state`."""
        try:
            begun = msgspec.json.decode(self._sealer.unseal(back.cookie or ""), type=_Begun)
        except (Unavailable, msgspec.DecodeError):
            raise Refused("sign-in-state", f"This sign-in was not begun in this browser. {_BEGIN_AGAIN}") from None
        if not compare_digest(begun.state.encode(), back.query.get("state", "").encode("utf-8", "surrogateescape")):
            raise Refused("sign-in-state", f"The answer belongs to another sign-in than this browser's. {_BEGIN_AGAIN}")
        if begun.provider != name:
            raise Refused("sign-in-state", f"This sign-in was begun with another provider. {_BEGIN_AGAIN}")
        if clock.from_ms(begun.until_ms) <= clock.now():
            raise Refused("sign-in-state", f"This sign-in took longer than ten minutes. {_BEGIN_AGAIN}")
        return begun

    async def _redeem(
        self, provider: OidcProvider, metadata: Metadata, begun: _Begun, back: Return
    ) -> Mapping[str, Any]:
        question = {
            "grant_type": "authorization_code",
            "code": back.query["code"],
            "redirect_uri": back.url,
            "code_verifier": begun.verifier,
        }
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        if provider.client_secret is None:
            question["client_id"] = provider.client_id
        elif "client_secret_basic" in metadata.token_auth_methods:
            headers["Authorization"] = _basic(provider.client_id, provider.client_secret)
        else:
            question |= {"client_id": provider.client_id, "client_secret": provider.client_secret}
        url = await self._outgoing().vet(metadata.token_endpoint, told_by=provider.issuer)
        body = urlencode(question).encode()
        async with self._outgoing().open(url, method="POST", headers=headers, body=body) as answer:
            content = await answer.read(_ANSWER_BYTES)
        document = read_json(answer.url, content)
        if answer.status == 200:
            return document
        if document.get("error") == "invalid_grant":
            raise Refused("sign-in-denied", f"{provider.word} did not take its own code back. {_BEGIN_AGAIN}")
        raise failed(answer.url, f"it answers {answer.status} ({_shown(document.get('error'))}) to a code")

    async def _completed(
        self, provider: OidcProvider, metadata: Metadata, claims: Claims, access_token: object
    ) -> Claims:
        """The claims, with those of the userinfo endpoint where the ID token lacks some that we look for."""
        endpoint = metadata.userinfo_endpoint
        if endpoint is None or not isinstance(access_token, str) or not lacks_claims(claims, provider.settings):
            return claims
        url = await self._outgoing().vet(endpoint, told_by=provider.issuer)
        headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
        async with self._outgoing().open(url, headers=headers) as answer:
            body = await answer.read(_ANSWER_BYTES)
        if answer.status != 200:
            raise failed(answer.url, f"it answers {answer.status}")
        more = read_json(answer.url, body)
        if more.get("sub") != claims["sub"]:
            raise Refused("id-token-invalid", f"{provider.issuer} tells of another person than its ID token does.")
        return {**more, **claims}

    async def _check_known(self, provider: str, external_id: str) -> None:
        columns = tables.user.c
        same = (columns.provider == provider) & (columns.external_id == external_id)
        async with self._database.read() as connection:
            if (await connection.execute(select(columns.id).where(same))).first() is None:
                raise Refused("stranger-refused", f"{provider} lets in only people who have been here before.")


def _check_issuer(begun: _Begun, metadata: Metadata, said: str | None) -> None:
    """Whoever answers must be the issuer that was asked: two providers are never mixed up (RFC 9207)."""
    if begun.issuer != metadata.issuer or said not in {None, metadata.issuer}:
        raise Refused("sign-in-issuer", f"The answer comes from another issuer than the one asked. {_BEGIN_AGAIN}")
    if said is None and metadata.is_saying_issuer:
        raise Refused("sign-in-issuer", f"The answer does not say which issuer it comes from. {_BEGIN_AGAIN}")


def _denied(provider: OidcProvider, query: Mapping[str, str]) -> Refused:
    why = _shown(query.get("error_description") or query.get("error") or "it sent no code")
    return Refused("sign-in-denied", f"{provider.word} did not sign you in: {why}.")


def _shown(text: object) -> str:
    return "".join(sign for sign in str(text)[:200] if sign.isprintable()).rstrip(".")


def _challenge(verifier: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _basic(name: str, secret: str) -> str:
    """RFC 6749 2.3.1: each part encoded as in a form first."""
    return "Basic " + b64encode(f"{quote(name, safe='')}:{quote(secret, safe='')}".encode()).decode()


def _with_query(url: str, question: Mapping[str, str]) -> str:
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(question)}"

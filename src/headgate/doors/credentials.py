"""From a request to who asks: where credentials may stand, and which address they come from."""

from collections.abc import Callable, Sequence
from urllib.parse import parse_qs

from headgate.access.addresses import is_within, parse_address
from headgate.access.authenticate import KEY_HEADERS, Authenticator, BadCredentials
from headgate.access.lockout import SignInLocked
from headgate.access.principals import Principal
from headgate.doors.http import Scope, header
from headgate.doors.sessions import PROOF_HEADER, SessionCookies
from headgate.kernel.errors import Refused

_KEY_HEADERS = tuple(name.encode() for name in KEY_HEADERS)
_FORWARDED = b"x-forwarded-for"
_QUERY_KEY = "key"
_UNKNOWN = "unknown"


class ProxyRanges:
    """The reverse proxies whose word is taken for where a request comes from."""

    def __init__(self, ranges: Sequence[str]) -> None:
        self._ranges = tuple(ranges)

    def address_of(self, scope: Scope) -> str:
        """The caller's address: the peer's; behind trusted proxies, the last that none of them has."""
        client = scope.get("client")
        peer: str = client[0] if client else _UNKNOWN
        if not self._ranges or not is_within(peer, self._ranges):
            return peer
        return self._forwarded(scope, peer)

    def _forwarded(self, scope: Scope, peer: str) -> str:
        values = [value.decode("latin-1") for name, value in scope["headers"] if name == _FORWARDED]
        nearest = peer
        for text in reversed(",".join(values).split(",")):
            address = _without_port(text.strip())
            if address is None:  # whoever wrote that is not to be believed any further
                return nearest
            nearest = address
            if not is_within(address, self._ranges):
                break
        return nearest


def _without_port(text: str) -> str | None:
    """`192.0.2.7`, `192.0.2.7:4711`, `2001:db8::1` or `[2001:db8::1]:4711` as an address; None for anything else."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    found = parse_address(text)
    return None if found is None else str(found)


def require_own_password(principal: Principal) -> None:
    """Raises Refused `password-must-change` for somebody who comes with a password that another chose for them."""
    if principal.must_change_password and principal.token is None:
        raise Refused(
            "password-must-change",
            f"{principal.name} must change the password first: `headgate user change-password`, "
            "or POST /api/v1/me/password.",
        )


class SignIn:
    """Reads the credentials of a request; `refused` is told the code of each refusal."""

    def __init__(
        self,
        authenticator: Authenticator,
        cookies: SessionCookies,
        proxies: ProxyRanges,
        refused: Callable[[str], None],
        *,
        is_taking_query_keys: bool,
    ) -> None:
        self._authenticator = authenticator
        self._cookies = cookies
        self._refused = refused
        self._is_taking_query_keys = is_taking_query_keys
        self.proxies = proxies

    async def principal(self, scope: Scope, token: str | None = None, *, is_change: bool = False) -> Principal:
        """Who asks; `token` is one from the path. Nobody without credentials, or a session.

        Raises BadCredentials for credentials that are not good, wherever they stand; SignInLocked after too many of
        those; Refused `password-must-change`, `token-address` where the token may not be used, or
        `request-forged` when a session's cookie alone speaks for a change.
        """
        principal = await self.newcomer(scope, token, is_change=is_change)
        require_own_password(principal)
        return principal

    async def newcomer(self, scope: Scope, token: str | None = None, *, is_change: bool = False) -> Principal:
        """The same for somebody who may have to change their password first."""
        try:
            return await self._read(scope, token, is_change=is_change)
        except (BadCredentials, SignInLocked) as error:
            self._refused(error.code)
            raise

    async def password(self, scope: Scope, name: str, password: str) -> Principal:
        """Who has that name and password, typed into a page or a body. Raises BadCredentials, SignInLocked."""
        try:
            return await self._authenticator.password(name, password, self.proxies.address_of(scope))
        except (BadCredentials, SignInLocked) as error:
            self._refused(error.code)
            raise

    async def _read(self, scope: Scope, token: str | None, *, is_change: bool) -> Principal:
        authenticator = self._authenticator
        address = self.proxies.address_of(scope)
        if token is not None:
            return authenticator.token(token, address)
        authorization = header(scope, b"authorization")
        if authorization is not None:
            return await authenticator.header(authorization, address)
        key = next((key for name in _KEY_HEADERS if (key := header(scope, name)) is not None), None)
        if key is None and scope["query_string"]:
            key = self._query_key(scope)
        if key is not None:
            return authenticator.token(key, address)
        visitor = await self._cookies.find(scope)
        if visitor is None:
            return authenticator.nobody
        if is_change:
            self._cookies.check(scope, visitor, header(scope, PROOF_HEADER.encode()))
        return visitor.principal

    def _query_key(self, scope: Scope) -> str | None:
        query: str = scope["query_string"].decode("latin-1")
        values = parse_qs(query, keep_blank_values=True).get(_QUERY_KEY) if f"{_QUERY_KEY}=" in query else None
        if values is None:
            return None
        if not self._is_taking_query_keys:
            raise BadCredentials(
                "key-in-query",
                "This server takes no key from the query (access.accept_key_in_query). Put it into X-API-Key.",
            )
        return values[0]

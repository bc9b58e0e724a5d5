"""From credentials to a principal, without touching the database on the hot path."""

import asyncio
import functools
import hmac
from base64 import b64decode
from dataclasses import dataclass, replace

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.directory import Directory, read_directory
from headgate.access.grants import ANONYMOUS
from headgate.access.ldap.signin import LdapSignIn
from headgate.access.permissions import ScopeAction
from headgate.access.principals import Principal, TokenScope
from headgate.access.secrets import digest_of, prefix_of
from headgate.db import tables
from headgate.kernel import clock
from headgate.kernel.errors import HeadgateError, Refused

KEY_HEADERS = ("x-api-key", "x-apikey", "x-auth")
"""Headers that may hold a token's text, the first that is there counts."""
_REMEMBERED = 5_000


class BadCredentials(HeadgateError):
    """Credentials were given and are not good; never treated as if none had been given."""


@dataclass(frozen=True, slots=True)
class _Token:
    digest: bytes
    principal: Principal
    is_revoked: bool


class Authenticator:
    """Knows every token and user in memory; a snapshot of topic `access`."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._elsewhere: LdapSignIn | None = None
        self._tokens: dict[str, _Token] = {}
        self._seen: dict[str, _Token] = {}
        self._directory = Directory()
        self._passwords: dict[bytes, Principal] = {}
        self._hasher = PasswordHasher()
        self._hashing = asyncio.Semaphore(2)

    def ask_also(self, elsewhere: LdapSignIn) -> None:
        """Whom to ask for people whose password is not kept here."""
        self._elsewhere = elsewhere

    async def load(self, connection: AsyncConnection) -> None:
        """Read everybody and every token again, and forget remembered passwords."""
        directory = await read_directory(connection)
        tokens: dict[str, _Token] = {}
        for row in await connection.execute(select(tables.token)):
            owner = directory.by_id.get(row.user_id)
            if owner is None:
                continue
            actions = None if row.permissions is None else frozenset(map(ScopeAction, row.permissions))
            channels = None if row.channels is None else frozenset(row.channels)
            scope = TokenScope(row.id, row.name, actions, channels, row.expires_at)
            principal = replace(owner, token=scope)
            tokens[row.prefix] = _Token(row.digest, principal, row.revoked_at is not None)
        self._directory = directory
        self._tokens = tokens
        self._seen.clear()
        self._passwords.clear()
        if self._elsewhere is not None:
            self._elsewhere.forget()

    @property
    def nobody(self) -> Principal:
        """Who asks without credentials."""
        return self._directory.nobody

    def find(self, name: str) -> Principal | None:
        """The user or service account of that name, as if signed in without a token; `anonymous` is nobody."""
        if name == ANONYMOUS:
            return self.nobody
        return self._directory.by_name.get(name)

    def user(self, number: int) -> Principal | None:
        """The user or service account with that id, unless they are gone or disabled."""
        found = self._directory.by_id.get(number)
        return None if found is None or found.is_disabled else found

    def token(self, text: str) -> Principal:
        """The principal of a token's text. Raises BadCredentials that says what is wrong with it."""
        known = self._seen.get(text)
        if known is None:
            known = self._tokens.get(prefix_of(text) or "")
            digest = digest_of(self._secret, text)
            if known is None or not hmac.compare_digest(known.digest, digest):
                raise BadCredentials("token-unknown", "The token is not one of this server's. Check that it is whole.")
            if len(self._seen) < _REMEMBERED:
                self._seen[text] = known
        if known.is_revoked:
            raise BadCredentials("token-revoked", "The token was revoked. Ask for a new one.")
        _check_enabled(known.principal)
        scope = known.principal.token
        if scope is not None and scope.expires_at is not None and scope.expires_at <= clock.now():
            raise BadCredentials("token-expired", f"The token expired at {scope.expires_at:%Y-%m-%d %H:%M} UTC.")
        return known.principal

    async def password(self, name: str, password: str) -> Principal:
        """The user with that name and password: argon2id for our own, else a directory. Raises BadCredentials.

        Raises what `LdapSignIn.sign_in` raises for a name that only a directory can know.
        """
        key = digest_of(self._secret, f"{name}\0{password}")
        remembered = self._passwords.get(key)
        if remembered is not None:
            return remembered
        directory = self._directory
        stored = directory.password_hashes.get(name)
        provider = directory.providers.get(name)
        is_ours = name in directory.by_name and provider is None
        if self._elsewhere is not None and not is_ours and self._elsewhere.may_know(provider):
            return await self._sign_in_elsewhere(self._elsewhere, key, name, password, provider)
        async with self._hashing:
            is_good = await asyncio.to_thread(self._verify, stored, password)
        if self._directory is not directory:  # somebody changed meanwhile, perhaps this one
            return await self.password(name, password)
        if stored is None or not is_good:
            raise BadCredentials("password-wrong", "The user name or the password is wrong.")
        principal = directory.by_name[name]
        _check_enabled(principal)
        if len(self._passwords) < _REMEMBERED:
            self._passwords[key] = principal
        return principal

    async def _sign_in_elsewhere(
        self, elsewhere: LdapSignIn, key: bytes, name: str, password: str, provider: str | None
    ) -> Principal:
        try:
            found = await elsewhere.sign_in(key, name, password, provider)
        except Refused as error:  # an administrator's ban
            raise BadCredentials(error.code, error.message) from error
        if found.is_disabled:
            raise BadCredentials("user-disabled", f"{name} is disabled in the directory. Ask an administrator.")
        principal = None if found.name is None else self._directory.by_name.get(found.name)
        if principal is None:
            raise BadCredentials("password-wrong", "The user name or the password is wrong.")
        _check_enabled(principal)
        return principal

    async def header(self, authorization: str) -> Principal:
        """The principal of an `Authorization` header: Bearer, or Basic with a token or a password as its password.

        Raises BadCredentials.
        """
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() in {"bearer", "token"}:
            return self.token(value.strip())
        if scheme.lower() != "basic":
            raise BadCredentials("scheme-unknown", "Use Bearer or Basic authorization.")
        try:
            name, _, password = b64decode(value.strip(), validate=True).decode().partition(":")
        except ValueError as error:
            raise BadCredentials("basic-invalid", "The Basic authorization is not base64 of user:password.") from error
        if prefix_of(password) is not None:
            return self.token(password)
        return await self.password(name, password)

    def _verify(self, stored: str | None, password: str) -> bool:
        try:
            return self._hasher.verify(stored or _no_password(), password)
        except (VerificationError, InvalidHashError):
            return False


def _check_enabled(principal: Principal) -> None:
    if principal.is_disabled:
        raise BadCredentials("user-disabled", f"{principal.name} is disabled. Ask an administrator.")


@functools.cache
def _no_password() -> str:
    """Compared against when the user is unknown, so that it takes as long as a wrong password."""
    return PasswordHasher().hash("no such user")

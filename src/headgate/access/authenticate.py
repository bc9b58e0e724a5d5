"""From credentials to a principal, without touching the database on the hot path."""

import asyncio
import hmac
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.addresses import is_within
from headgate.access.directory import Directory, read_directory
from headgate.access.failures import FailureLog
from headgate.access.grants import ANONYMOUS
from headgate.access.ldap.signin import LdapSignIn
from headgate.access.lockout import Lockout, Recent, SignInLocked
from headgate.access.passwords import verify_password
from headgate.access.permissions import ScopeAction
from headgate.access.principals import Principal, TokenScope
from headgate.access.secrets import digest_of, is_generated, prefix_of
from headgate.access.uses import Use
from headgate.db import tables
from headgate.kernel import clock
from headgate.kernel.errors import HeadgateError, Refused

KEY_HEADERS = ("x-api-key", "x-apikey", "x-auth")
"""Headers that may hold a token's text, the first that is there counts."""
_REMEMBERED = 5_000
# Hashing one password takes 64 MiB and a twentieth of a second.
_HASHED_AT_ONCE = 2
_MOST_WAITING = 64
_NOTHING = b"\0" * 32


class BadCredentials(HeadgateError):
    """Credentials were given and are not good; never treated as if none had been given."""


@dataclass(frozen=True, slots=True)
class _Token:
    digest: bytes
    principal: Principal
    is_revoked: bool
    ends_at: datetime | None


class Authenticator:
    """Knows every token and user in memory; a snapshot of topic `access`.

    `uses` is told of every use of a token.
    """

    def __init__(self, secret: bytes, uses: dict[int, Use]) -> None:
        self._secret = secret
        self._uses = uses
        self._elsewhere: LdapSignIn | None = None
        self._tokens: dict[str, _Token] = {}
        self._seen: dict[str, _Token] = {}
        self._directory = Directory()
        self._passwords: Recent[bytes, Principal] = Recent(_REMEMBERED)
        self._under_way: dict[bytes, asyncio.Task[Principal | HeadgateError]] = {}
        self._hashing = asyncio.Semaphore(_HASHED_AT_ONCE)
        self.lockout = Lockout()
        self.failures = FailureLog()

    def ask_also(self, elsewhere: LdapSignIn) -> None:
        """Whom to ask for people whose password is not kept here."""
        self._elsewhere = elsewhere

    async def load(self, connection: AsyncConnection) -> None:
        """Read everybody and every token again, and forget remembered passwords."""
        directory = await read_directory(connection)
        tokens: dict[str, _Token] = {}
        for row in await connection.execute(select(tables.token)):
            owner = directory.by_id.get(row.user_id)
            if owner is not None:
                tokens.update(_known_texts(row, replace(owner, token=_scope(row))))
        self._directory = directory
        self._tokens = tokens
        self._seen.clear()
        self._passwords.pop_all()
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

    def token(self, text: str, address: str) -> Principal:
        """The principal of a token's text. Raises BadCredentials that says what is wrong with it.

        Raises Refused `token-address` away from the addresses that the token is for, and SignInLocked.
        """
        known = self._seen.get(text) or self._look_up(text, address)
        principal = known.principal
        scope = principal.token
        assert scope is not None
        if known.is_revoked:
            raise BadCredentials("token-revoked", "The token was revoked. Ask for a new one.")
        if principal.is_disabled:
            raise _disabled(principal)
        now = clock.now()
        if known.ends_at is not None and known.ends_at <= now:
            raise BadCredentials("token-expired", f"The token expired at {known.ends_at:%Y-%m-%d %H:%M} UTC.")
        if scope.addresses is not None and not is_within(address, scope.addresses):
            raise Refused("token-address", f"Token {scope.name} may not be used from {address}.")
        self._uses[scope.id] = (now, address)
        return principal

    def _look_up(self, text: str, address: str) -> _Token:
        """What is known of a text. One that somebody chose could be guessed: who guesses has to wait."""
        is_chosen = not is_generated(text)
        credentials = digest_of(self._secret, f"{address}\0\0{text}") if is_chosen else _NOTHING
        if is_chosen:
            self.lockout.check_address(address, credentials)
        known = self._tokens.get(prefix_of(self._secret, text) or "")
        is_good = hmac.compare_digest(_NOTHING if known is None else known.digest, digest_of(self._secret, text))
        if known is None or not is_good:
            if is_chosen:
                self.lockout.fail_address(address)
            self.failures.note("a token", address, "token-unknown")
            raise BadCredentials("token-unknown", "The token is not one of this server's. Check that it is whole.")
        if is_chosen:
            self.lockout.succeed_at(credentials)
        elif len(self._seen) < _REMEMBERED:
            self._seen[text] = known
        return known

    async def password(self, name: str, password: str, address: str) -> Principal:
        """The user with that name and password: argon2id for our own, else a directory.

        Raises BadCredentials, SignInLocked, and what `LdapSignIn.sign_in` raises for a name only a directory can know.
        """
        key = digest_of(self._secret, f"{address}\0{name}\0{password}")
        remembered = self._passwords.find(key)
        if remembered is not None:
            return remembered
        # Clients ask with many connections at once: the same credentials are looked at once, and count once.
        task = self._under_way.get(key)
        if task is None:
            self.lockout.check(name, address, key)
            self._check_load(key)
            task = asyncio.create_task(self._look_at(key, name, password, address))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        outcome = await asyncio.shield(task)
        if isinstance(outcome, HeadgateError):
            raise outcome
        return outcome

    async def header(self, authorization: str, address: str) -> Principal:
        """The principal of an `Authorization` header: Bearer, or Basic with a token or a password as its password.

        Raises BadCredentials, and what `token` raises.
        """
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() in {"bearer", "token"}:
            return self.token(value.strip(), address)
        if scheme.lower() != "basic":
            raise BadCredentials("scheme-unknown", "Use Bearer or Basic authorization.")
        try:
            name, _, password = b64decode(value.strip(), validate=True).decode().partition(":")
        except ValueError as error:
            raise BadCredentials("basic-invalid", "The Basic authorization is not base64 of user:password.") from error
        if is_generated(password) or prefix_of(self._secret, password) in self._tokens:
            return self.token(password, address)
        return await self.password(name, password, address)

    def _check_load(self, key: bytes) -> None:
        if len(self._under_way) >= _MOST_WAITING and not self.lockout.is_proven(key):
            raise SignInLocked("sign-in-busy", "Too many people sign in just now. Try again in a moment.", 5)

    async def _look_at(self, key: bytes, name: str, password: str, address: str) -> Principal | HeadgateError:
        try:
            principal, is_ours = await self._find(key, name, password)
        except HeadgateError as error:
            return error
        if principal is None:
            self.lockout.fail(name, address, key)
            # What is no user's name may be a password in the wrong field.
            whose = name if name in self._directory.by_name else "unknown"
            self.failures.note(whose, address, "password-wrong")
            return BadCredentials("password-wrong", "The user name or the password is wrong.")
        if principal.is_disabled:
            self.failures.note(principal.name, address, "user-disabled")
            return _disabled(principal)
        self.lockout.succeed(name, address, key)
        if is_ours:
            self._passwords.put(key, principal)
        return principal

    async def _find(self, key: bytes, name: str, password: str) -> tuple[Principal | None, bool]:
        """Who has that name and password, and whether the password is kept here; a directory knows other people's."""
        provider = self._directory.providers.get(name)
        is_ours = name in self._directory.by_name and provider is None
        if self._elsewhere is not None and not is_ours and self._elsewhere.may_know(provider):
            return await self._find_elsewhere(self._elsewhere, key, name, password, provider), False
        is_good = await self._is_ours(name, password)
        return (self._directory.by_name.get(name) if is_good else None), True

    async def _find_elsewhere(
        self, elsewhere: LdapSignIn, key: bytes, name: str, password: str, provider: str | None
    ) -> Principal | None:
        try:
            found = await elsewhere.sign_in(key, name, password, provider)
        except Refused as error:  # an administrator's ban
            raise BadCredentials(error.code, error.message) from error
        if found.is_disabled:
            raise BadCredentials("user-disabled", f"{name} is disabled in the directory. Ask an administrator.")
        return None if found.name is None else self._directory.by_name.get(found.name)

    async def _is_ours(self, name: str, password: str) -> bool:
        while True:
            stored = self._directory.password_hashes.get(name)
            async with self._hashing:
                is_good = await asyncio.to_thread(verify_password, stored, password)
            if self._directory.password_hashes.get(name) == stored:  # nobody changed it meanwhile
                return is_good


def _disabled(principal: Principal) -> BadCredentials:
    return BadCredentials("user-disabled", f"{principal.name} is disabled. Ask an administrator.")


def _scope(row: Row[Any]) -> TokenScope:
    actions = None if row.permissions is None else frozenset(map(ScopeAction, row.permissions))
    channels = None if row.channels is None else frozenset(row.channels)
    addresses = None if row.addresses is None else tuple(row.addresses)
    return TokenScope(row.id, row.name, actions, channels, row.expires_at, addresses)


def _known_texts(row: Row[Any], principal: Principal) -> Iterator[tuple[str, _Token]]:
    """By prefix: the token's text, and while it lasts the one before the last rotation."""
    is_revoked = row.revoked_at is not None
    yield row.prefix, _Token(row.digest, principal, is_revoked, row.expires_at)
    if row.previous_prefix is not None:
        yield row.previous_prefix, _Token(row.previous_digest, principal, is_revoked, row.previous_ends_at)

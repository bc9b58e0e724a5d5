"""Signing in with a password that only a directory can check.

Directories are asked in their order. The first that has a person of that name decides, and no other is ever given the
password. One that is down decides too, by an error: nobody can tell whose password it would be that went to the next.
Only who is known to come from a later directory is asked for there.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog

from headgate.access.arrivals import Arrival, ArrivalService
from headgate.access.ldap.answers import WrongPassword
from headgate.access.ldap.client import LdapClient
from headgate.access.ldap.people import arrival_of, find_groups, find_person
from headgate.access.ldap.settings import LdapDirectory
from headgate.access.ldap.store import LdapDirectories
from headgate.kernel.errors import Unavailable

if TYPE_CHECKING:
    from headgate.access.ldap.wire import Session

_REMEMBERED = 5_000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a directory says of a login: whether it has such a person, and who came in."""

    is_known: bool
    arrival: Arrival | None = None
    is_disabled: bool = False


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who came in; no name when nobody did, though somebody disabled would have."""

    name: str | None
    is_disabled: bool = False


class LdapSignIn:
    """Checks passwords at directories, and lets people in.

    `reload` makes this process see what was just committed. A good password is good for `remember_s`, by a digest.
    """

    def __init__(
        self,
        directories: LdapDirectories,
        client: LdapClient,
        arrivals: ArrivalService,
        reload: Callable[[], Awaitable[None]],
        remember_s: float,
    ) -> None:
        self._directories = directories
        self._client = client
        self._arrivals = arrivals
        self._reload = reload
        self._remember_s = remember_s
        self._good: dict[bytes, tuple[float, str]] = {}
        self._asking: dict[bytes, asyncio.Task[SignedIn]] = {}

    def forget(self) -> None:
        """Ask again for everybody: access or a directory has changed."""
        self._good.clear()

    def may_know(self, provider: str | None) -> bool:
        """True when somebody of that provider (None: a name that nobody here has) could be in a directory."""
        known = self._directories.all()
        return bool(known) if provider is None else any(one.provider == provider for one in known)

    async def sign_in(self, key: bytes, login: str, password: str, provider: str | None) -> SignedIn:
        """Who comes in with that login and password; `key` is a digest of both, `provider` whose user the login is.

        Requests that come at once with the same ask once. Raises Unavailable `ldap-unavailable` and what
        `ArrivalService.welcome` raises.
        """
        until, name = self._good.get(key, (0.0, ""))
        if time.monotonic() < until:
            return SignedIn(name)
        task = self._asking.get(key)
        if task is None:
            task = asyncio.create_task(self._sign_in(key, login, password, provider))
            self._asking[key] = task
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(task)

    async def _sign_in(self, key: bytes, login: str, password: str, provider: str | None) -> SignedIn:
        if not login or not password:  # a bind without a password succeeds, and proves nothing
            return SignedIn(None)
        answer = await self._first_answer(login, password, provider)
        if answer.arrival is None or answer.is_disabled:
            return SignedIn(None, answer.is_disabled)
        name = await self._arrivals.welcome(answer.arrival)
        await self._reload()
        if self._remember_s and len(self._good) < _REMEMBERED:
            self._good[key] = (time.monotonic() + self._remember_s, name)
        return SignedIn(name)

    async def _first_answer(self, login: str, password: str, provider: str | None) -> _Answer:
        for directory in _candidates(self._directories.all(), provider):
            try:
                check = partial(_check, directory=directory, login=login, password=password)
                answer = await self._client.ask(directory, check)
            except Unavailable:
                if provider in {None, directory.provider}:
                    raise
                continue
            if answer.is_known:
                return answer
        return _Answer(is_known=False)


def _candidates(directories: Sequence[LdapDirectory], provider: str | None) -> Sequence[LdapDirectory]:
    """Who is asked: none behind the directory that a known user comes from."""
    for number, directory in enumerate(directories, 1):
        if directory.provider == provider:
            return directories[:number]
    return directories if provider is None else ()


def _check(session: "Session", directory: LdapDirectory, login: str, password: str) -> _Answer:
    settings = directory.settings
    person = find_person(session, settings, login)
    if person is None:
        return _Answer(is_known=False)
    # Groups first: they are looked up as whom the directory was told, who may see more than the person.
    arrival = arrival_of(directory, person, find_groups(session, settings, person))
    try:
        session.bind(person.dn, password)
    except WrongPassword:
        return _Answer(is_known=True)
    return _Answer(is_known=True, arrival=arrival, is_disabled=person.is_disabled)

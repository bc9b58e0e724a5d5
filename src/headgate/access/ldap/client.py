"""Asking a directory without holding up the event loop: in threads of its own, at the first of its servers that answers.

The threads are not those in which local passwords are verified, so a directory that hangs delays nobody else.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

import structlog

from headgate.access.ldap.answers import Refusal, Unreachable, WrongPassword
from headgate.access.ldap.settings import LdapDirectory, Target, targets_of
from headgate.db.sealing import Sealer
from headgate.kernel.errors import Unavailable

if TYPE_CHECKING:
    from headgate.access.ldap.wire import Session

T = TypeVar("T")
_AT_ONCE = 8
_REST_S = 5.0
_PURPOSE = "ldap bind password"

log = structlog.get_logger(__name__)


def sealer_of(secret: bytes) -> Sealer:
    """Seals bind passwords."""
    return Sealer(secret, _PURPOSE)


class _Resting(Exception):
    """The directory was found down a moment ago."""


class LdapClient:
    """Opens sessions, bound as each directory says."""

    def __init__(self, secret: bytes, *, rest_s: float = _REST_S) -> None:
        self._sealer = sealer_of(secret)
        self._threads = ThreadPoolExecutor(_AT_ONCE, "ldap")
        self._rest_s = rest_s
        # Replaced, never changed: threads look at it.
        self._resting: dict[LdapDirectory, tuple[float, str]] = {}

    def close(self) -> None:
        """Begin nothing more; calls under way end after their timeouts."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def ask(self, directory: LdapDirectory, work: "Callable[[Session], T]") -> T:
        """What `work` makes of a bound session; it may run again, at the directory's next server.

        Raises Unavailable `ldap-unavailable`, `ldap-refused`, `ldap-missing` or `secret-unreadable`. A directory whose
        servers are all down is not asked again for a few seconds, in which callers get the same error at once.
        """
        require_library()
        try:
            found: T = await self.run(self._ask, directory, work)
        except _Resting as error:
            raise _unavailable(directory, str(error)) from None
        except Unreachable as error:
            self._resting = {**self._live(), directory: (time.monotonic() + self._rest_s, str(error))}
            log.warning("ldap_unavailable", directory=directory.name, reason=str(error))
            raise _unavailable(directory, str(error)) from None
        except Refusal as error:
            log.warning("ldap_refused", directory=directory.name, reason=str(error))
            raise Unavailable("ldap-refused", f"The directory {directory.name} refuses: {_sentence(error)}") from None
        if directory in self._resting:
            self._resting = {one: known for one, known in self._live().items() if one != directory}
        return found

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """What blocking work returns, done in a thread for directories."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *arguments))

    def password_of(self, directory: LdapDirectory) -> str | None:
        """The password that the directory is searched with. Raises Unavailable `secret-unreadable`."""
        return None if directory.bind_password is None else self._sealer.unseal(directory.bind_password)

    def _ask(self, directory: LdapDirectory, work: "Callable[[Session], T]") -> T:
        known = self._live().get(directory)
        if known is not None:
            raise _Resting(known[1])
        failures = []
        for target in targets_of(directory.settings):
            try:
                with open_session(directory, target) as session:
                    bind(session, directory, self.password_of(directory))
                    return work(session)
            except Unreachable as error:
                failures.append(str(error))
        raise Unreachable("; ".join(failures))

    def _live(self) -> dict[LdapDirectory, tuple[float, str]]:
        now = time.monotonic()
        return {one: known for one, known in self._resting.items() if known[0] > now}


def require_library() -> None:
    """Raises Unavailable `ldap-missing` unless the client library is installed."""
    try:
        import_module("ldap3")
    except ModuleNotFoundError as error:
        raise Unavailable(
            "ldap-missing", "LDAP needs a library that is not installed here: pip install 'headgate[ldap]'."
        ) from error


def open_session(directory: LdapDirectory, target: Target) -> "Session":
    """A session that connects when it is entered."""
    session: Session = import_module("headgate.access.ldap.wire").Session(directory.settings, target)
    return session


def bind(session: "Session", directory: LdapDirectory, password: str | None) -> None:
    """Bind as the directory says. Raises Refusal."""
    try:
        session.bind(directory.settings.bind_dn, password)
    except WrongPassword as error:
        raise Refusal(f"the bind DN {directory.settings.bind_dn} or its password is wrong ({error})") from None


def _unavailable(directory: LdapDirectory, why: str) -> Unavailable:
    return Unavailable(
        "ldap-unavailable",
        f"No answer from the directory {directory.name}, which alone knows this: {why.rstrip('.')}. Try again later.",
    )


def _sentence(error: Exception) -> str:
    return str(error).rstrip(".") + "."

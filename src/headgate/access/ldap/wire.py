"""The only module that knows the client library; it comes with the extra `ldap`, so nobody imports this at start.

TLS is Python's own: the library's way of comparing names predates it. Calls block, and end after the directory's timeouts.
"""

import contextlib
import ssl
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import ldap3
from ldap3.core.exceptions import (
    LDAPCommunicationError,
    LDAPException,
    LDAPInvalidCredentialsResult,
    LDAPNoSuchObjectResult,
    LDAPOperationResult,
    LDAPResponseTimeoutError,
    LDAPStartTLSError,
    LDAPUnavailableResult,
)

from headgate.access.ldap.answers import Entry, Refusal, Unreachable, WrongPassword
from headgate.access.ldap.settings import LdapSettings, Target

_PAGED = "1.2.840.113556.1.4.319"
_MOST_ENTRIES = 500_000
_DOWN = (LDAPCommunicationError, LDAPResponseTimeoutError, LDAPStartTLSError, LDAPUnavailableResult, OSError)


class _Tls(ldap3.Tls):  # type: ignore[misc]  # the library has no types
    """TLS as everywhere else in the house, remembering what went wrong and whose certificate it was."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = context
        self.failure: Exception | None = None

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:  # noqa: FBT001, FBT002 - the library's
        """Shake hands, and check certificate and host name."""
        try:
            connection.socket = self._context.wrap_socket(connection.socket, server_hostname=connection.server.host)
        except (OSError, ValueError) as error:
            self.failure = error
            raise


class Session:
    """A connection to one server of a directory, from `with` to its end.

    Its methods raise Unreachable when there is no (or no trustworthy) answer, Refusal when the answer is a no.
    """

    def __init__(self, settings: LdapSettings, target: Target) -> None:
        self._settings = settings
        self._target = target
        self._tls = _Tls(ssl.create_default_context(cadata=settings.ca))
        server = ldap3.Server(
            target.host,
            target.port,
            use_ssl=target.is_tls,
            tls=self._tls,
            connect_timeout=settings.connect_timeout_seconds,
            get_info=ldap3.NONE,
        )
        self._connection = ldap3.Connection(
            server,
            client_strategy=ldap3.SYNC,
            receive_timeout=settings.answer_timeout_seconds,
            auto_referrals=False,
            auto_escape=False,
            check_names=False,
            raise_exceptions=True,
            auto_range=True,
        )

    def __enter__(self) -> Self:
        try:
            self.connect()
            self.secure()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def connect(self) -> None:
        """Connect; for an ldaps URL with TLS."""
        with _Translated(self):
            self._connection.open(read_server_info=False)

    def secure(self) -> None:
        """StartTLS, where the directory asks for it."""
        if self._settings.starttls and not self._target.is_tls:
            with _Translated(self):
                self._connection.start_tls(read_server_info=False)

    def close(self) -> None:
        """Hang up; what the server thinks of that is of no interest."""
        with contextlib.suppress(LDAPException, OSError):
            self._connection.strategy.close()
        opened = self._connection.socket
        if opened is not None:  # the library forgets it when connecting fails
            opened.close()

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """The server's certificate as `ssl` shows it; None without TLS."""
        wrapped = self._connection.socket
        return wrapped.getpeercert() if isinstance(wrapped, ssl.SSLSocket) else None

    @property
    def tls_failure(self) -> Exception | None:
        """What the handshake ended with."""
        return self._tls.failure

    @property
    def url(self) -> str:
        """Whom this is connected to."""
        return self._target.url

    def bind(self, dn: str | None, password: str | None) -> None:
        """Say who asks; nobody, without a DN. Raises WrongPassword.

        A bind with a DN and no password succeeds on most servers and proves nothing (RFC 4513, 5.1.2): refused here.
        """
        connection = self._connection
        if dn is None:
            connection.authentication, connection.user, connection.password = ldap3.ANONYMOUS, None, None
        elif not dn or not password or "\0" in password:
            raise WrongPassword("There is no password.")
        else:
            # As bytes, the password is sent as it was typed.
            connection.authentication, connection.user = ldap3.SIMPLE, dn
            connection.password = password.encode("utf-8", "surrogateescape")
        with _Translated(self):
            connection.bind(read_server_info=False)
        connection.password = None

    def search(self, base: str, search_filter: str, attributes: list[str]) -> list[Entry]:
        """The entries below `base`; a base that is not there holds none."""
        return list(self.pages(base, search_filter, attributes))

    def read(self, dn: str, attributes: list[str]) -> Entry | None:
        """One entry, or None."""
        with _Translated(self):
            try:
                self._connection.search(dn, "(objectClass=*)", ldap3.BASE, attributes=attributes)
            except LDAPNoSuchObjectResult:
                return None
        return next(self._entries(), None)

    def pages(self, base: str, search_filter: str, attributes: list[str]) -> Iterator[Entry]:
        """The same, page by page (RFC 2696). Raises Refusal for more than half a million."""
        cookie: Any = None
        found = 0
        while True:
            with _Translated(self):
                try:
                    self._connection.search(
                        base,
                        search_filter,
                        ldap3.SUBTREE,
                        attributes=attributes,
                        paged_size=self._settings.page_size,
                        paged_cookie=cookie,
                        time_limit=self._settings.answer_timeout_seconds,
                    )
                except LDAPNoSuchObjectResult:
                    raise Refusal(f"There is nothing at {base}.") from None
            for entry in self._entries():
                found += 1
                yield entry
            if found > _MOST_ENTRIES:
                raise Refusal(f"More than {_MOST_ENTRIES} entries fit {search_filter}.")
            controls = self._connection.result.get("controls") or {}
            cookie = controls.get(_PAGED, {}).get("value", {}).get("cookie")
            if not cookie:
                return

    def _entries(self) -> Iterator[Entry]:
        """Entries of the last answer; references to other servers are not followed."""
        for one in self._connection.response or ():
            if one["type"] == "searchResEntry":
                values = {key.lower(): tuple(map(bytes, found)) for key, found in one["raw_attributes"].items()}
                yield Entry(str(one["dn"]), values)


class _Translated:
    """What the library raises, as errors of ours; never with a password in them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, LDAPInvalidCredentialsResult):
            raise WrongPassword(_words(error)) from None
        if isinstance(error, _DOWN):
            raise Unreachable(_why(self._session, error)) from None
        if isinstance(error, (LDAPException, UnicodeError)):
            raise Refusal(_words(error)) from None


def _why(session: Session, error: BaseException) -> str:
    failure = session.tls_failure
    if isinstance(failure, ssl.SSLCertVerificationError):
        return f"the certificate of {session.url} is not trusted: {failure.verify_message}"
    if failure is not None:
        return f"TLS with {session.url} failed: {failure}"
    return f"{session.url}: {_words(error)}"


def _words(error: BaseException) -> str:
    if isinstance(error, LDAPOperationResult):
        return " ".join(str(part) for part in (error.description, error.message) if part).replace("\0", "")
    return str(error)

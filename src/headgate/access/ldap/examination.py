"""Trying a directory out, step by step, and saying after each what was found or what to do.

resolve -> connect -> tls -> bind -> search -> groups -> (password) -> account      the first failure ends it
"""

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from headgate.access.arrivals import Arrival
from headgate.access.ldap.answers import Entry, Refusal, Unreachable, WrongPassword, identity_of, name_of
from headgate.access.ldap.client import LdapClient, bind, open_session, require_library
from headgate.access.ldap.filters import user_filter
from headgate.access.ldap.people import ExternalGroup, arrival_of, find_groups, find_person
from headgate.access.ldap.settings import LdapDirectory, Target, targets_of
from headgate.access.ldap.store import get_directory
from headgate.db import tables
from headgate.db.engine import Database

_ADVICE = {
    "resolve": "Check the host name in the URL, and that this machine's name server knows it.",
    "connect": "Check the port in the URL, that the directory runs, and that no firewall stands between.",
    "tls": "Give the CA that signed the directory's certificate (--ca-file), and use a host name that it names.",
    "bind": "Check the bind DN and its password (--bind-dn, --bind-password-file).",
    "search": "Check --user-base and --user-filter: the filter shown must find exactly one person.",
    "groups": "Check --group-base and --group-filter, and that the bind DN may read groups.",
    "password": "The password is wrong, or the directory does not let this person in.",
    "account": "Rename or delete the user who has the name here, or choose another --name-attribute.",
}


@dataclass(frozen=True, slots=True)
class Step:
    """What was tried: how it went in a sentence, the facts behind it, and on failure what to do."""

    name: str
    is_ok: bool
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    advice: str | None = None


class _Failed(Exception):
    def __init__(self, step: Step) -> None:
        super().__init__(step.text)
        self.step = step


class LdapExaminer:
    """Examines directories; changes nothing."""

    def __init__(self, database: Database, client: LdapClient) -> None:
        self._database = database
        self._client = client

    async def examine(self, name: str, login: str, password: str | None = None) -> list[Step]:
        """The steps that a sign-in of `login` takes, with the password only when it is given.

        Raises NotFound `ldap-directory-unknown`, Unavailable `ldap-missing` or `secret-unreadable`.
        """
        require_library()
        async with self._database.read() as connection:
            directory = (await get_directory(connection, name)).directory
        secret = self._client.password_of(directory)
        examined = _Examined(directory, secret, login, password)
        await self._client.run(examined.run)
        if examined.arrival is not None:
            examined.steps.append(await self._account(examined.arrival))
        return examined.steps

    async def _account(self, arrival: Arrival) -> Step:
        """Who the person is, or would be, here."""
        columns = tables.user.c
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(columns.name, columns.provider, columns.external_id, columns.disabled_at).where(
                    (columns.name == arrival.name)
                    | ((columns.provider == arrival.provider) & (columns.external_id == arrival.external_id))
                )
            )
            found = rows.all()
        facts = {"user": arrival.name, "groups": sorted(arrival.groups), "roles": sorted(arrival.roles)}
        own = [one for one in found if (one.provider, one.external_id) == (arrival.provider, arrival.external_id)]
        if found and not own:
            text = f"There is already a user {arrival.name} who does not come from {arrival.provider}."
            return Step("account", is_ok=False, text=text, facts=facts, advice=_ADVICE["account"])
        given = f"groups {_listed(facts['groups'])}; roles {_listed(facts['roles'])}"
        if not own:
            return Step("account", is_ok=True, text=f"Would become user {arrival.name}, with {given}.", facts=facts)
        disabled = ", who is disabled" if own[0].disabled_at is not None else ""
        return Step("account", is_ok=True, text=f"Is user {own[0].name}{disabled}, with {given}.", facts=facts)


class _Examined:
    """One examination; blocks."""

    def __init__(self, directory: LdapDirectory, secret: str | None, login: str, password: str | None) -> None:
        self.steps: list[Step] = []
        self.arrival: Arrival | None = None
        self._directory = directory
        self._secret = secret
        self._login = login
        self._password = password

    def run(self) -> None:
        """Take the steps at one server after another, until one answers."""
        for target in targets_of(self._directory.settings):
            try:
                for step in self._steps(target):
                    self.steps.append(step)
            except _Failed as failed:
                self.steps.append(failed.step)
                if failed.step.name in {"resolve", "connect", "tls"}:
                    continue
            return

    def _steps(self, target: Target) -> Iterator[Step]:
        yield self._resolve(target)
        session = open_session(self._directory, target)
        try:
            yield from self._connect(session, target)
            yield from self._look_up(session)
        finally:
            session.close()

    def _resolve(self, target: Target) -> Step:
        try:
            found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise _failed("resolve", f"{target.host} has no address: {error.strerror or error}.") from None
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        text = f"{target.host} is {', '.join(addresses)}."
        return Step("resolve", is_ok=True, text=text, facts={"url": target.url, "addresses": addresses})

    def _connect(self, session: Any, target: Target) -> Iterator[Step]:
        connected = Step("connect", is_ok=True, text=f"Connected to {target.host}, port {target.port}.")
        try:
            session.connect()
        except Unreachable as error:
            if session.tls_failure is None:
                raise _failed("connect", f"No connection: {error}.") from None
            yield connected
            raise _failed("tls", f"No trust: {error}.") from None
        yield connected
        try:
            session.secure()
        except (Unreachable, Refusal) as error:
            raise _failed("tls", f"No StartTLS: {error}.") from None
        certificate = session.certificate
        if certificate is None:
            warnings = " ".join(self._directory.settings.warnings)
            yield Step("tls", is_ok=True, text=f"No TLS. {warnings}", facts={"is_encrypted": False})
        else:
            facts = _shown_certificate(certificate)
            text = "TLS; the certificate of {subject}, issued by {issuer}, is good until {expires}.".format(**facts)
            yield Step("tls", is_ok=True, text=text, facts={"is_encrypted": True, **facts})

    def _look_up(self, session: Any) -> Iterator[Step]:
        yield self._bind(session)
        person, found = self._find(session)
        yield found
        groups = self._groups(session, person)
        yield Step("groups", is_ok=True, text=f"Groups: {_told(groups)}.", facts={"groups": _shown_groups(groups)})
        if self._password is not None:
            yield self._check_password(session, person.dn, self._password)
        self.arrival = arrival_of(self._directory, person, groups)

    def _bind(self, session: Any) -> Step:
        dn = self._directory.settings.bind_dn
        try:
            bind(session, self._directory, self._secret)
        except (Unreachable, Refusal) as error:
            raise _failed("bind", f"Cannot bind: {error}.", bind_dn=dn) from None
        text = f"Bound as {dn or 'nobody (anonymously)'}."
        return Step("bind", is_ok=True, text=text, facts={"bind_dn": dn})

    def _find(self, session: Any) -> tuple[Entry, Step]:
        settings = self._directory.settings
        asked = {"base": settings.user_base, "filter": user_filter(settings.user_filter, self._login)}
        where = f"{asked['filter']} below {asked['base'] or 'the root'}"
        try:
            person = find_person(session, settings, self._login)
            if person is None:
                raise _failed("search", f"Nobody fits {where}.", found=0, **asked)
            facts = {"dn": person.dn, "id": identity_of(person, settings), "name": name_of(person, settings)}
        except (Unreachable, Refusal) as error:
            raise _failed("search", f"Not found: {error}.", **asked) from None
        text = f"{where} finds {facts['dn']}, id {facts['id']}, name {facts['name']}."
        if person.is_disabled:
            advice = "Enable the account in the directory."
            raise _Failed(
                Step("search", is_ok=False, text=f"{text} It is disabled.", facts=asked | facts, advice=advice)
            )
        return person, Step("search", is_ok=True, text=text, facts=asked | facts)

    def _groups(self, session: Any, person: Entry) -> list[ExternalGroup]:
        try:
            return find_groups(session, self._directory.settings, person)
        except (Unreachable, Refusal) as error:
            raise _failed("groups", f"No groups: {error}.") from None

    def _check_password(self, session: Any, dn: str, password: str) -> Step:
        try:
            session.bind(dn, password)
        except WrongPassword:
            raise _failed("password", "The directory refuses the password.") from None
        except (Unreachable, Refusal) as error:
            raise _failed("password", f"The password could not be checked: {error}.") from None
        return Step("password", is_ok=True, text="The password is right.")


def _failed(name: str, text: str, **facts: Any) -> _Failed:
    tidy = text.rstrip(".") + "."
    return _Failed(Step(name, is_ok=False, text=tidy, facts=facts, advice=_ADVICE[name]))


def _shown_certificate(certificate: Mapping[str, Any]) -> dict[str, str]:
    return {
        "subject": _shown_name(certificate.get("subject", ())),
        "issuer": _shown_name(certificate.get("issuer", ())),
        "expires": str(certificate.get("notAfter", "")),
    }


def _shown_name(parts: Any) -> str:
    return ", ".join(f"{key}={value}" for part in parts for key, value in part) or "nobody"


def _listed(names: Any) -> str:
    return ", ".join(names) or "none"


def _told(groups: list[ExternalGroup]) -> str:
    return "; ".join(" < ".join([*one.path, one.name]) for one in groups) or "none"


def _shown_groups(groups: list[ExternalGroup]) -> list[dict[str, Any]]:
    return [{"dn": one.dn, "name": one.name, "path": list(one.path)} for one in groups]

"""What is known of a directory: where it is, how it is searched, and what its groups mean here."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from headgate.access.ldap.filters import DN, LOGIN, is_filter
from headgate.access.names import is_name
from headgate.kernel.errors import Invalid

ID_IS_DN = "dn"
"""As `id_attribute`: the distinguished name itself, for a directory that keeps nothing more lasting."""
_PORTS = {"ldap": 389, "ldaps": 636}


@dataclass(frozen=True, slots=True)
class GroupMapping:
    """What membership of a directory's group (its DN, or its name alone) gives here."""

    external: str
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LdapSettings:
    """Everything of a directory but its name and its bind password. Filters hold `{login}`, `{dn}`."""

    urls: tuple[str, ...] = ()
    starttls: bool = True
    insecure: bool = False
    ca: str | None = None
    bind_dn: str | None = None
    user_base: str = ""
    user_filter: str = "(&(objectClass=inetOrgPerson)(uid={login}))"
    name_attribute: str = "uid"
    id_attribute: str = "entryUUID"
    group_base: str | None = None
    group_filter: str = "(&(objectClass=groupOfNames)(member={dn}))"
    group_name_attribute: str = "cn"
    nested: bool = True
    member_of: bool = False
    mappings: tuple[GroupMapping, ...] = ()
    connect_timeout_seconds: int = 5
    answer_timeout_seconds: int = 10
    page_size: int = 500

    @property
    def warnings(self) -> tuple[str, ...]:
        """What an administrator should not forget; shown wherever the directory is."""
        plain = [url for url in self.urls if url.startswith("ldap://")]
        if not plain or self.starttls:
            return ()
        return (f"Passwords travel unencrypted to {', '.join(plain)}: whoever listens can read them.",)


@dataclass(frozen=True, slots=True)
class LdapDirectory:
    """A directory as a process knows it; `bind_password` is sealed."""

    id: int
    name: str
    position: int
    settings: LdapSettings
    bind_password: str | None

    @property
    def provider(self) -> str:
        """How users, memberships and grants name it."""
        return provider_of(self.name)


@dataclass(frozen=True, slots=True)
class Target:
    """Where one URL leads."""

    url: str
    host: str
    port: int
    is_tls: bool


_AD_PERSON = "(&(objectCategory=person)(objectClass=user)(sAMAccountName={login}))"
# LDAP_MATCHING_RULE_IN_CHAIN: the domain controller follows groups in groups by itself.
_AD_GROUPS = "(&(objectClass=group)(member:1.2.840.113556.1.4.1941:={dn}))"
TEMPLATES: Mapping[str, LdapSettings] = {
    "active-directory": LdapSettings(
        user_filter=_AD_PERSON,
        name_attribute="sAMAccountName",
        id_attribute="objectGUID",
        group_filter=_AD_GROUPS,
        nested=False,
        page_size=1000,
    ),
    "openldap": LdapSettings(),
    "freeipa": LdapSettings(
        user_filter="(&(objectClass=posixAccount)(uid={login}))",
        id_attribute="ipaUniqueID",
        group_filter="(&(objectClass=ipaUserGroup)(member={dn}))",
    ),
}


def provider_of(name: str) -> str:
    """`corp` is the provider `ldap:corp`."""
    return f"ldap:{name}"


def targets_of(settings: LdapSettings) -> list[Target]:
    """Where the URLs lead, in the order to try them."""
    return [_target(url) for url in settings.urls]


def changed(settings: LdapSettings, values: Mapping[str, Any]) -> LdapSettings:
    """The settings with some replaced, checked. Raises Invalid `ldap-setting-invalid`."""
    document = {**msgspec.to_builtins(settings), **values}
    try:
        made = msgspec.convert(document, LdapSettings)
    except msgspec.ValidationError as error:
        raise _invalid(f"A setting of the directory is not as it should be: {error}.") from error
    _check(made)
    return made


def _check(settings: LdapSettings) -> None:
    if not settings.urls:
        raise _invalid("A directory needs at least one URL, as ldaps://directory.example.")
    plain = [target for target in targets_of(settings) if not target.is_tls]
    if plain and not settings.starttls and not settings.insecure:
        raise _invalid(
            f"Without StartTLS, passwords would travel unencrypted to {plain[0].url}. "
            "Use ldaps://, leave StartTLS on, or set `insecure` if that is what you want."
        )
    if LOGIN not in settings.user_filter:
        raise _invalid(f"The user filter must hold {LOGIN}, which stands for the name that is signed in with.")
    if settings.group_base and DN not in settings.group_filter and LOGIN not in settings.group_filter:
        raise _invalid(f"The group filter must hold {DN} or {LOGIN}, which stand for whose groups are looked for.")
    for text in (settings.user_filter, settings.group_filter):
        if not is_filter(text):
            raise _invalid(f"{text!r} is not a search filter (RFC 4515): its brackets do not close.")
    for name in (name for mapping in settings.mappings for name in mapping.groups):
        if not is_name(name):
            raise _invalid(f"{name[:128]!r} cannot be the name of a group here.")
    if settings.ca is not None:
        _check_ca(settings.ca)


def _check_ca(text: str) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        raise _invalid("The CA is not a certificate in PEM form (-----BEGIN CERTIFICATE-----).") from error


def _target(url: str) -> Target:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _invalid(f"{url[:256]!r} is not a URL: {error}.") from error
    if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or parts.query or "@" in parts.netloc:
        raise _invalid(f"{url[:256]!r} is not the URL of a directory, as ldaps://directory.example:636.")
    return Target(url, parts.hostname, port or _PORTS[parts.scheme], parts.scheme == "ldaps")


def _invalid(sentence: str) -> Invalid:
    return Invalid("ldap-setting-invalid", sentence)

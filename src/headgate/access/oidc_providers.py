"""OIDC providers: where they are, who we are to them, and what of their claims counts here."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import Row, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.names import is_name
from headgate.audit.events import Action, record
from headgate.db.engine import Database
from headgate.db.sealing import Sealer
from headgate.db.tables_sign_in import oidc_provider as table
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, Invalid, NotFound

SAME_NAME = "*"
_NAME_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_LONGEST_NAME = 32


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """What a provider's claims mean here.

    Claims are given as dotted paths (`realm_access.roles`); of `name_claims` the first that is there counts. `groups`
    and `roles` map the provider's words to Headgate's names; `*` to `*` takes over every other word as it is, and needs
    `is_taking_same_names`. `is_welcoming`: somebody who was never here before is let in. `domains`: if any, only people
    with a verified e-mail address there, or of that Google Workspace.
    """

    scopes: tuple[str, ...] = ("openid", "profile", "email")
    name_claims: tuple[str, ...] = ("preferred_username", "email")
    group_claims: tuple[str, ...] = ("groups",)
    role_claims: tuple[str, ...] = ("realm_access.roles",)
    groups: dict[str, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    is_taking_same_names: bool = False
    is_welcoming: bool = True
    domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OidcProvider:
    """A provider. `client_secret` is None for a public client."""

    name: str
    issuer: str
    client_id: str
    client_secret: str | None = field(repr=False)
    settings: OidcSettings

    @property
    def word(self) -> str:
        """How users, sessions and audit events name it: `oidc:keycloak`."""
        return f"oidc:{self.name}"

    def external_id(self, subject: str) -> str:
        """Who never changes there: the subject within the issuer. A blank cannot be in an issuer."""
        return f"{self.issuer} {subject}"


class OidcProviderService:
    """Adds, changes and removes providers; each change one transaction with its audit event."""

    def __init__(self, database: Database, secret: bytes) -> None:
        self._database = database
        self._sealer = Sealer(secret, "oidc client secret")

    async def add(self, actor: str, provider: OidcProvider) -> None:
        """Add a provider. Raises Conflict `oidc-provider-exists`, Invalid `oidc-provider-invalid`."""
        check_provider(provider)
        try:
            async with self._database.write() as connection:
                values = {**self._values(provider), "created_at": clock.now()}
                await connection.execute(table.insert().values(values))
                await record(connection, Action.OIDC_PROVIDER_ADD, actor, subject=provider.name, issuer=provider.issuer)
        except IntegrityError as error:
            raise Conflict("oidc-provider-exists", f"There is already a provider {provider.name}.") from error

    async def change(self, actor: str, name: str, change: dict[str, Any]) -> OidcProvider:
        """Change what is given: fields of the provider or of its settings; the provider as it is then.

        People are known by issuer: with another issuer, nobody is who they were. Raises NotFound
        `oidc-provider-unknown`, Invalid `oidc-provider-invalid`.
        """
        async with self._database.write() as connection:
            changed = _changed(self._provider(await _get_row(connection, name)), change)
            check_provider(changed)
            await connection.execute(update(table).where(table.c.name == name).values(self._values(changed)))
            await record(connection, Action.OIDC_PROVIDER_SET, actor, subject=name, changed=sorted(change))
        return changed

    async def remove(self, actor: str, name: str) -> None:
        """Remove a provider; its people stay, but cannot sign in with it. Raises NotFound `oidc-provider-unknown`."""
        async with self._database.write() as connection:
            await _get_row(connection, name)
            await connection.execute(delete(table).where(table.c.name == name))
            await record(connection, Action.OIDC_PROVIDER_REMOVE, actor, subject=name)

    async def list_providers(self) -> Sequence[OidcProvider]:
        """Every provider, by name."""
        async with self._database.read() as connection:
            return [self._provider(row) for row in await connection.execute(select(table).order_by(table.c.name))]

    async def list_names(self) -> Sequence[str]:
        """The names of all providers; opens no secret."""
        async with self._database.read() as connection:
            return list((await connection.execute(select(table.c.name).order_by(table.c.name))).scalars())

    async def get_provider(self, name: str) -> OidcProvider:
        """One provider. Raises NotFound `oidc-provider-unknown`."""
        async with self._database.read() as connection:
            return self._provider(await _get_row(connection, name))

    def _values(self, provider: OidcProvider) -> dict[str, Any]:
        secret = provider.client_secret
        return {
            "name": provider.name,
            "issuer": provider.issuer,
            "client_id": provider.client_id,
            "client_secret": None if secret is None else self._sealer.seal(secret),
            "settings": msgspec.to_builtins(provider.settings),
        }

    def _provider(self, row: Row[Any]) -> OidcProvider:
        secret = None if row.client_secret is None else self._sealer.unseal(row.client_secret)
        settings = msgspec.convert(row.settings, OidcSettings)
        return OidcProvider(row.name, row.issuer, row.client_id, secret, settings)


def check_provider(provider: OidcProvider) -> None:
    """Raises Invalid `oidc-provider-invalid`, a reason per mistake."""
    settings = provider.settings
    reasons = [
        sentence
        for is_wrong, sentence in [
            (not _is_provider_name(provider.name), "A name is lower-case letters, digits and -, at most 32."),
            (not is_trustworthy(provider.issuer), "The issuer is an https URL; plain http only on this machine."),
            (_has_extras(provider.issuer), "The issuer has no user, query or fragment."),
            (not provider.client_id, "The client id is missing."),
            ("openid" not in settings.scopes, "The scopes must include openid."),
            (not settings.name_claims, "At least one claim must give the name."),
            (not _is_mapping(settings.groups, settings), _SAME_NAMES.format("groups")),
            (not _is_mapping(settings.roles, settings), _SAME_NAMES.format("roles")),
        ]
        if is_wrong
    ]
    if reasons:
        raise Invalid("oidc-provider-invalid", f"The provider is not valid: {' '.join(reasons)}", reasons)


_SAME_NAMES = "In the {}, * maps to *, and only with is_taking_same_names; nothing else maps to *, and all to names."


def is_trustworthy(url: str) -> bool:
    """True for https, and for http to this very machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and _is_here(host)))


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _has_extras(url: str) -> bool:
    return any(sign in url for sign in "@?# ") or not url.isprintable()


def _is_provider_name(name: str) -> bool:
    return 0 < len(name) <= _LONGEST_NAME and set(name) <= _NAME_LETTERS and not name.startswith("-")


def _is_mapping(mapping: dict[str, str], settings: OidcSettings) -> bool:
    if SAME_NAME in mapping and not settings.is_taking_same_names:
        return False
    return all(is_name(name) and (theirs == SAME_NAME) == (name == SAME_NAME) for theirs, name in mapping.items())


def _changed(provider: OidcProvider, change: dict[str, Any]) -> OidcProvider:
    names = {one.name for one in fields(OidcSettings)}
    settings = {name: getattr(provider.settings, name) for name in names}
    known: dict[str, Any] = {
        "issuer": provider.issuer,
        "client_id": provider.client_id,
        "client_secret": provider.client_secret,
    }
    settings |= {key: value for key, value in change.items() if key in names}
    known |= {key: value for key, value in change.items() if key in known}
    return OidcProvider(name=provider.name, settings=OidcSettings(**settings), **known)


async def _get_row(connection: AsyncConnection, name: str) -> Row[Any]:
    found = (await connection.execute(select(table).where(table.c.name == name))).first()
    if found is None:
        raise NotFound("oidc-provider-unknown", f"There is no OIDC provider {name[:64]}.")
    return found

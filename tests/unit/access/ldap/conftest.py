"""A directory of a company, and Headgate beside it."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from headgate.access.authenticate import BadCredentials
from headgate.access.ldap.client import LdapClient
from headgate.access.ldap.service import LdapChange
from headgate.access.ldap.sync import LdapSync
from headgate.access.principals import Principal
from headgate.access.secrets import load_secret
from headgate.bootstrap import Services
from headgate.kernel.errors import HeadgateError
from tests.slapd import GROUPS, PEOPLE, READER, READER_PASSWORD, Slapd, directory, group, person

Add = Callable[..., Awaitable[None]]


@pytest.fixture
def corp() -> Iterator[Slapd]:
    """Ada and bob are engineers, ada directly; engineers and staff contain each other."""
    people = "".join(person(uid, f"{uid}-secret") for uid in ("ada", "bob", "cleo", "dora"))
    disabled = person("eve", "eve-secret", more="userAccountControl: 514\n")
    groups = (
        group("engineers", "ada", "group:staff") + group("staff", "bob", "group:engineers") + group("cooks", "cleo")
    )
    with directory(people + disabled + groups) as server:
        yield server


def values_of(server: Slapd, **more: Any) -> dict[str, Any]:
    """Settings that fit the directory."""
    return {
        "urls": [server.tls_url],
        "ca": server.ca,
        "bind_dn": READER,
        "user_base": PEOPLE,
        "group_base": GROUPS,
    } | more


@pytest.fixture
def add(services: Services) -> Add:
    """Adds a directory, and lets the worker know."""

    async def adding(server: Slapd, name: str = "corp", **more: Any) -> None:
        change = LdapChange(values_of(server, **more), READER_PASSWORD)
        await services.core.ldap.add("test", name, change, "openldap")
        await services.snapshots.reload()

    return adding


@pytest.fixture
def following(services: Services) -> Iterator[LdapSync]:
    """What the jobs process follows directories with."""
    client = LdapClient(load_secret(services.core.place.folder.secret), rest_s=0)
    yield LdapSync(services.core.database, client)
    client.close()


async def sign_in(services: Services, name: str, password: str | None = None) -> Principal:
    return await services.authenticator.password(name, f"{name}-secret" if password is None else password, "192.0.2.1")


async def refusal(services: Services, name: str, password: str | None = None) -> str:
    """The code that a sign-in is refused with."""
    with pytest.raises(HeadgateError) as caught:
        await sign_in(services, name, password)
    assert isinstance(caught.value, BadCredentials) or caught.value.code != "password-wrong"
    return caught.value.code


async def groups_of(services: Services, name: str) -> tuple[str, ...]:
    return (await services.core.access.users.get_user(name)).groups


async def is_disabled(services: Services, name: str) -> bool:
    return (await services.core.access.users.get_user(name)).is_disabled

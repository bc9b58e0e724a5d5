"""What a directory may be set to."""

from typing import Any

import pytest

from headgate.access.ldap.service import UNCHANGED, LdapChange
from headgate.access.ldap.settings import TEMPLATES, LdapSettings, changed, targets_of
from headgate.bootstrap import Services
from headgate.kernel.errors import Conflict, Invalid

GOOD: dict[str, Any] = {"urls": ["ldaps://a.example"], "user_base": "dc=example"}


@pytest.mark.parametrize("name", list(TEMPLATES))
def test_templates_need_an_address_and_nothing_else(name: str) -> None:
    assert changed(TEMPLATES[name], GOOD | {"group_base": "dc=example"}).urls == ("ldaps://a.example",)


@pytest.mark.parametrize(
    "wrong",
    [
        {"urls": []},
        {"urls": ["http://a.example"]},
        {"urls": ["ldaps://"]},
        {"urls": ["ldaps://me:secret@a.example"]},
        {"urls": ["ldaps://a.example/dc=example"]},
        {"urls": ["ldaps://a.example:99999"]},
        {"urls": ["ldap://a.example"], "starttls": False},
        {"user_filter": "(uid=ada)"},
        {"user_filter": "(uid={login}"},
        {"group_base": "dc=example", "group_filter": "(cn=all)"},
        {"ca": "nonsense"},
        {"ca": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"},
        {"page_size": None},
        {"mappings": [{"external": "x", "groups": ["a/b"]}]},
    ],
)
def test_what_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        changed(LdapSettings(), GOOD | wrong)
    assert caught.value.code == "ldap-setting-invalid"


def test_plain_connection_carries_a_warning() -> None:
    assert changed(LdapSettings(), GOOD).warnings == ()
    assert changed(LdapSettings(), GOOD | {"urls": ["ldap://a.example"]}).warnings == ()
    plain = changed(LdapSettings(), {"urls": ["ldap://a.example"], "starttls": False, "insecure": True})
    assert "ldap://a.example" in plain.warnings[0]


def test_ports() -> None:
    settings = changed(LdapSettings(), {"urls": ["ldap://a", "ldaps://b", "ldaps://[::1]:7", "LDAPS://C"]})
    found = [(one.host, one.port, one.is_tls) for one in targets_of(settings)]
    assert found == [("a", 389, False), ("b", 636, True), ("::1", 7, True), ("c", 636, True)]


async def test_bind_password_survives_every_change_that_gives_no_other(services: Services) -> None:
    ldap = services.core.ldap
    await ldap.add("test", "corp", LdapChange(GOOD | {"bind_dn": "cn=x"}, "first"))

    async def password() -> str | None:
        return services.ldap.password_of((await ldap.get("corp")).directory)

    await ldap.change("test", "corp", LdapChange({"page_size": 9}))
    await ldap.change("test", "corp", LdapChange(GOOD | {"bind_dn": "cn=y"}, UNCHANGED), is_whole=True)
    assert await password() == "first"
    await ldap.change("test", "corp", LdapChange({}, "second"))
    assert await password() == "second"
    with pytest.raises(Invalid):
        await ldap.change("test", "corp", LdapChange({}, None))
    await ldap.change("test", "corp", LdapChange({"bind_dn": None}, None))
    assert await password() is None


async def test_order_is_as_last_said(services: Services) -> None:
    ldap = services.core.ldap
    for name in ("a", "b"):
        await ldap.add("test", name, LdapChange(GOOD))
    await ldap.add("test", "c", LdapChange(GOOD, position=1))
    await ldap.change("test", "b", LdapChange({}, position=2))
    assert [(one.directory.name, one.directory.position) for one in await ldap.list_directories()] == [
        ("c", 1),
        ("b", 2),
        ("a", 3),
    ]
    with pytest.raises(Conflict):
        await ldap.add("test", "a", LdapChange(GOOD))


async def test_role_that_does_not_exist_cannot_be_mapped(services: Services) -> None:
    with pytest.raises(Invalid):
        await services.core.ldap.add(
            "test", "corp", LdapChange(GOOD | {"mappings": [{"external": "x", "roles": ["nothing"]}]})
        )

"""Who vouches for people: directories and providers from the pages; what is secret is never shown, and stays where it was left."""

import html
import re
from collections.abc import AsyncIterator

import httpx
import pytest

from headgate.access.oidc_providers import OidcProvider, OidcSettings
from headgate.access.permissions import Permission
from headgate.bootstrap import Services
from tests.browser.watching import assert_valid
from tests.http.browsing import Browser, browsing, said
from tests.http.conftest import PASSWORD, Callers

HIDDEN = "•••"
SECRET = "what the directory knows"
DIRECTORY = {
    "name": "corp", "urls": "ldaps://one.example\nldaps://two.example", "starttls": "on", "bind_dn": "cn=reader",
    "bind_password": SECRET, "user_base": "ou=people", "group_base": "ou=groups",
    "groups": "cn=staff,dc=x -> Developers\ncn=staff,dc=x -> Everybody there", "roles": "cn=audit -> auditor",
}  # fmt: skip


@pytest.fixture
async def ada(services: Services, callers: Callers) -> AsyncIterator[Browser]:
    async with browsing(services) as browser:
        await browser.sign_in("ada", PASSWORD)
        yield browser


async def send(browser: Browser, path: str, **fields: str) -> httpx.Response:
    return await browser.post(f"/admin/{path}", csrf_token=await browser.proof(), **fields)


async def form_of(browser: Browser, path: str) -> dict[str, str]:
    """What a page's form would send if it were sent as it is."""
    text = (await browser.get(f"/admin/{path}")).text
    assert_valid(text)
    fields = {}
    for tag in re.findall(r"<input [^>]*>", text):
        found = dict(re.findall(r'([a-z_]+)="([^"]*)"', tag))
        if found.get("type") != "checkbox" or " checked" in tag:
            fields[found.get("name", "")] = html.unescape(found.get("value", "on"))
    for name, value in re.findall(r'<textarea [^>]*name="(\w+)"[^>]*>\n([^<]*)</textarea>', text):
        fields[name] = html.unescape(value)
    return {name: value for name, value in fields.items() if name and name not in {"csrf_token", "typed", "find"}}


async def test_a_directory_is_added_shown_changed_and_removed(services: Services, ada: Browser) -> None:
    start = await form_of(ada, "directories?template=openldap")
    assert start["user_filter"] == "(&(objectClass=inetOrgPerson)(uid={login}))"
    assert (await send(ada, "directories", **start | DIRECTORY)).status_code == 303
    (kept,) = await services.core.ldap.list_directories()
    settings = kept.directory.settings
    assert settings.urls == ("ldaps://one.example", "ldaps://two.example")
    assert [(one.external, one.groups, one.roles) for one in settings.mappings] == [
        ("cn=staff,dc=x", ("Developers", "Everybody there"), ()),
        ("cn=audit", (), ("auditor",)),
    ]
    shown = await form_of(ada, "directories/corp/settings")
    assert shown["bind_password"] == HIDDEN
    assert SECRET not in (await ada.get("/admin/directories/corp/settings")).text
    changed = await send(ada, "directories/corp/settings", **shown | {"page_size": "50"})
    assert changed.status_code == 303, said(changed)
    (after,) = await services.core.ldap.list_directories()
    assert after.directory.bind_password == kept.directory.bind_password
    assert (after.directory.settings.page_size, after.directory.settings.mappings) == (50, settings.mappings)
    assert (await send(ada, "directories/corp/remove", typed="crop")).status_code == 422
    assert (await send(ada, "directories/corp/remove", typed="corp")).status_code == 303
    assert (await ada.get("/admin/directories/corp/settings")).status_code == 404


async def test_directories_are_put_in_order(services: Services, ada: Browser) -> None:
    start = await form_of(ada, "directories?template=active-directory")
    for name in ("first", "second"):
        assert (await send(ada, "directories", **start | DIRECTORY | {"name": name})).status_code == 303
    second = await form_of(ada, "directories/second/settings")
    assert (await send(ada, "directories/second/settings", **second | {"position": "1"})).status_code == 303
    assert [one.directory.name for one in await services.core.ldap.list_directories()] == ["second", "first"]
    shown = await ada.get("/admin/providers")
    assert_valid(shown.text)
    assert shown.text.index(">second</a>") < shown.text.index(">first</a>")


@pytest.mark.parametrize(
    "wrong",
    [
        {"urls": ""}, {"urls": "http://corp.example"}, {"page_size": "many"}, {"groups": "staff"},
        {"roles": "staff -> nothing like it"}, {"user_filter": "(uid=x)"}, {"name_attribute": ""}, {"ca": "no PEM"},
        {"bind_password": ""},
    ],
    ids=lambda wrong: next(iter(wrong)) + "=" + next(iter(wrong.values())),
)  # fmt: skip
async def test_what_is_wrong_with_a_directory_is_said(ada: Browser, services: Services, wrong: dict[str, str]) -> None:
    start = await form_of(ada, "directories")
    answer = await send(ada, "directories", **start | DIRECTORY | wrong)
    assert_valid(answer.text)
    assert (answer.status_code, bool(said(answer))) == (422, True)
    assert SECRET not in answer.text
    assert list(await services.core.ldap.list_directories()) == []


async def test_a_provider_is_changed_and_keeps_its_secret(services: Services, ada: Browser) -> None:
    providers = services.oidc.providers
    await providers.add("test", OidcProvider("sso", "https://sso.example", "headgate", SECRET, OidcSettings()))
    shown = await form_of(ada, "providers/sso/settings")
    assert shown["client_secret"] == HIDDEN
    more = {"groups": "network -> Network Engineers", "domains": "corp.example"}
    answer = await send(ada, "providers/sso/settings", **shown | more)
    assert answer.status_code == 303, said(answer)
    kept = await providers.get_provider("sso")
    assert (kept.client_secret, kept.settings.groups, kept.settings.domains) == (
        SECRET, {"network": "Network Engineers"}, ("corp.example",),
    )  # fmt: skip
    for wrong in ({"issuer": "http://sso.example"}, {"scopes": "email"}, {"groups": "network"}):
        answer = await send(ada, "providers/sso/settings", **shown | {"client_secret": "another"} | wrong)
        assert_valid(answer.text)
        assert (answer.status_code, "Type the client secret again" in said(answer)) == (422, True), wrong
    assert (await send(ada, "providers/sso/settings", **shown | {"client_secret": ""})).status_code == 303
    assert (await providers.get_provider("sso")).client_secret is None
    assert (await ada.get("/admin/providers/none/settings")).status_code == 404


async def test_who_only_reads_sees_settings_that_cannot_be_changed(services: Services, ada: Browser) -> None:
    start = await form_of(ada, "directories")
    await send(ada, "directories", **start | DIRECTORY)
    provider = OidcProvider("sso", "https://sso.example", "headgate", None, OidcSettings())
    await services.oidc.providers.add("test", provider)
    access = services.core.access
    await access.grants.create_role("test", "reader", [Permission.ACCESS_READ])
    await send(ada, "grants", principal="user:bob", role="reader")
    async with browsing(services) as bob:
        await bob.sign_in("bob", PASSWORD)
        for path in ("providers/sso/settings", "directories/corp/settings"):
            text = (await bob.get(f"/admin/{path}")).text
            assert_valid(text)
            assert text.count("<fieldset") == text.count(" disabled>"), path
            assert ">Keep</button>" not in text
            assert (await send(bob, path, name="x")).status_code == 403
        assert (await bob.get("/admin/directories")).status_code == 403

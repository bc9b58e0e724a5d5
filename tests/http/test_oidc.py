"""Signing in with real identity providers, two of them, and everything that must not work."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from html import unescape

import pytest
from sqlalchemy import select, update

from headgate.access.oidc_providers import OidcProvider, OidcSettings
from headgate.access.permissions import Permission
from headgate.access.users import UserChange
from headgate.bootstrap import Services
from headgate.db import tables
from headgate.db.tables_sign_in import oidc_provider, session
from tests.http.browsing import BASE, Browser, browsing, said
from tests.providers.running import CLIENT_ID, CLIENT_SECRET, OidcServer

SETTINGS = OidcSettings(groups={"network": "Network Engineers"}, roles={"watcher": "auditor"})


@pytest.fixture(scope="module")
def sso() -> Iterator[OidcServer]:
    """A provider, to which we are a confidential client, and which tells names and groups at its userinfo endpoint."""
    uris = [f"{BASE}/oidc/sso/callback"]
    with OidcServer(uris, is_conforming=True, post_logout_redirect_uris=[f"{BASE}/sign-in"]) as server:
        yield server


@pytest.fixture(scope="module")
def other() -> Iterator[OidcServer]:
    """Another provider, a public client, whose ID tokens hold every claim."""
    uris = [f"{BASE}/oidc/other/callback", f"{BASE}/oidc/sso/callback"]
    with OidcServer(uris, token_endpoint_auth_method="none") as server:
        yield server


@pytest.fixture
async def browser(services: Services, sso: OidcServer, other: OidcServer) -> AsyncIterator[Browser]:
    providers = services.oidc.providers
    await providers.add("test", OidcProvider("sso", sso.issuer, CLIENT_ID, CLIENT_SECRET, SETTINGS))
    await providers.add("test", OidcProvider("other", other.issuer, CLIENT_ID, None, SETTINGS))
    async with browsing(services) as browser:
        yield browser


async def test_the_first_sign_in_makes_a_user_with_groups_and_roles(services: Services, browser: Browser) -> None:
    page = await browser.visit_provider("sso")
    assert (page.status_code, page.url.path) == (200, "/account")
    assert await browser.name() == "ada"
    user = await services.core.access.users.get_user("ada")
    assert user.groups == ("Network Engineers",)
    assert [grant.role for grant in await services.core.access.grants.list_grants()] == ["auditor"]
    assert not user.is_administrator
    (session,) = await services.core.sessions.list_sessions("ada")
    assert (session.method, session.address, session.agent) == ("oidc:sso", "203.0.113.7", "test browser")


async def test_people_of_two_providers_are_two_people(services: Services, browser: Browser) -> None:
    await browser.visit_provider("sso")
    async with browsing(services) as second:
        refused = await second.visit_provider("other")
        assert refused.status_code == 409
        assert "already a user ada" in said(refused)
        second.leave_provider()
        assert (await second.visit_provider("other", "id-bob")).url.path == "/account"
        assert await second.name() == "bob"
    columns = tables.user.c
    async with services.core.database.read() as connection:
        rows = await connection.execute(select(columns.name, columns.provider).order_by(columns.name))
        assert [tuple(row) for row in rows] == [("ada", "oidc:sso"), ("bob", "oidc:other")]


async def test_one_goes_on_where_one_wanted_to_go(browser: Browser) -> None:
    first = await browser.get("/oidc/sso/sign-in?next=/conda/team/")
    last = await browser.follow(first, until="/conda/team/")
    assert last.headers["location"] == "/conda/team/"


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example"])
async def test_one_never_goes_on_elsewhere(browser: Browser, path: str) -> None:
    first = await browser.client.get(f"{BASE}/oidc/sso/sign-in", params={"next": path})
    last = await browser.follow(first)
    assert (last.url.host, last.url.path) == ("headgate.test", "/account")


async def test_replay_of_sign_in_state_is_refused(services: Services, browser: Browser) -> None:
    url = await browser.come_back("sso")
    waiting = browser.client.cookies["headgate-sign-in"]
    assert (await browser.get(url)).status_code == 303
    again = await browser.get(url)  # the cookie is gone
    assert again.status_code == 403
    assert "not begun in this browser" in said(again)
    browser.client.cookies.set("headgate-sign-in", waiting, "headgate.test")
    replayed = await browser.get(url)
    assert replayed.status_code == 403
    assert "finished once already" in said(replayed)


async def test_state_of_another_browser_is_refused(services: Services, browser: Browser) -> None:
    url = await browser.come_back("sso")
    async with browsing(services) as victim:
        assert "not begun in this browser" in said(await victim.get(url))
        await victim.get("/oidc/sso/sign-in")
        assert "another sign-in" in said(await victim.get(url))
        assert await victim.name() is None


async def test_issuers_mixed_up_are_refused(services: Services, browser: Browser, sso: OidcServer) -> None:
    """The honest provider's code is sent to the callback of another, and the other way round."""
    url = await browser.come_back("sso")
    refused = await browser.get(url.replace("/oidc/sso/", "/oidc/other/"))
    assert refused.status_code == 403
    assert "begun with another provider" in said(refused)


async def test_answer_of_another_issuer_is_refused(browser: Browser, sso: OidcServer, other: OidcServer) -> None:
    url = await browser.come_back("sso")
    mixed = url.replace(sso.issuer.rpartition(":")[2], other.issuer.rpartition(":")[2])
    assert mixed != url
    refused = await browser.get(mixed)
    assert refused.status_code == 403
    assert "another issuer than the one asked" in said(refused)


async def test_answer_that_hides_its_issuer_is_refused(browser: Browser) -> None:
    url = await browser.come_back("sso")
    refused = await browser.get(url.partition("&iss=")[0])
    assert refused.status_code == 403
    assert "does not say which issuer" in said(refused)


async def test_code_of_another_provider_is_refused(services: Services, browser: Browser) -> None:
    other_url = await browser.come_back("other")
    url = await browser.come_back("sso")
    code = other_url.partition("code=")[2].partition("&")[0]
    own = url.partition("code=")[2].partition("&")[0]
    refused = await browser.get(url.replace(own, code))
    assert refused.status_code == 403
    assert "did not take its own code back" in said(refused)
    assert await browser.name() is None


async def test_code_without_its_verifier_is_refused(services: Services, browser: Browser) -> None:
    """PKCE: a code that was stolen on its way does not fit another sign-in's verifier."""
    async with browsing(services) as victim:
        stolen = (await victim.come_back("sso")).partition("code=")[2].partition("&")[0]
    url = await browser.come_back("sso", "id-bob")
    own = url.partition("code=")[2].partition("&")[0]
    assert "did not take its own code back" in said(await browser.get(url.replace(own, stolen)))


async def test_a_no_at_the_provider_is_said(browser: Browser) -> None:
    refused = await browser.visit_provider("sso", "")
    assert refused.status_code == 403
    assert said(refused) == "oidc:sso did not sign you in: not today."


async def test_who_has_no_name_is_refused(browser: Browser) -> None:
    refused = await browser.visit_provider("sso", "id-nameless")
    assert refused.status_code == 422
    assert "preferred_username, email" in said(refused)


async def test_strangers_and_other_domains_are_refused_when_so_set(services: Services, browser: Browser) -> None:
    providers = services.oidc.providers
    await browser.visit_provider("sso")
    await providers.change("test", "sso", {"is_welcoming": False})
    async with browsing(services) as second:
        assert "been here before" in said(await second.visit_provider("sso", "id-bob"))
        second.leave_provider()
        assert (await second.visit_provider("sso")).url.path == "/account"
    await providers.change("test", "sso", {"is_welcoming": True, "domains": ("corp.example",)})
    async with browsing(services) as third:
        assert "verified e-mail address" in said(await third.visit_provider("sso", "id-bob"))
        third.leave_provider()
        assert (await third.visit_provider("sso")).url.path == "/account"


async def test_same_names_are_taken_only_when_so_set(services: Services, browser: Browser) -> None:
    change = {"groups": {"*": "*", "network": "Engineers"}, "is_taking_same_names": True}
    await services.oidc.providers.change("test", "sso", change)
    await browser.visit_provider("sso")
    assert (await services.core.access.users.get_user("ada")).groups == ("Engineers", "same", "unmapped")


async def test_banned_user_is_refused(services: Services, browser: Browser) -> None:
    await browser.visit_provider("sso")
    await services.core.access.users.change("test", "ada", UserChange(is_disabled=True))
    await services.snapshots.reload()
    assert await browser.name() is None
    refused = await browser.visit_provider("sso")
    assert refused.status_code == 403
    assert "is disabled" in said(refused)


async def test_new_key_of_the_provider_is_learned(services: Services, browser: Browser, sso: OidcServer) -> None:
    await browser.visit_provider("sso")
    services.oidc.discovery._keys_every_s = 0
    sso.rotate()
    async with browsing(services) as second:
        assert (await second.visit_provider("sso")).url.path == "/account"


async def test_new_session_id_at_each_sign_in(services: Services, browser: Browser) -> None:
    browser.client.cookies.set("headgate", "planted-by-somebody", "headgate.test")
    await browser.visit_provider("sso")
    first = browser.client.cookies["headgate"]
    assert first != "planted-by-somebody"
    await browser.visit_provider("sso")
    assert browser.client.cookies["headgate"] != first
    assert len(await services.core.sessions.list_sessions("ada")) == 1


async def test_signing_out_leads_to_the_provider_too(services: Services, browser: Browser, sso: OidcServer) -> None:
    await browser.visit_provider("sso")
    page = await browser.post("/sign-out", csrf_token=await browser.proof())
    assert page.status_code == 200
    assert await browser.name() is None
    [farewell] = re.findall(f'href="({re.escape(sso.issuer)}[^"]*)"', unescape(page.text))
    assert farewell.startswith(f"{sso.issuer}/session/end?client_id=headgate&")
    assert (await browser.client.get(farewell)).status_code == 200


# Back-channel logout.


def logout_claims(sso: OidcServer, **more: object) -> dict[str, object]:
    from headgate.kernel import clock

    now = int(clock.now().timestamp())
    event: dict[str, object] = {"http://schemas.openid.net/event/backchannel-logout": {}}
    base: dict[str, object] = {"iss": sso.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 120, "events": event}
    return {**base, "jti": "one", "sub": "id-ada", **more}


async def test_back_channel_logout_ends_all_sessions_of_a_person(
    services: Services, browser: Browser, sso: OidcServer
) -> None:
    await browser.visit_provider("sso")
    async with AsyncExitStack() as stack:
        second = await stack.enter_async_context(browsing(services))
        provider = await stack.enter_async_context(browsing(services))
        await second.visit_provider("sso")
        done = await provider.post("/oidc/sso/back-channel-logout", {}, logout_token=sso.forge(logout_claims(sso)))
        assert (done.status_code, done.headers["cache-control"]) == (200, "no-store")
        assert [await browser.name(), await second.name()] == [None, None]


async def test_back_channel_logout_ends_one_session_by_its_sid(
    services: Services, browser: Browser, sso: OidcServer
) -> None:
    from headgate.access.sessions import Beginning

    await browser.visit_provider("sso")
    async with services.core.database.write() as connection:  # of the browser's own a sid is told, too
        await connection.execute(update(session).values(provider_sid="the browser's"))
    kept = await services.core.sessions.begin("ada", Beginning("192.0.2.1", "x", "oidc:sso", sid="kept"))
    await services.core.sessions.begin("ada", Beginning("192.0.2.1", "x", "oidc:sso", sid="gone"))
    claims = {key: value for key, value in logout_claims(sso, sid="gone", jti="sid").items() if key != "sub"}
    done = await browser.post("/oidc/sso/back-channel-logout", {}, logout_token=sso.forge(claims))
    assert done.status_code == 200
    assert await services.cookies.sessions.find(kept) is not None
    assert len(await services.core.sessions.list_sessions("ada")) == 2
    unnamed = await services.core.sessions.begin("ada", Beginning("192.0.2.1", "x", "oidc:sso"))
    both = sso.forge(logout_claims(sso, sid="kept", jti="both"))
    assert (await browser.post("/oidc/sso/back-channel-logout", {}, logout_token=both)).status_code == 200
    assert [await services.cookies.sessions.find(text) for text in (kept, unnamed)] == [None, None]
    assert await browser.name() == "ada"


async def test_logout_token_counts_once(browser: Browser, sso: OidcServer) -> None:
    token = sso.forge(logout_claims(sso, jti="twice"))
    assert (await browser.post("/oidc/sso/back-channel-logout", {}, logout_token=token)).status_code == 200
    again = await browser.post("/oidc/sso/back-channel-logout", {}, logout_token=token)
    assert again.status_code == 400
    assert "used already" in again.json()["error_description"]


@pytest.mark.parametrize(
    ("more", "header", "sentence"),
    [
        ({"nonce": "n"}, {}, "has a nonce"),
        ({"events": {}}, {}, "tells of no logout"),
        ({"aud": "somebody"}, {}, "another client"),
        ({"iss": "https://evil.example"}, {}, "was issued by"),
        ({"jti": None}, {}, "its jti is missing"),
        ({"sub": None}, {}, "neither a session nor a person"),
        ({"exp": 1}, {}, "has expired"),
        ({"iat": 1}, {}, "older than ten minutes"),
        ({}, {"kid": "nobody's"}, "does not publish"),
        ({}, {"typ": "at+jwt"}, "of the type"),
    ],
)
async def test_logout_token_that_does_not_count(
    services: Services,
    browser: Browser,
    sso: OidcServer,
    more: dict[str, object],
    header: dict[str, str],
    sentence: str,
) -> None:
    await browser.visit_provider("sso")
    token = sso.forge(logout_claims(sso, **more), header)
    refused = await browser.post("/oidc/sso/back-channel-logout", {}, logout_token=token)
    assert refused.status_code == 400
    assert sentence in refused.json()["error_description"]
    assert await browser.name() == "ada"


# Providers.


async def test_secret_is_sealed_and_survives_a_change(services: Services, browser: Browser) -> None:
    columns = oidc_provider.c
    async with services.core.database.read() as connection:
        sealed = (await connection.execute(select(columns.client_secret).where(columns.name == "sso"))).scalar_one()
    assert CLIENT_SECRET not in sealed
    changed = await services.oidc.providers.change("test", "sso", {"scopes": ("openid", "profile")})
    assert changed.client_secret == CLIENT_SECRET
    assert CLIENT_SECRET not in repr(replace(changed, name="x"))


async def test_nothing_is_granted_by_default(services: Services, browser: Browser) -> None:
    await browser.visit_provider("sso", "id-bob")
    principal = services.authenticator.find("bob")
    assert principal is not None
    assert not {grant for grant in principal.grants if Permission.ACCESS_READ in grant.permissions}

"""The pages of the administration: closed to whoever may not, and what their forms do."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from headgate.access.authenticate import BadCredentials
from headgate.access.grants import PrincipalKind, Scope
from headgate.access.permissions import Permission
from headgate.bootstrap import Services
from headgate.channels.model import ChannelKind
from headgate.conda.names import ChannelName
from headgate.doors.web import admin
from tests.browser.watching import assert_valid
from tests.http.browsing import Browser, browsing, said

PASSWORD = "correct horse battery"
PARTS = [path.removeprefix("/admin/") for _, path, _ in admin.PARTS]
POSTS = [
    "users", "users/ada/change", "users/ada/delete", "users/ada/sessions/end", "users/ada/sessions/1/end", "groups", "groups/add", "groups/remove",
    "groups/delete", "roles", "roles/delete", "grants", "grants/remove", "tokens", "tokens/revoke", "tokens/1/rotate",
    "providers", "providers/test", "providers/remove", "providers/sso/settings", "directories", "directories/test",
    "directories/sync", "directories/corp/settings", "directories/corp/remove", "network/ca", "network/ca/remove", "signing",
    "signing/rotate", "signing/root", "jobs/none/change", "storage/collect", "backups/make",
]  # fmt: skip


@pytest.fixture
async def people(services: Services) -> Services:
    access = services.core.access
    await access.create_user("test", "ada", PASSWORD, is_administrator=True)
    await access.create_user("test", "bob", PASSWORD, is_administrator=False)
    await services.core.channels.create("test", ChannelName("team"), ChannelKind.HOSTED)
    await services.snapshots.reload()
    return services


@pytest.fixture
async def ada(people: Services) -> AsyncIterator[Browser]:
    async with browsing(people) as browser:
        await browser.sign_in("ada", PASSWORD)
        yield browser


async def send(browser: Browser, path: str, **fields: str) -> int:
    answer = await browser.post(f"/admin/{path}", csrf_token=await browser.proof(), **fields)
    return answer.status_code


async def post(browser: Browser, path: str, **fields: str) -> httpx.Response:
    return await browser.post(f"/admin/{path}", csrf_token=await browser.proof(), **fields)


def shown_text(answer: httpx.Response) -> str:
    found = re.search(r'data-copy="(hg-[^"]+)"', answer.text)
    assert found, answer.text
    return found[1]


async def test_pages_are_for_those_who_may(people: Services, ada: Browser) -> None:
    async with browsing(people) as bob, browsing(people) as nobody:
        await bob.sign_in("bob", PASSWORD)
        assert (await bob.get("/admin")).status_code == 403
        assert 'href="/admin"' not in (await bob.get("/")).text
        for part in PARTS:
            assert (await ada.get(f"/admin/{part}")).status_code == 200, part
            assert (await bob.get(f"/admin/{part}")).status_code == 403, part
            assert (await nobody.get(f"/admin/{part}")).headers["location"].startswith("/sign-in"), part
        for path in POSTS:
            assert await send(bob, path, name="ada", id="1", typed="ada", wish="disable") == 403, path
            forged = await ada.post(f"/admin/{path}", csrf_token="x")
            assert forged.status_code == 403, path
    assert (await people.core.access.users.get_user("ada")).is_administrator


async def test_who_manages_access_moves_no_administrator(people: Services) -> None:
    await people.core.access.grants.create_role(
        "test", "doorkeeper", [Permission.ACCESS_READ, Permission.ACCESS_MANAGE]
    )
    async with browsing(people) as bob:
        await bob.sign_in("bob", PASSWORD)
        await _grant(people, "bob", "doorkeeper")
        assert (await bob.get("/admin/users")).status_code == 200
        assert (await bob.get("/admin/jobs")).status_code == 403
        for wish in ("disable", "lower", "password"):
            assert await send(bob, "users/ada/change", wish=wish, password=PASSWORD) == 403, wish
        assert await send(bob, "users/bob/change", wish="raise") == 403
        assert await send(bob, "users/ada/delete", typed="ada") == 403
        assert await send(bob, "users", name="eve", is_administrator="on") == 403
        assert await send(bob, "users", name="eve") == 303
    assert [user.name for user in await people.core.access.users.list_users()] == ["ada", "bob", "eve"]


async def _grant(services: Services, user: str, role: str) -> None:
    await services.core.access.grants.add_grant("test", PrincipalKind.USER, user, role, Scope())
    await services.snapshots.reload()


async def test_groups_roles_and_grants_are_made_and_taken_back(people: Services, ada: Browser) -> None:
    access = people.core.access
    assert await send(ada, "groups", name="lab") == 303
    assert await send(ada, "groups/add", name="lab", member="bob", kind="user") == 303
    assert (await access.groups.list_groups())[0].users == ("bob",)
    assert await send(ada, "roles", name="looker", **{"may:channel:read": "on"}) == 303
    assert (await access.grants.list_roles())["looker"] == {Permission.CHANNEL_READ}
    grant = {"principal": "group:lab", "role": "looker", "channel": "team"}
    assert await send(ada, "grants", **grant) == 303
    told = (await ada.get("/admin/explain?user=bob&permission=channel:read&channel=team")).text
    assert "bob may channel:read" in told
    assert "looker granted to group lab on team" in told
    (given,) = [one for one in await access.grants.list_grants() if one.role == "looker"]
    assert await send(ada, "roles/delete", name="looker", typed="looker") == 409
    assert await send(ada, "grants/remove", id=str(given.id)) == 303
    assert (
        "bob may not channel:read"
        in (await ada.get("/admin/explain?user=bob&permission=channel:read&channel=team")).text
    )
    assert await send(ada, "roles/delete", name="looker", typed="nothing") == 422
    assert await send(ada, "roles/delete", name="looker", typed="looker") == 303
    assert await send(ada, "groups/remove", name="lab", member="bob", kind="user") == 303
    assert await send(ada, "groups/delete", name="lab", typed="lab") == 303
    assert list(await access.groups.list_groups()) == []


async def test_tokens_are_shown_without_their_text_and_revoked(people: Services, ada: Browser) -> None:
    token, text = await people.core.access.create_token("test", "bob", "laptop")
    shown = (await ada.get("/admin/tokens?q=laptop")).text
    assert token.prefix in shown
    assert text not in shown
    assert await send(ada, "tokens/revoke", id=str(token.id)) == 303
    assert not (await people.core.access.tokens.get(token.id)).is_live
    assert await send(ada, "tokens/revoke", id=str(token.id)) == 404


async def test_a_token_is_made_for_a_service_account_and_shown_once(people: Services, ada: Browser) -> None:
    assert await send(ada, "users", name="farm", kind="service") == 303
    shown = await ada.get("/admin/tokens?for=farm")
    assert_valid(shown.text)
    assert 'value="farm"' in shown.text
    wish = {
        "user": "farm",
        "name": "ci",
        "days": "30",
        "may:view": "on",
        "channels": "team",
        "addresses": "10.20.0.0/16",
    }
    made = await post(ada, "tokens", **wish)
    assert_valid(made.text)
    (token,) = await people.core.access.tokens.list(user="farm")
    assert (token.permissions, token.channels, token.addresses) == (["view"], ["team"], ["10.20.0.0/16"])
    text = shown_text(made)
    assert people.authenticator.token(text, "10.20.0.1").name == "farm"
    assert text not in (await ada.get(f"/admin/tokens/{token.id}")).text

    again = await post(ada, f"tokens/{token.id}/rotate", overlap_hours="0")
    assert people.authenticator.token(shown_text(again), "10.20.0.1").name == "farm"
    with pytest.raises(BadCredentials):
        people.authenticator.token(text, "10.20.0.1")
    assert await send(ada, f"tokens/{token.id}/rotate", overlap_hours="9999") == 422
    for wrong in ({"user": "nobody-here"}, {"days": "0"}, {"addresses": "everywhere"}, {"name": "ci"}):
        answer = await post(ada, "tokens", **wish | {"name": "other"} | wrong)
        assert (answer.status_code, bool(said(answer))) == (422, True), wrong


async def test_who_manages_tokens_makes_none_of_administrators(people: Services) -> None:
    await people.core.access.grants.create_role("test", "warden", [Permission.TOKEN_MANAGE])
    number = (await people.core.access.create_token("test", "ada", "laptop"))[0].id
    async with browsing(people) as bob:
        await bob.sign_in("bob", PASSWORD)
        await _grant(people, "bob", "warden")
        assert (await bob.get("/admin/tokens")).status_code == 200
        assert await send(bob, "tokens", user="ada", name="mine") == 403
        assert await send(bob, f"tokens/{number}/rotate", overlap_hours="24") == 403
        assert (await bob.get(f"/admin/tokens/{number}")).status_code == 403
        assert await send(bob, "tokens", user="bob", name="mine", is_endless="on") == 422
        assert await send(bob, "tokens", user="bob", name="mine") == 200
    assert [one.name for one in await people.core.access.tokens.list()] == ["laptop", "mine"]


async def test_one_session_of_somebody_is_ended(people: Services, ada: Browser) -> None:
    async with browsing(people) as here, browsing(people) as there:
        for browser in (here, there):
            await browser.sign_in("bob", PASSWORD)
        newest = max(one.id for one in await people.core.sessions.list_sessions("bob"))
        assert f"/admin/users/bob/sessions/{newest}/end" in (await ada.get("/admin/users/bob")).text
        assert await send(ada, f"users/bob/sessions/{newest}/end") == 303
        assert (await here.name(), await there.name()) == ("bob", None)
        assert await send(ada, f"users/bob/sessions/{newest}/end") == 404
        assert await send(ada, f"users/bob/sessions/{1 << 70}/end") == 404


async def test_a_group_and_a_service_account_are_put_into_a_group(people: Services, ada: Browser) -> None:
    await send(ada, "users", name="farm", kind="service")
    for name in ("all", "lab"):
        assert await send(ada, "groups", name=name) == 303
    assert await send(ada, "groups/add", name="all", member="lab", kind="group") == 303
    assert await send(ada, "groups/add", name="lab", member="farm", kind="service") == 303
    shown = await ada.get("/admin/groups")
    assert_valid(shown.text)
    assert "group lab" in shown.text
    farm = people.authenticator.find("farm")
    assert farm is not None
    assert set(farm.groups) == {"all", "lab"}


async def test_names_that_look_like_html_are_text(people: Services, ada: Browser) -> None:
    name = "<script>alert(1)<script>"
    await people.core.access.groups.create("test", name)
    for part in ("groups", "users", "grants"):
        assert name not in (await ada.get(f"/admin/{part}")).text


async def test_requests_that_make_no_sense_are_refused(ada: Browser) -> None:
    assert (await ada.get("/admin/explain?permission=everything")).status_code == 422
    assert (await ada.get("/admin/explain?permission=channel:read&user=nobody-here")).status_code == 404
    assert (await ada.get("/admin/users/nobody-here")).status_code == 404
    assert (await ada.get("/admin/jobs/none")).status_code == 404
    assert await send(ada, "jobs/none/change", wish="dance") == 422
    assert await send(ada, "grants", principal="moon:x", role="auditor") == 422
    assert await send(ada, "grants/remove", id="x") == 404
    assert await send(ada, "users/ada/change", wish="lower") == 409


async def test_secrets_in_settings_are_hidden(people: Services, ada: Browser) -> None:
    text = (await ada.get("/admin/settings")).text
    assert "server.public_url" in text
    assert "signatures.trusted_root" in text

"""The pages of the administration: closed to whoever may not, and what their forms do."""

from collections.abc import AsyncIterator

import pytest

from headgate.access.grants import PrincipalKind, Scope
from headgate.access.permissions import Permission
from headgate.bootstrap import Services
from headgate.channels.model import ChannelKind
from headgate.conda.names import ChannelName
from headgate.doors.web import admin
from tests.http.browsing import Browser, browsing

PASSWORD = "correct horse battery"
PARTS = [path.removeprefix("/admin/") for _, path, _ in admin.PARTS]
POSTS = [
    "users", "users/ada/change", "users/ada/delete", "users/ada/sessions/end", "groups", "groups/add", "groups/remove",
    "groups/delete", "roles", "roles/delete", "grants", "grants/remove", "tokens/revoke", "providers", "providers/test",
    "providers/remove", "directories/test", "directories/sync", "network/ca", "network/ca/remove", "signing",
    "signing/rotate", "signing/root", "jobs/none/change", "storage/collect",
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

"""Users, groups, roles and grants through the API: who may change them, and what a change does to the next request."""

import asyncio
from base64 import b64encode
from typing import Any

import httpx
import pytest

from headgate.access.users import UserChange
from headgate.bootstrap import Services
from headgate.kernel.errors import Conflict
from tests.http.conftest import PASSWORD, Callers
from tests.packages import package

OTHER_PASSWORD = "quite another passphrase"


async def post(caller: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    answer = await caller.post(path, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def sign_in(callers: Callers, user: str, **token: Any) -> httpx.AsyncClient:
    made = await post(callers.admin, "/tokens", **{"name": "work", "user": user, **token})
    return callers.with_token(made["token"])


async def grant(callers: Callers, principal: str, role: str, **rest: Any) -> int:
    made = await post(callers.admin, "/grants", **{"kind": "user", "principal": principal, "role": role, **rest})
    number: int = made["id"]
    return number


async def upload(caller: httpx.AsyncClient, channel: str, name: str) -> httpx.Response:
    filename, content = package(name)
    return await caller.post(f"/channels/{channel}/artifacts", params={"filename": filename}, content=content)


def failed(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


# Users.


async def test_user_is_made_shown_changed_and_deleted(callers: Callers) -> None:
    await post(callers.admin, "/groups", name="Developers")
    made = await post(callers.admin, "/users", name="grace", password=PASSWORD, groups=["Developers"])
    assert (made["name"], made["kind"], made["groups"], made["is_disabled"]) == ("grace", "user", ["Developers"], False)
    listed = (await callers.admin.get("/users")).json()["items"]
    assert [one["name"] for one in listed] == ["ada", "bob", "grace"]
    changed = await callers.admin.patch("/users/grace", json={"is_administrator": True})
    assert changed.json()["is_administrator"] is True
    assert (await callers.admin.delete("/users/grace")).status_code == 204
    assert failed(await callers.admin.get("/users/grace")) == (404, "user-unknown")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": "bob"}, 409, "user-exists"),
        ({"name": "a/b"}, 422, "user-name-invalid"),
        ({"name": "a:b"}, 422, "user-name-invalid"),
        ({"name": "Everyone"}, 422, "user-name-invalid"),
        ({"name": ".."}, 422, "user-name-invalid"),
        ({"name": "x", "password": "short"}, 422, "password-short"),
        ({"name": "x", "groups": ["none"]}, 404, "group-unknown"),
        ({"name": "x", "kind": "service", "password": PASSWORD}, 422, "service-account-invalid"),
        ({"name": "x", "kind": "service", "is_administrator": True}, 422, "service-account-invalid"),
    ],
)
async def test_user_that_cannot_be(callers: Callers, body: dict[str, Any], status: int, code: str) -> None:
    assert failed(await callers.admin.post("/users", json=body)) == (status, code)
    assert len((await callers.admin.get("/users")).json()["items"]) == 2


async def test_disabled_user_is_refused_at_once_and_enabled_again(callers: Callers) -> None:
    basic = {"authorization": "Basic " + b64encode(f"bob:{PASSWORD}".encode()).decode()}
    assert (await callers.anonymous.get("/me", headers=basic)).status_code == 200
    await callers.admin.patch("/users/bob", json={"is_disabled": True})
    assert failed(await callers.member.get("/me")) == (401, "user-disabled")
    assert failed(await callers.anonymous.get("/me", headers=basic)) == (401, "user-disabled")
    wrong = {"authorization": "Basic " + b64encode(b"bob:something else").decode()}
    assert failed(await callers.anonymous.get("/me", headers=wrong)) == (401, "password-wrong")
    await callers.admin.patch("/users/bob", json={"is_disabled": False})
    assert (await callers.member.get("/me")).status_code == 200


async def test_new_password_replaces_the_remembered_one(callers: Callers) -> None:
    old, new = (
        {"authorization": "Basic " + b64encode(f"bob:{one}".encode()).decode()} for one in (PASSWORD, OTHER_PASSWORD)
    )
    assert (await callers.anonymous.get("/me", headers=old)).status_code == 200
    await callers.admin.patch("/users/bob", json={"password": OTHER_PASSWORD})
    assert failed(await callers.anonymous.get("/me", headers=old)) == (401, "password-wrong")
    assert (await callers.anonymous.get("/me", headers=new)).status_code == 200


@pytest.mark.parametrize("body", [{"is_disabled": True}, {"is_administrator": False}, None])
async def test_last_administrator_stays(callers: Callers, body: dict[str, bool] | None) -> None:
    def leave(name: str) -> Any:
        path = f"/users/{name}"
        return callers.admin.delete(path) if body is None else callers.admin.patch(path, json=body)

    assert failed(await leave("ada")) == (409, "last-administrator")
    await post(callers.admin, "/users", name="root", is_administrator=True)
    await callers.admin.patch("/users/root", json={"is_disabled": True})
    assert failed(await leave("ada")) == (409, "last-administrator")
    await callers.admin.patch("/users/root", json={"is_disabled": False})
    assert (await leave("ada")).is_success


async def test_of_two_administrators_who_leave_at_once_one_stays(callers: Callers, services: Services) -> None:
    await post(callers.admin, "/users", name="root", is_administrator=True)
    users = services.core.access.users
    for change in (UserChange(is_administrator=False), UserChange(is_disabled=True)):
        leaving = [users.change("test", name, change) for name in ("ada", "root")]
        answers = await asyncio.gather(*leaving, return_exceptions=True)
        assert [type(one) for one in answers if one is not None] == [Conflict]
        back = UserChange(is_administrator=True, is_disabled=False)
        await asyncio.gather(*(users.change("test", name, back) for name in ("ada", "root")))


async def test_change_happens_whole_or_not_at_all(callers: Callers) -> None:
    body = {"is_disabled": True, "password": "short"}
    assert failed(await callers.admin.patch("/users/bob", json=body)) == (422, "password-short")
    assert (await callers.member.get("/me")).status_code == 200


async def test_manager_of_access_moves_no_administrator(callers: Callers) -> None:
    await grant(callers, "bob", "administrator")
    assert (await callers.member.get("/users")).status_code == 200
    await post(callers.member, "/users", name="grace")
    refused = [
        await callers.member.post("/users", json={"name": "root", "is_administrator": True}),
        await callers.member.patch("/users/bob", json={"is_administrator": True}),
        await callers.member.patch("/users/ada", json={"password": OTHER_PASSWORD}),
        await callers.member.patch("/users/ada", json={"is_disabled": True}),
        await callers.member.delete("/users/ada"),
        await callers.member.post("/tokens", json={"name": "theirs", "user": "ada"}),
        await callers.member.delete("/tokens/ada/viewer"),
    ]
    assert {failed(one) for one in refused} == {(403, "permission-denied")}


async def test_auditor_reads_access_and_changes_nothing(callers: Callers) -> None:
    await grant(callers, "bob", "auditor")
    for path in ("/users", "/users/ada", "/groups", "/roles", "/grants"):
        assert (await callers.member.get(path)).status_code == 200, path
    assert (await callers.member.get("/access/explain?permission=channel:read&user=ada")).status_code == 200
    assert (await callers.member.post("/groups", json={"name": "x"})).status_code == 403
    assert (await callers.member.delete("/users/ada")).status_code == 403


async def test_grant_on_a_channel_opens_nothing_of_the_server(callers: Callers, hosted: str) -> None:
    await grant(callers, "bob", "administrator", channel=hosted)
    assert (await callers.member.get(f"/channels/{hosted}")).status_code == 200
    for path in ("/users", "/groups", "/roles", "/grants", "/jobs"):
        assert (await callers.member.get(path)).status_code == 403, path


# Groups.


async def test_nested_groups_with_a_circle(callers: Callers, hosted: str) -> None:
    for name in ("a", "b", "c"):
        await post(callers.admin, "/groups", name=name)
    for group, member in [("a", "b"), ("b", "c"), ("c", "a")]:
        assert (await callers.admin.put(f"/groups/{group}/members/group/{member}")).status_code == 204
    await grant(callers, "a", "downloader", kind="group", channel=hosted)
    assert (await callers.member.get(f"/channels/{hosted}")).status_code == 403
    for _ in range(2):
        assert (await callers.admin.put("/groups/c/members/user/bob")).status_code == 204
    assert (await callers.member.get(f"/channels/{hosted}")).status_code == 200
    assert (await callers.admin.get("/groups")).json()["items"][2] == {"name": "c", "users": ["bob"], "groups": ["a"]}
    assert (await callers.admin.delete("/groups/b/members/group/c")).status_code == 204
    assert (await callers.member.get(f"/channels/{hosted}")).status_code == 403
    assert failed(await callers.admin.delete("/groups/b/members/group/c")) == (404, "member-unknown")


async def test_deleted_group_takes_its_grants_along(callers: Callers, hosted: str) -> None:
    await post(callers.admin, "/groups", name="Network Engineers")
    await callers.admin.put("/groups/Network Engineers/members/user/bob")
    await grant(callers, "Network Engineers", "downloader", kind="group", channel=hosted)
    assert (await callers.member.get(f"/channels/{hosted}")).status_code == 200
    assert (await callers.admin.delete("/groups/Network Engineers")).status_code == 204
    assert (await callers.member.get(f"/channels/{hosted}")).status_code == 403
    assert (await callers.admin.get("/grants")).json()["items"] == []


# Roles and grants.


async def test_role_of_ones_own(callers: Callers, hosted: str) -> None:
    await post(callers.admin, "/roles", name="looker", permissions=["channel:read"])
    number = await grant(callers, "bob", "looker", channel=hosted)
    assert (await callers.member.get(f"/channels/{hosted}")).status_code == 200
    assert failed(await callers.admin.delete("/roles/looker")) == (409, "role-in-use")
    assert (await callers.admin.delete(f"/grants/{number}")).status_code == 204
    assert (await callers.admin.delete("/roles/looker")).status_code == 204
    assert failed(await callers.admin.delete("/roles/downloader")) == (404, "role-unknown")
    roles = (await callers.admin.get("/roles")).json()["items"]
    assert all(one["is_built_in"] for one in roles)
    assert failed(await callers.admin.post("/roles", json={"name": "downloader", "permissions": ["job:manage"]})) == (
        409,
        "role-exists",
    )


async def test_revoked_grant_is_gone_at_the_next_request(callers: Callers, hosted: str) -> None:
    number = await grant(callers, "bob", "publisher", channel=hosted)
    assert (await upload(callers.member, hosted, "demo")).status_code == 201
    assert (await callers.admin.delete(f"/grants/{number}")).status_code == 204
    assert failed(await callers.member.get(f"/channels/{hosted}")) == (403, "permission-denied")
    assert failed(await upload(callers.member, hosted, "other")) == (403, "permission-denied")
    assert failed(await callers.admin.delete(f"/grants/{number}")) == (404, "grant-unknown")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"principal": "nobody"}, 404, "user-unknown"),
        ({"kind": "service"}, 404, "user-unknown"),
        ({"kind": "group"}, 404, "group-unknown"),
        ({"kind": "pseudo"}, 404, "group-unknown"),
        ({"role": "none"}, 404, "role-unknown"),
        ({"channel": "Team"}, 422, "channel-name-invalid"),
        ({"channel": "*"}, 422, "channel-name-invalid"),
        ({"package": "num*"}, 422, "scope-invalid"),
        ({"channel": "team/*", "package": "num*"}, 422, "scope-invalid"),
        ({"channel": "team", "package": "[a]"}, 422, "scope-invalid"),
        ({"channel": "team", "package": ""}, 422, "scope-invalid"),
    ],
)
async def test_grant_that_cannot_be(callers: Callers, body: dict[str, Any], status: int, code: str) -> None:
    body = {"kind": "user", "principal": "bob", "role": "publisher", **body}
    assert failed(await callers.admin.post("/grants", json=body)) == (status, code)


async def test_grants_come_in_pages(callers: Callers) -> None:
    numbers = [await grant(callers, "bob", "publisher", channel=f"team/{part}") for part in "abc"]
    first = (await callers.admin.get("/grants?limit=2")).json()
    rest = (await callers.admin.get("/grants", params={"limit": 2, "cursor": first["next"]})).json()
    assert [one["id"] for one in first["items"] + rest["items"]] == numbers
    assert rest["next"] is None


async def test_grant_of_some_packages(callers: Callers, hosted: str) -> None:
    await grant(callers, "bob", "publisher", channel=hosted, package="team-*")
    await grant(callers, "bob", "channel-manager", channel=hosted, package="team-a")
    assert (await upload(callers.member, hosted, "team-a")).status_code == 201
    assert failed(await upload(callers.member, hosted, "numpy")) == (403, "permission-denied")
    files = [("file", package(name)) for name in ("team-b", "numpy")]
    refused = await callers.member.post(f"/channels/{hosted}/artifacts", files=files)
    assert failed(refused) == (403, "permission-denied")
    assert refused.json()["reasons"] == [f"{package('team-b')[0]} was taken."]
    assert (await callers.member.get(f"/channels/{hosted}/artifacts")).status_code == 403
    for name, expected in [("team-a", 200), ("team-b", 403)]:
        path = f"/channels/{hosted}/artifacts/noarch/{package(name)[0]}/yank"
        assert (await callers.member.post(path)).status_code == expected
    refused = await callers.member.delete(f"/channels/{hosted}/artifacts/noarch/{package('team-b')[0]}")
    assert failed(refused) == (403, "permission-denied")


async def test_lists_show_what_a_prefix_and_a_deny_leave(callers: Callers) -> None:
    for name in ("team", "team/a", "team/b", "other"):
        await post(callers.admin, "/channels", name=name, kind="hosted")
    await grant(callers, "bob", "downloader", channel="team/*")
    await grant(callers, "bob", "downloader", channel="team/b", is_deny=True)
    assert [one["name"] for one in (await callers.member.get("/channels")).json()["items"]] == ["team/a"]


# Explanations.


async def test_everybody_may_explain_themselves_and_nobody_else(callers: Callers, hosted: str) -> None:
    number = await grant(callers, "bob", "downloader", channel=hosted)
    query = f"/access/explain?permission=artifact:download&channel={hosted}&package=numpy"
    assert failed(await callers.anonymous.get(query)) == (401, "credentials-needed")
    answer = (await callers.member.get(query)).json()
    assert (answer["user"], answer["is_allowed"], answer["decided_by"]["id"]) == ("bob", True, number)
    assert answer["decided_by"]["sentence"] == f"downloader granted to user bob on {hosted}"
    assert (await callers.member.get(f"{query}&user=bob")).status_code == 200
    for user in ("ada", "nobody"):
        assert failed(await callers.member.get(f"{query}&user={user}")) == (403, "permission-denied")
    assert failed(await callers.admin.get(f"{query}&user=nobody")) == (404, "user-unknown")


async def test_explanation_names_the_beaten_and_the_privacy(callers: Callers) -> None:
    await post(callers.admin, "/channels", name="open", kind="hosted", privacy="public")
    query = "/access/explain?permission=channel:read&channel=open&user="
    answer = (await callers.admin.get(query + "anonymous")).json()
    assert (answer["is_allowed"], answer["decided_by"]["id"]) == (True, None)
    await grant(callers, "bob", "downloader", channel="open", is_deny=True)
    answer = (await callers.admin.get(query + "bob")).json()
    assert (answer["is_allowed"], answer["decided_by"]["is_deny"]) == (False, True)
    assert [one["principal"] for one in answer["beaten"]] == ["everyone"]
    assert (await callers.admin.get(query + "ada")).json()["reason"] == "ada is an administrator."


async def test_explanation_of_a_disabled_user(callers: Callers) -> None:
    await callers.admin.patch("/users/bob", json={"is_disabled": True})
    answer = (await callers.admin.get("/access/explain?permission=channel:read&channel=x&user=bob")).json()
    assert (answer["is_allowed"], answer["reason"]) == (False, "bob is disabled.")


# Tokens.


async def test_own_tokens_need_no_permission(callers: Callers) -> None:
    made = await post(callers.member, "/tokens", name="laptop")
    assert made["user"] == "bob"
    assert made["expires_at"] is not None
    listed = (await callers.member.get("/tokens")).json()["items"]
    assert {(one["user"], one["name"]) for one in listed} == {("bob", "laptop"), ("bob", "member")}
    everybodys = (await callers.admin.get("/tokens")).json()["items"]
    assert {one["user"] for one in everybodys} == {"ada", "bob"}
    assert (await callers.member.delete("/tokens/bob/laptop")).status_code == 204
    assert failed(await callers.with_token(made["token"]).get("/me")) == (401, "token-revoked")


async def test_tokens_are_closed_to_nobody_and_to_narrow_tokens(callers: Callers) -> None:
    for method, path in [("GET", "/tokens"), ("POST", "/tokens"), ("DELETE", "/tokens/ada/admin")]:
        for caller, expected in [(callers.anonymous, 401), (callers.viewer, 403), (callers.adder, 403)]:
            assert (await caller.request(method, path, json={"name": "more"})).status_code == expected, path


async def test_anothers_token_is_refused_whether_it_is_there_or_not(callers: Callers) -> None:
    told = [
        (await callers.member.delete(path)).json()
        for path in ("/tokens/ada/viewer", "/tokens/ada/none", "/tokens/nobody/none")
    ]
    assert {one["code"] for one in told} == {"permission-denied"}
    assert len({one["detail"] for one in told}) == 1
    assert failed(await callers.member.post("/tokens", json={"name": "x", "user": "ada"})) == (403, "permission-denied")
    assert (await callers.viewer.get("/me")).status_code == 200


async def test_token_never_exceeds_its_owner_when_it_is_used(callers: Callers, hosted: str) -> None:
    number = await grant(callers, "bob", "publisher", channel=hosted)
    made = await post(callers.member, "/tokens", name="ci", permissions=["add", "admin"], channels=[hosted])
    ci = callers.with_token(made["token"])
    assert (await upload(ci, hosted, "demo")).status_code == 201
    assert (await ci.patch(f"/channels/{hosted}", json={"privacy": "public"})).status_code == 403
    await callers.admin.delete(f"/grants/{number}")
    assert failed(await upload(ci, hosted, "other")) == (403, "permission-denied")


async def test_token_of_a_prefix(callers: Callers) -> None:
    for name in ("team", "team/a", "teamwork"):
        await post(callers.admin, "/channels", name=name, kind="hosted")
    narrow = await sign_in(callers, "ada", channels=["team/*"])
    answers = {name: (await narrow.get(f"/channels/{name}")).status_code for name in ("team", "team/a", "teamwork")}
    assert answers == {"team": 403, "team/a": 200, "teamwork": 403}
    assert failed(await callers.admin.post("/tokens", json={"name": "x", "channels": ["*"]})) == (
        422,
        "channel-name-invalid",
    )


async def test_token_with_a_slash_in_its_name_can_be_revoked(callers: Callers) -> None:
    await post(callers.member, "/tokens", name="ci/main")
    assert (await callers.member.delete("/tokens/bob/ci%2Fmain")).status_code == 204


async def test_service_account_has_tokens_and_no_password(callers: Callers, hosted: str) -> None:
    await post(callers.admin, "/users", name="build", kind="service")
    build = await sign_in(callers, "build")
    await grant(callers, "build", "publisher", kind="service", channel=hosted)
    assert (await upload(build, hosted, "demo")).status_code == 201
    assert failed(await callers.admin.patch("/users/build", json={"password": PASSWORD})) == (
        422,
        "service-account-invalid",
    )
    assert (await callers.admin.delete("/users/build")).status_code == 204
    assert failed(await build.get("/me")) == (401, "token-unknown")


async def test_changes_are_written_down(callers: Callers, services: Services) -> None:
    from sqlalchemy import select

    from headgate.db import tables

    await callers.admin.patch("/users/bob", json={"is_disabled": True, "password": OTHER_PASSWORD})
    await callers.admin.patch("/users/bob", json={"is_disabled": True})
    async with services.core.database.read() as connection:
        rows = (await connection.execute(select(tables.audit_event).order_by(tables.audit_event.c.id))).all()
    events = [(row.action, row.actor) for row in rows if row.subject == "bob" and row.actor != "test"]
    actor = "ada (token admin)"
    assert events == [("user:disable", actor), ("user:set-password", actor)]
    assert not any("argon2" in str(row.detail) or OTHER_PASSWORD in str(row.detail) for row in rows)

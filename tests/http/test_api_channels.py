"""Channels, mirrors, revisions and patches through the API."""

from typing import Any

import msgspec
import pytest

from headgate.bootstrap import Services
from headgate.channels.model import ChannelSettings
from headgate.doors.api.models_channels import SettingsBody
from tests.http.conftest import Callers
from tests.packages import package

HIDDEN_URL = "https://•••@conda.example/main"


async def pages(caller: Any, path: str, limit: int) -> list[list[Any]]:
    """Every page of a list."""
    found, cursor = [], None
    while True:
        query = {"limit": limit} | ({} if cursor is None else {"cursor": cursor})
        answer = (await caller.get(path, params=query)).json()
        found.append(answer["items"])
        cursor = answer["next"]
        if cursor is None:
            return found


def test_every_setting_of_a_channel_can_be_set() -> None:
    assert set(SettingsBody.model_fields) == {field.name for field in msgspec.structs.fields(ChannelSettings)}


async def test_created_channel_is_there_at_once(callers: Callers) -> None:
    body = {"name": "team/dev", "kind": "hosted", "privacy": "public", "settings": {"description": "Ours."}}
    created = await callers.admin.post("/channels", json=body)
    assert created.status_code == 201
    shown = await callers.anonymous.get("/channels/team/dev")
    assert shown.json() == created.json()
    switches = {"is_hiding": True, "is_keeping_cached": True, "is_hiding_broken": False, "is_signing": False}
    settings = switches | {"description": "Ours."}
    assert shown.json()["settings"] == settings
    assert [one["name"] for one in shown.json()["subdirs"]] == ["noarch"]


async def test_channel_comes_with_its_mirrors_and_hides_their_secrets(callers: Callers, mirror: str) -> None:
    expected = {"name": "main", "urls": [HIDDEN_URL], "subdirs": ["noarch"]}
    assert (await callers.admin.get(f"/channels/{mirror}")).json()["mirrors"] == [expected]
    listed = (await callers.admin.get(f"/channels/{mirror}/mirrors")).json()
    assert (listed["next"], [one | expected for one in listed["items"]]) == (None, listed["items"])


async def test_channel_with_a_bad_mirror_is_not_created_at_all(callers: Callers) -> None:
    mirrors = [{"urls": ["https://conda.example/main"]}, {"urls": ["ftp://conda.example"]}]
    body = {"name": "outer", "kind": "mirror", "mirrors": mirrors}
    refused = await callers.admin.post("/channels", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "url-invalid")
    assert (await callers.admin.get("/channels/outer")).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": "team", "kind": "hosted"}, 409, "channel-exists"),
        ({"name": "Team", "kind": "hosted"}, 422, "channel-name-invalid"),
        ({"name": "x/../y", "kind": "hosted"}, 422, "channel-name-invalid"),
        ({"name": "x/sync", "kind": "hosted"}, 422, "channel-name-invalid"),
        ({"name": "x/artifacts/y", "kind": "hosted"}, 422, "channel-name-invalid"),
        ({"name": "mirrors/y", "kind": "hosted"}, 422, "channel-name-invalid"),
        ({"name": "x", "kind": "virtual"}, 422, "members-misplaced"),
        ({"name": "x", "kind": "virtual", "members": ["none"]}, 404, "channel-unknown"),
        ({"name": "x", "kind": "hosted", "members": ["team"]}, 422, "members-misplaced"),
        ({"name": "x", "kind": "hosted", "mirrors": [{"urls": ["https://a/b"]}]}, 422, "mirrors-misplaced"),
        ({"name": "x", "kind": "lake"}, 422, "request-invalid"),
        ({"name": "x"}, 422, "request-invalid"),
        ({"name": "x", "kind": "hosted", "colour": "red"}, 422, "request-invalid"),
        ({"name": "x", "kind": "hosted", "settings": {"colour": "red"}}, 422, "request-invalid"),
        ({"name": "x", "kind": "hosted", "settings": {"description": "\0"}}, 422, "request-invalid"),
        ([], 422, "request-invalid"),
    ],
)
async def test_channel_that_cannot_be(callers: Callers, hosted: str, body: object, status: int, code: str) -> None:
    refused = await callers.admin.post("/channels", json=body)
    assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text


async def test_reasons_name_the_fields_but_never_their_values(callers: Callers) -> None:
    body = {"name": "x", "kind": "hosted", "colour": "s3cret", "settings": {"is_hiding": "s3cret"}}
    refused = await callers.admin.post("/channels", json=body)
    assert [reason.split(":")[0] for reason in refused.json()["reasons"]] == ["body.settings.is_hiding", "body.colour"]
    assert "s3cret" not in refused.text


async def test_patch_changes_what_is_given(callers: Callers, hosted: str) -> None:
    before = (await callers.admin.get(f"/channels/{hosted}")).json()
    changed = await callers.admin.patch(f"/channels/{hosted}", json={"privacy": "public"})
    assert changed.json() == before | {"privacy": "public"}
    changed = await callers.admin.patch(f"/channels/{hosted}", json={"settings": {"is_keeping_cached": False}})
    assert changed.json()["settings"] == before["settings"] | {"is_keeping_cached": False}
    bodies: list[dict[str, Any]] = [{"kind": "mirror"}, {"members": []}, {"privacy": "secret"}, {"members": [hosted]}]
    for body in bodies:
        assert (await callers.admin.patch(f"/channels/{hosted}", json=body)).status_code == 422


async def test_channel_in_use_is_not_deleted(callers: Callers, hosted: str) -> None:
    await callers.admin.post("/channels", json={"name": "all", "kind": "virtual", "members": [hosted]})
    refused = await callers.admin.delete(f"/channels/{hosted}")
    assert (refused.status_code, refused.json()["code"]) == (409, "channel-in-use")
    for name in ("all", hosted):
        assert (await callers.admin.delete(f"/channels/{name}")).status_code == 204
        assert (await callers.admin.get(f"/channels/{name}")).status_code == 404


async def test_channels_come_in_pages(callers: Callers) -> None:
    for name in "edcba":
        await callers.admin.post("/channels", json={"name": name, "kind": "hosted"})
    found = await pages(callers.admin, "/channels", 2)
    assert [[one["name"] for one in page] for page in found] == [["a", "b"], ["c", "d"], ["e"]]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "cursor=x",
        "cursor=%FF",
        "cursor=e30=",
        "cursor=WzFd",
        "cursor=WyJcdTAwMDAiXQ==",
    ],
)
async def test_bad_pages_are_refused(callers: Callers, hosted: str, query: str) -> None:
    for path in ("/channels", f"/channels/{hosted}/artifacts", f"/channels/{hosted}/revisions", "/tokens"):
        assert (await callers.admin.get(f"{path}?{query}")).status_code == 422, path


async def test_artifacts_and_revisions_come_in_pages(callers: Callers, hosted: str) -> None:
    for name in ("alpha", "beta", "gamma"):
        await callers.admin.post(
            f"/channels/{hosted}/artifacts", params={"filename": f"{name}-1.0-0.conda"}, content=package(name)[1]
        )
    found = await pages(callers.admin, f"/channels/{hosted}/artifacts", 2)
    assert [[one["package"] for one in page] for page in found] == [["alpha", "beta"], ["gamma"]]
    found = await pages(callers.admin, f"/channels/{hosted}/revisions", 3)
    assert [[one["number"] for one in page] for page in found] == [[4, 3, 2], [1]]
    assert found[0][0]["cause"] == "artifacts changed"
    assert (found[0][0]["changed"], found[1][0]["changed"]) == (1, 0)
    nothing = await callers.admin.get(f"/channels/{hosted}/revisions", params={"subdir": "linux-64"})
    assert nothing.json() == {"items": [], "next": None}


async def test_mirror_says_how_it_stands(callers: Callers, mirror: str, hosted: str) -> None:
    shown = await callers.admin.get(f"/channels/{mirror}/mirror")
    standing = {
        "name": "main",
        "urls": [HIDDEN_URL],
        "subdirs": ["noarch"],
        "warnings": [],
        "resting": [],
        "status": [],
    }
    assert shown.json() == {"channel": mirror, "mirrors": [standing]}
    for method, noun in [("GET", "mirror"), ("POST", "sync")]:
        refused = await callers.admin.request(method, f"/channels/{hosted}/{noun}")
        assert (refused.status_code, refused.json()["code"]) == (409, "kind-unfit")


async def test_sync_is_a_job_that_can_be_watched_and_stopped(callers: Callers, mirror: str) -> None:
    asked = await callers.admin.post(f"/channels/{mirror}/sync", json={"subdirs": ["noarch"]})
    assert asked.status_code == 202, asked.text
    job = asked.json()
    assert (job["kind"], job["state"], job["actor"]) == ("sync-mirror", "queued", "ada (token admin)")
    assert job["request"] == {"channel": mirror, "subdirs": ["noarch"]}
    assert (await callers.admin.post(f"/channels/{mirror}/sync", json={"subdirs": ["noarch"]})).json()["id"] == job[
        "id"
    ]
    other = (await callers.admin.post(f"/channels/{mirror}/sync")).json()
    assert other["id"] != job["id"]
    found = await pages(callers.admin, "/jobs?kind=sync-mirror", 1)
    assert [[one["id"] for one in page] for page in found] == [[other["id"]], [job["id"]]]
    path = f"/jobs/{job['id']}"
    early = await callers.admin.post(f"{path}/retry")
    assert (early.status_code, early.json()["code"]) == (409, "job-not-failed")
    assert (await callers.admin.post(f"{path}/stop")).json()["state"] == "stopped"
    late = await callers.admin.post(f"{path}/stop")
    assert (late.status_code, late.json()["code"]) == (409, "job-ended")
    assert (await callers.admin.post(f"{path}/retry")).json()["state"] == "queued"
    assert (await callers.admin.get(path)).json()["state"] == "queued"


async def test_patches_are_kept_as_given(callers: Callers, hosted: str) -> None:
    path = f"/channels/{hosted}/patches/noarch"
    assert (await callers.admin.get(path)).json() == {"patch_instructions_version": 1}
    document = b'{"patch_instructions_version": 1,  "remove": ["demo-1.0-0.conda"]}'
    assert (await callers.admin.put(path, content=document)).status_code == 200
    kept = await callers.admin.get(path)
    assert (kept.content, kept.headers["content-type"]) == (document, "application/json")
    for bad in (b"", b"[]", b"{", b'{"patch_instructions_version": 9}'):
        refused = await callers.admin.put(path, content=bad)
        assert (refused.status_code, refused.json()["code"]) == (422, "patch-invalid")
    assert (await callers.admin.get(path)).content == document


async def test_tokens_are_shown_once_and_revoked_at_once(callers: Callers, services: Services) -> None:
    body = {"name": "ci", "permissions": ["view"], "channels": ["team"], "expires_days": 30}
    made = (await callers.admin.post("/tokens", json=body)).json()
    assert (made["user"], made["permissions"], made["channels"]) == ("ada", ["view"], ["team"])
    listed = await callers.admin.get("/tokens")
    assert made["token"] not in listed.text
    assert [one["name"] for one in listed.json()["items"]] == ["adder", "admin", "ci", "viewer", "member"]
    again = await callers.admin.post("/tokens", json=body)
    assert (again.status_code, again.json()["code"]) == (409, "token-exists")
    user = callers.with_token(made["token"])
    assert (await user.get("/me")).json()["token"]["name"] == "ci"
    assert (await callers.admin.delete("/tokens/ada/ci")).status_code == 204
    revoked = await user.get("/me")
    assert (revoked.status_code, revoked.json()["code"]) == (401, "token-revoked")
    assert (await callers.admin.delete("/tokens/ada/ci")).status_code == 404
    unknown = await callers.admin.post("/tokens", json={"name": "x", "user": "nobody"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "user-unknown")

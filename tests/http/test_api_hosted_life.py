"""Files changed together, words on packages and pipelines, through the API: who may, what is shown, what is refused."""

import pytest

from headgate.access.grants import PrincipalKind, Scope
from headgate.bootstrap import Services
from tests.http.conftest import Callers
from tests.packages import archive, package

COPY = {"action": "copy", "wants": ["demo"], "target": "team/rc"}


@pytest.fixture(autouse=True)
async def channels(callers: Callers) -> None:
    for name in ("team", "team/rc", "prod"):
        made = await callers.admin.post("/channels", json={"name": name, "kind": "hosted"})
        assert made.status_code == 201, made.text
    for version in ("1.0", "2.0"):
        filename, body = package("demo", version)
        sent = await callers.admin.post("/channels/team/artifacts", params={"filename": filename}, content=body)
        assert sent.status_code == 201, sent.text


async def names(callers: Callers, channel: str) -> list[str]:
    answer = await callers.admin.get(f"/channels/{channel}/artifacts", params={"status": "active"})
    return [one["filename"] for one in answer.json()["items"]]


async def grant(services: Services, role: str, channel: str, package_pattern: str | None = None) -> None:
    await services.core.access.grants.add_grant(
        "root", PrincipalKind.USER, "bob", role, Scope(channel, package_pattern)
    )
    await services.snapshots.reload()


async def test_a_batch_is_shown_first_and_then_done_for_what_was_seen(callers: Callers) -> None:
    plan = (await callers.admin.post("/channels/team/batches/preview", json=COPY)).json()
    assert (plan["total"], plan["hindrances"], plan["job"]) == (2, [], None)
    assert await names(callers, "team/rc") == []
    stale = await callers.admin.post("/channels/team/batches", json={**COPY, "digest": "0" * 64})
    assert (stale.status_code, stale.json()["code"]) == (409, "batch-outdated")
    done = await callers.admin.post("/channels/team/batches", json={**COPY, "digest": plan["digest"]})
    assert done.status_code == 200, done.text
    assert await names(callers, "team/rc") == ["demo-1.0-0.conda", "demo-2.0-0.conda"]


async def test_copying_needs_both_directions_and_moving_deletion_too(callers: Callers, services: Services) -> None:
    async def status(action: str) -> tuple[int, str]:
        answer = await callers.member.post("/channels/team/batches", json={**COPY, "action": action})
        return answer.status_code, answer.json().get("detail", "")

    assert (await status("copy"))[0] == 403
    await grant(services, "approver", "team")
    assert "promotion:into" in (await status("copy"))[1]
    await grant(services, "approver", "team/rc")
    assert "artifact:delete" in (await status("move"))[1]
    assert (await status("copy"))[0] == 200


async def test_an_owner_yanks_their_package_and_no_other(callers: Callers, services: Services) -> None:
    filename, body = package("other")
    await callers.admin.post("/channels/team/artifacts", params={"filename": filename}, content=body)
    path = "/channels/team/packages/demo/owners/user/bob"
    made = await callers.admin.put(path, json={"may_publish": True})
    assert made.json()["owners"] == [{"kind": "user", "principal": "bob", "may_publish": True}]
    wish = {"action": "yank", "wants": ["demo <2"]}
    assert (await callers.member.post("/channels/team/batches", json=wish)).status_code == 200
    refused = await callers.member.post("/channels/team/batches", json={**wish, "wants": ["demo", "other"]})
    assert (refused.status_code, refused.json()["code"]) == (403, "permission-denied")
    assert await names(callers, "team") == ["demo-2.0-0.conda", "other-1.0-0.conda"]
    assert (await callers.member.put("/channels/team/packages/demo/note", json={"text": "mine"})).status_code == 200
    assert (await callers.member.put("/channels/team/packages/other/note", json={"text": "x"})).status_code == 403


async def test_letting_an_owner_publish_needs_more_than_managing_the_channel(
    callers: Callers, services: Services
) -> None:
    await grant(services, "channel-manager", "team")
    path = "/channels/team/packages/demo/owners/user/bob"
    assert (await callers.member.put(path, json={"may_publish": True})).status_code == 403
    assert (await callers.member.put(path, json={"may_publish": False})).status_code == 200


async def test_a_deprecation_is_about_the_package_of_its_path(callers: Callers) -> None:
    path = "/channels/team/packages/demo/deprecations"
    refused = await callers.admin.post(path, json={"spec": "other", "reason": "gone"})
    assert (refused.status_code, refused.json()["code"]) == (422, "match-spec-invalid")
    made = await callers.admin.post(path, json={"spec": "demo <2", "reason": "gone"})
    assert [one["spec"] for one in made.json()["deprecations"]] == ["demo <2"]
    listed = (await callers.admin.get("/channels/team/packages")).json()["items"]
    assert [one["package"] for one in listed] == ["demo"]
    gone = await callers.admin.delete(path, params={"spec": "demo <2"})
    assert gone.json()["deprecations"] == []


async def test_a_pipeline_says_where_a_promotion_goes_and_where_it_does_not(callers: Callers) -> None:
    body = {"name": "release", "stages": ["team", "team/rc", "prod"]}
    made = await callers.admin.post("/pipelines", json=body)
    assert made.status_code == 201, made.text
    wish = {"wants": ["demo"], "source": "team", "platforms": ["linux-64"]}
    plan = await callers.admin.post("/promotions/preview", json=wish)
    assert (plan.status_code, plan.json()["target"]) == (200, "team/rc")
    for path in ("/promotions/preview", "/promotions"):
        skipped = await callers.admin.post(path, json={**wish, "target": "prod"})
        assert (skipped.status_code, skipped.json()["code"]) == (409, "stage-skipped")
    last = await callers.admin.post("/promotions/preview", json={**wish, "source": "prod"})
    assert (last.status_code, last.json()["code"]) == (404, "stage-unknown")
    await callers.admin.post("/channels/team/batches", json={**COPY, "wants": ["demo <2"]})
    shown = (await callers.admin.get("/pipelines/release")).json()
    assert [(one["channel"], one["records"]) for one in shown["lags"]] == [("team/rc", 1), ("prod", 1)]


async def test_pipelines_are_for_who_sees_or_manages_all_of_their_channels(
    callers: Callers, services: Services
) -> None:
    body = {"name": "release", "stages": ["team", "prod"]}
    assert (await callers.anonymous.post("/pipelines", json=body)).status_code == 401
    await grant(services, "channel-manager", "team")
    assert (await callers.member.post("/pipelines", json=body)).status_code == 403
    assert (await callers.admin.post("/pipelines", json=body)).status_code == 201
    for answer in (
        await callers.member.get("/pipelines/release"),
        await callers.member.patch("/pipelines/release", json={"is_strict": False}),
        await callers.member.delete("/pipelines/release"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "pipeline-unknown")
    assert (await callers.member.get("/pipelines")).json()["items"] == []
    await grant(services, "downloader", "prod")
    assert [one["name"] for one in (await callers.member.get("/pipelines")).json()["items"]] == ["release"]
    assert (await callers.member.delete("/pipelines/release")).status_code == 403
    changed = await callers.admin.patch("/pipelines/release", json={"is_strict": False})
    assert changed.json()["is_strict"] is False
    assert (await callers.admin.delete("/pipelines/release")).status_code == 204


async def test_rollback_by_moment_and_by_revision(callers: Callers) -> None:
    first = (await callers.admin.get("/channels/team/revisions")).json()["items"][1]
    plan = await callers.admin.post("/channels/team/rollback/preview", json={"revisions": {"noarch": first["number"]}})
    assert [one["fate"] for one in plan.json()["steps"][0]["files"]] == ["disappears"]
    bad: list[dict[str, object]] = [{}, {"moment": "2026-01-01T00:00:00"}, {"revisions": {}}]
    for body in bad:
        refused = await callers.admin.post("/channels/team/rollback/preview", json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, "rollback-aimless")
    body = {"moment": first["created_at"], "comment": "as it was", "digest": plan.json()["digest"]}
    done = await callers.admin.post("/channels/team/rollback", json=body)
    assert done.status_code == 200, done.text
    assert await names(callers, "team") == ["demo-1.0-0.conda"]


async def test_a_patch_package_is_tried_then_taken_and_undone(callers: Callers) -> None:
    name, content = archive("our-patches", {"noarch/patch_instructions.json": b'{"remove":["demo-2.0-0.conda"]}'})
    path = "/channels/team/patches"
    tried = await callers.admin.post(path, params={"filename": name, "dry_run": True}, content=content)
    assert (tried.status_code, tried.json()["total"]) == (200, 1), tried.text
    assert (await callers.admin.get(path)).json()["items"] == []
    await callers.admin.post(path, params={"filename": name, "comment": "no twos"}, content=content)
    (edit,) = (await callers.admin.get(path)).json()["items"]
    assert (edit["origin"], edit["comment"]) == (name, "no twos")
    undone = await callers.admin.post(f"{path}/{edit['id']}/undo", json={})
    assert undone.json() == ["noarch"]

"""Promotions through the API: who may, what is shown, what is refused."""

import pytest

from headgate.access.grants import PrincipalKind, Scope
from headgate.approvals.promotions import PromotionService
from headgate.bootstrap import Services
from tests.http.conftest import Callers
from tests.packages import package

WISH = {"wants": ["app"], "source": "outside", "target": "inside", "platforms": ["linux-64"]}


@pytest.fixture(autouse=True)
async def feeds(callers: Callers) -> None:
    for name in ("outside", "inside"):
        made = await callers.admin.post("/channels", json={"name": name, "kind": "hosted"})
        assert made.status_code == 201
    for name, depends in (("lib", []), ("app", ["lib"])):
        filename, body = package(name, subdir="linux-64", depends=depends)
        sent = await callers.admin.post("/channels/outside/artifacts", params={"filename": filename}, content=body)
        assert sent.status_code == 201, sent.text


async def test_a_preview_shows_every_file_and_changes_nothing(callers: Callers) -> None:
    shown = await callers.admin.post("/promotions/preview", json=WISH)
    assert shown.status_code == 200, shown.text
    plan = shown.json()
    assert [(item["filename"], item["state"], item["is_asked"]) for item in plan["items"]] == [
        ("app-1.0-0.conda", "new", True),
        ("lib-1.0-0.conda", "new", False),
    ]
    assert plan["new_bytes"] == sum(item["size_bytes"] for item in plan["items"]) > 0
    assert (await callers.admin.get("/promotions")).json()["items"] == []
    assert (await callers.admin.get("/channels/inside/artifacts")).json()["items"] == []


async def test_a_decision_is_written_down_with_its_job(callers: Callers) -> None:
    plan = (await callers.admin.post("/promotions/preview", json=WISH)).json()
    made = await callers.admin.post("/promotions", json={**WISH, "digest": plan["digest"], "comment": "needed"})
    assert made.status_code == 202, made.text
    promotion = made.json()
    assert (promotion["state"], promotion["comment"], promotion["wants"]) == ("planned", "needed", ["app"])
    job = (await callers.admin.get(f"/jobs/{promotion['job']}")).json()
    assert (job["kind"], job["state"]) == ("promote-artifacts", "queued")
    assert (await callers.admin.get(f"/promotions/{promotion['id']}")).json()["items"] == plan["items"]


async def test_a_decision_on_a_stale_preview_is_refused(callers: Callers) -> None:
    refused = await callers.admin.post("/promotions", json={**WISH, "digest": "0" * 64})
    assert (refused.status_code, refused.json()["code"]) == (409, "promotion-outdated")


async def test_both_directions_are_needed(callers: Callers, services: Services) -> None:
    grants = services.core.access.grants

    async def answer() -> tuple[int, str]:
        await services.snapshots.reload()
        got = await callers.member.post("/promotions/preview", json=WISH)
        return got.status_code, got.json().get("detail", "")

    assert (await answer())[0] == 403
    await grants.add_grant("root", PrincipalKind.USER, "bob", "approver", Scope("outside"))
    status, detail = await answer()
    assert status == 403
    assert "promotion:into" in detail
    await grants.add_grant("root", PrincipalKind.USER, "bob", "approver", Scope("inside"))
    assert (await answer())[0] == 200


async def test_promotions_into_channels_that_one_may_not_read_do_not_show(callers: Callers) -> None:
    made = (await callers.admin.post("/promotions", json=WISH)).json()
    assert (await callers.member.get("/promotions")).json()["items"] == []
    for answer in (
        await callers.member.get(f"/promotions/{made['id']}"),
        await callers.member.post(f"/promotions/{made['id']}/undo"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "promotion-unknown")


async def test_an_undone_promotion_leaves_the_index(callers: Callers, services: Services) -> None:
    made = (await callers.admin.post("/promotions", json=WISH)).json()
    await services.promotions.apply(made["id"])
    await services.snapshots.reload()
    undone = await callers.admin.post(f"/promotions/{made['id']}/undo")
    assert (undone.status_code, undone.json()["state"]) == (200, "undone")
    assert (await callers.admin.get("/channels/inside/artifacts")).json()["items"] == []


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"wants": ["conda-forge::app"]}, 422, "want-invalid"),
        ({"wants": ["nothing"]}, 404, "want-unknown"),
        ({"target": "outside"}, 422, "promotion-circular"),
        ({"source": "nowhere"}, 404, "channel-unknown"),
        ({"platforms": ["Linux"]}, 422, "subdir-invalid"),
        ({"machine": {"cuda": "12"}}, 422, "request-invalid"),
        ({"machine": {"__cuda": "_"}}, 422, "version-invalid"),
    ],
)
async def test_wishes_that_make_no_sense_are_refused(
    callers: Callers, change: dict[str, object], status: int, code: str
) -> None:
    refused = await callers.admin.post("/promotions/preview", json=WISH | change)
    assert (refused.status_code, refused.json()["code"]) == (status, code)


async def test_a_draft_tells_which_environments_would_miss_files(callers: Callers, services: Services) -> None:
    made = (await callers.admin.post("/promotions", json=WISH)).json()
    await PromotionService(services.core.database, services.core.store).apply(made["id"])
    await services.snapshots.reload()
    rule = {"kind": "match-spec", "exclude": ["lib"], "action": "block"}
    draft = {"channel": "inside", "document": {"name": "no-lib", "rule": [rule]}}
    tried = (await callers.admin.post("/policies/simulate", json=draft)).json()
    [lost] = tried["environments"]
    assert (lost["promotion"], lost["wants"], lost["missing"], lost["request"]) == (made["id"], ["app"], 1, None)

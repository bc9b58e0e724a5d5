"""Requests through the API: who may, what is said at once, links, rules."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from headgate.access.grants import PrincipalKind, Scope
from headgate.bootstrap import Services
from headgate.intake.lapsing import lapse_due
from headgate.kernel import clock
from tests.http.conftest import Callers
from tests.packages import package

WISH = {"wants": ["app"], "target": "inside", "platforms": ["linux-64"]}
ENVIRONMENT = "dependencies:\n- app\n- pip\n- pip:\n  - requests\n"


@pytest.fixture(autouse=True)
async def feeds(callers: Callers, services: Services) -> None:
    """bob may download from `inside`, whose rules let him ask from `outside`, which he cannot read."""
    for name in ("outside", "inside"):
        assert (await callers.admin.post("/channels", json={"name": name, "kind": "hosted"})).status_code == 201
    for name, version, depends in (("lib", "1.0", []), ("lib", "2.0", []), ("app", "1.0", ["lib"])):
        filename, body = package(name, version, subdir="linux-64", depends=depends)
        sent = await callers.admin.post("/channels/outside/artifacts", params={"filename": filename}, content=body)
        assert sent.status_code == 201, sent.text
    await services.core.access.grants.add_grant("root", PrincipalKind.USER, "bob", "downloader", Scope("inside"))
    rules = await callers.admin.put("/channels/inside/request-rules", json={"sources": ["outside"]})
    assert rules.status_code == 200, rules.text
    await services.snapshots.reload()


async def look(caller: httpx.AsyncClient, **changes: Any) -> Any:
    answer = await caller.post("/requests/preview", json=WISH | changes)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def digest_of(caller: httpx.AsyncClient, number: int) -> str:
    answer = await caller.get(f"/requests/{number}/preview")
    assert answer.status_code == 200, answer.text
    digest: str = answer.json()["plan"]["digest"]
    return digest


async def test_it_is_said_at_once_how_every_want_stands(callers: Callers, services: Services) -> None:
    filename, body = package("there", "1.0")
    for channel in ("inside", "outside"):
        await callers.admin.post(f"/channels/{channel}/artifacts", params={"filename": filename}, content=body)
    await callers.admin.post(
        "/policies",
        json={"document": {"name": "no", "rule": [{"kind": "match-spec", "exclude": ["lib=1"], "action": "block"}]}},
    )
    await callers.admin.post("/policies/no/attachments", json={"channel": "inside"})
    said = await look(callers.member, wants=["app", "there", "lib=1", "absent"])
    assert {one["want"]: (one["state"], one["alternative"]) for one in said["wants"]} == {
        "app": ("waiting", None), "there": ("present", None), "lib=1": ("forbidden", "2.0"), "absent": ("unknown", None),
    }  # fmt: skip
    (lib,) = [one for one in said["wants"] if one["want"] == "lib=1"]
    assert "match-spec" in lib["reasons"][0]
    assert said["why_people"] == "Every request into this channel is decided by people."


async def test_a_request_is_asked_approved_and_carried_out(callers: Callers, services: Services) -> None:
    made = await callers.member.post("/requests", json=WISH | {"comment": "for the demo"})
    assert made.status_code == 201, made.text
    request = made.json()
    assert (request["source"], request["state"], request["requesters"][0]["why"]) == (
        "outside", "requested", "for the demo",
    )  # fmt: skip
    number = request["id"]
    digest = await digest_of(callers.member, number)
    for body, status, code in (
        ({"digest": "0" * 64}, 409, "request-outdated"),
        ({"digest": "short"}, 422, "request-invalid"),
    ):
        refused = await callers.admin.post(f"/requests/{number}/approve", json=body)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
    approved = (await callers.admin.post(f"/requests/{number}/approve", json={"digest": digest})).json()
    assert approved["state"] == "approved"
    job = (await callers.admin.get(f"/jobs/{approved['job']}")).json()
    assert (job["kind"], job["request"]) == ("promote-artifacts", {"promotion": approved["promotion"]})
    await services.promotions.apply(approved["promotion"])
    await services.snapshots.reload()
    ended = (await callers.member.get(f"/requests/{number}")).json()
    assert ended["state"] == "applied"
    promotion = (await callers.admin.get(f"/promotions/{approved['promotion']}")).json()
    assert (promotion["request"], promotion["approvers"]) == (number, ["ada"])
    assert [one["filename"] for one in promotion["items"]] == ["app-1.0-0.conda", "lib-2.0-0.conda"]


async def test_a_part_is_approved_and_the_rest_is_another_request(callers: Callers) -> None:
    number = (await callers.member.post("/requests", json=WISH | {"wants": ["app", "lib=1"]})).json()["id"]
    part = {"left_out": ["app"]}
    look = (await callers.admin.get(f"/requests/{number}/preview", params=part)).json()
    assert [one["filename"] for one in look["plan"]["items"]] == ["lib-1.0-0.conda"]
    body = part | {"digest": look["plan"]["digest"]}
    refused = await callers.admin.post(f"/requests/{number}/approve", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "request-comment-missing")
    approved = (await callers.admin.post(f"/requests/{number}/approve", json=body | {"left_out_why": "old"})).json()
    assert (approved["state"], approved["wants"], approved["left_out"]) == ("approved", ["lib=1"], ["app"])
    rest = (await callers.member.get(f"/requests/{approved['rest']}")).json()
    assert (rest["state"], rest["wants"], rest["part_of"]) == ("requested", ["app"], number)
    unasked = await callers.admin.get(f"/requests/{rest['id']}/preview", params={"left_out": ["numpy"]})
    assert (unasked.status_code, unasked.json()["code"]) == (422, "request-part-invalid")


async def test_an_approval_has_an_end(callers: Callers, services: Services) -> None:
    number = (await callers.member.post("/requests", json=WISH | {"wants": ["lib=2"]})).json()["id"]
    body = {"digest": await digest_of(callers.admin, number)}
    for end, code in (("2020-01-01T00:00:00Z", "request-end-past"), ("2099-01-01T00:00:00", "request-invalid")):
        refused = await callers.admin.post(f"/requests/{number}/approve", json=body | {"ends_at": end})
        assert (refused.status_code, refused.json()["code"]) == (422, code)
    end = "2099-01-01T00:00:00Z"
    approved = (await callers.admin.post(f"/requests/{number}/approve", json=body | {"ends_at": end})).json()
    assert (approved["ends_at"], approved["approvals"][0]["ends_at"]) == (end, end)
    await services.promotions.apply(approved["promotion"])
    assert (await callers.admin.get(f"/promotions/{approved['promotion']}")).json()["ends_at"] == end
    await services.snapshots.reload()
    why = await callers.member.get("/channels/inside/why", params={"file": "linux-64/lib-2.0-0.conda"})
    assert why.json()["items"][0]["ends_at"] == end
    again = (await callers.member.post("/requests", json=WISH | {"wants": ["lib=2"]})).json()
    look = (await callers.member.get(f"/requests/{again['id']}/preview")).json()
    assert [(one["state"], one["ends_at"]) for one in look["plan"]["items"]] == [("ending", end)]
    lapsed = clock.now() + timedelta(days=40_000)
    assert await lapse_due(services.core.database, lapsed) == 1
    listed = (await callers.admin.get("/channels/inside/artifacts", params={"status": "lapsed"})).json()["items"]
    assert [one["filename"] for one in listed] == ["lib-2.0-0.conda"]


async def test_asking_deciding_and_withdrawing_are_not_the_same_rights(callers: Callers, services: Services) -> None:
    number = (await callers.member.post("/requests", json=WISH)).json()["id"]
    digest = await digest_of(callers.admin, number)
    for word, body in (
        ("approve", {"digest": digest}),
        ("reject", {"comment": "x"}),
        ("ask-changes", {"comment": "x"}),
    ):
        refused = await callers.member.post(f"/requests/{number}/{word}", json=body)
        assert (refused.status_code, refused.json()["code"]) == (403, "permission-denied"), word
    own = (await callers.admin.post("/requests", json=WISH | {"wants": ["lib=1"]})).json()["id"]
    refused = await callers.admin.post(f"/requests/{own}/approve", json={"digest": await digest_of(callers.admin, own)})
    assert (refused.status_code, refused.json()["code"]) == (403, "request-own")
    refused = await callers.member.post(f"/requests/{own}/withdraw", json={})
    assert (refused.status_code, refused.json()["code"]) == (403, "request-others")
    assert (await callers.member.post(f"/requests/{own}/comments", json={"comment": "Me too."})).status_code == 200
    assert (await callers.member.post(f"/requests/{number}/withdraw", json={})).json()["state"] == "withdrawn"
    stranger = (await callers.anonymous.get(f"/requests/{number}")).json()
    assert stranger["code"] == "credentials-needed"


async def test_what_rules_do_not_open_is_asked_from_by_readers_alone(callers: Callers, services: Services) -> None:
    await callers.admin.put("/channels/inside/request-rules", json={})
    refused = await callers.member.post("/requests/preview", json=WISH | {"source": "outside"})
    assert (refused.status_code, refused.json()["code"]) == (403, "permission-denied")
    missing = await callers.admin.post("/requests/preview", json=WISH)
    assert (missing.status_code, missing.json()["code"]) == (422, "request-place-missing")
    assert (await look(callers.admin, source="outside"))["wants"][0]["state"] == "waiting"


async def test_rules_open_only_what_their_maker_may_read(callers: Callers, services: Services) -> None:
    await services.core.access.grants.add_grant("root", PrincipalKind.USER, "bob", "channel-manager", Scope("inside"))
    await services.snapshots.reload()
    refused = await callers.member.put("/channels/inside/request-rules", json={"sources": ["outside"]})
    assert (refused.status_code, refused.json()["code"]) == (403, "permission-denied")
    allowed = await callers.member.put("/channels/inside/request-rules", json={"approvals": 2})
    assert (allowed.status_code, allowed.json()["approvals"]) == (200, 2)


async def test_an_environment_is_asked_for_as_it_is(callers: Callers) -> None:
    said = await look(callers.member, wants=[], environment=ENVIRONMENT)
    assert [(one["want"], one["state"]) for one in said["wants"]] == [("app", "waiting"), ("pip", "unknown")]
    assert said["plan"]["notes"] == ["pip installs requests; it does not pass."]
    made = await callers.member.post(
        "/requests", json=WISH | {"wants": ["lib"], "environment": "dependencies:\n- app\n"}
    )
    assert made.json()["wants"] == ["lib", "app"]
    refused = await callers.member.post("/requests", json=WISH | {"environment": "dependencies:\n- app >>1\n"})
    assert (refused.status_code, refused.json()["code"]) == (422, "environment-invalid")
    assert refused.json()["detail"].startswith("Line 2 ")


async def test_the_link_of_a_refused_download_is_asked_for(callers: Callers) -> None:
    link = "http://headgate.test/api/v1/channels/inside/why?file=linux-64/lib-1.0-0.conda"
    body = {"link": link, "platforms": ["linux-64"]}
    said = await callers.member.post("/requests/preview", json=body)
    assert [(one["want"], one["state"]) for one in said.json()["wants"]] == [("linux-64/lib-1.0-0.conda", "waiting")], (
        said.text
    )
    refused = await callers.member.post("/requests/preview", json=body | {"link": "https://elsewhere.example/"})
    assert (refused.status_code, refused.json()["code"]) == (422, "link-invalid")


async def test_a_draft_is_nobody_elses_business(callers: Callers) -> None:
    draft = (await callers.member.post("/requests", json=WISH | {"is_draft": True})).json()
    assert draft["state"] == "draft"
    assert (await callers.admin.get("/requests")).json()["items"] == []
    assert (await callers.admin.get(f"/requests/{draft['id']}")).status_code == 404
    sent = await callers.member.post(f"/requests/{draft['id']}/submit", json={"wants": ["lib=1"]})
    assert (sent.json()["state"], sent.json()["wants"]) == ("requested", ["lib=1"])
    listed = (await callers.admin.get("/requests?state=requested&target=inside")).json()["items"]
    assert [one["id"] for one in listed] == [draft["id"]]
    assert (await callers.admin.get("/requests?mine=true")).json()["items"] == []


async def test_a_whole_environment_is_promoted(callers: Callers) -> None:
    wish = {"environment": "dependencies:\n- app\n", "source": "outside", "target": "inside", "platforms": ["linux-64"]}
    plan = (await callers.admin.post("/promotions/preview", json=wish)).json()
    assert [one["filename"] for one in plan["items"]] == ["app-1.0-0.conda", "lib-2.0-0.conda"]
    assert {one["outcome"] for one in plan["items"]} == {"allow"}
    nothing = await callers.admin.post("/promotions/preview", json=wish | {"environment": None})
    assert (nothing.status_code, nothing.json()["code"]) == (422, "want-invalid")

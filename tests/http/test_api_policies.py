"""Policies and exemptions through the API: what is saved, shown, refused, and tried."""

from typing import Any

import httpx

from headgate.audit.access_log import Access
from headgate.audit.masking import Kind
from headgate.bootstrap import Services
from tests.http.conftest import Callers
from tests.packages import package

TEXT = """
name = "no-two"
mode = "enforce"
[[rule]]
kind = "match-spec"
exclude = ["demo >=2"]
action = "block"
"""


async def fill(client: httpx.AsyncClient, channel: str) -> None:
    for version in ("1.0", "2.0"):
        filename, body = package("demo", version)
        sent = await client.post(f"/channels/{channel}/artifacts", params={"filename": filename}, content=body)
        assert sent.status_code == 201, sent.text


async def test_policy_has_versions_and_the_same_again_is_none(callers: Callers) -> None:
    made = (await callers.admin.post("/policies", json={"text": TEXT})).json()
    assert (made["name"], made["version"], made["mode"], made["attached_to"]) == ("no-two", 1, "enforce", [])
    again = (await callers.admin.post("/policies", json={"text": TEXT})).json()
    assert again["version"] == 1
    changed = made["document"] | {"mode": "audit"}
    assert (await callers.admin.put("/policies/no-two", json={"document": changed})).json()["version"] == 2
    versions = (await callers.admin.get("/policies/no-two/versions")).json()["items"]
    assert [(one["version"], one["mode"]) for one in versions] == [(2, "audit"), (1, "enforce")]
    assert (await callers.admin.get("/policies/no-two?version=1")).json()["document"] == made["document"]
    assert (await callers.admin.get("/policies/no-two?version=9")).json()["code"] == "policy-unknown"
    elsewhere = await callers.admin.put("/policies/other", json={"document": changed})
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (409, "policy-exists-elsewhere")


async def test_mistakes_are_told_by_rule_and_key(callers: Callers) -> None:
    answer = await callers.admin.post("/policies", json={"document": {"name": "x", "rule": [{"kind": "size"}, {}]}})
    assert (answer.status_code, answer.json()["code"]) == (422, "policy-invalid")
    assert [reason.split(":")[0] for reason in answer.json()["reasons"]] == ["Rule 1 (size)", "Rule 2"]
    for body in ({}, {"document": {}, "text": TEXT}, {"text": "name ="}):
        assert (await callers.admin.post("/policies", json=body)).json()["code"] == "policy-invalid"


async def test_policy_is_attached_in_every_way_and_only_then_in_use(callers: Callers, hosted: str, mirror: str) -> None:
    await callers.admin.post("/policies", json={"text": TEXT})
    [name] = [one["name"] for one in (await callers.admin.get(f"/channels/{mirror}")).json()["mirrors"]]
    targets: list[dict[str, Any]] = [
        {"is_everywhere": True}, {"prefix": "team/*"}, {"channel": hosted}, {"mirror": f"{mirror}/{name}"},
    ]  # fmt: skip
    for target in targets:
        answer = await callers.admin.post("/policies/no-two/attachments", json=target)
        assert answer.status_code == 201, answer.text
    shown = (await callers.admin.get("/policies/no-two")).json()
    assert shown["attached_to"] == ["*", "team/*", hosted, f"mirror {mirror}/{name}"]
    assert shown["pending"] == []
    in_use = await callers.admin.delete("/policies/no-two")
    assert (in_use.status_code, in_use.json()["code"]) == (409, "policy-in-use")
    for scope in shown["attached_to"]:
        await callers.admin.delete("/policies/no-two/attachments", params={"scope": scope})
    assert (await callers.admin.delete("/policies/no-two")).status_code == 204
    unfit: list[dict[str, Any]] = [{}, {"prefix": "team"}, {"channel": hosted, "is_everywhere": True}]
    await callers.admin.post("/policies", json={"text": TEXT})
    for target in unfit:
        answer = await callers.admin.post("/policies/no-two/attachments", json=target)
        assert answer.json()["code"] == "scope-unfit"
    for target, code in (({"channel": "nothing"}, "channel-unknown"), ({"mirror": f"{mirror}/x"}, "mirror-unknown")):
        assert (await callers.admin.post("/policies/no-two/attachments", json=target)).json()["code"] == code


async def test_draft_and_why_and_exemption_tell_one_story(callers: Callers, hosted: str) -> None:
    await fill(callers.admin, hosted)
    draft = {"channel": hosted, "text": TEXT, "specs": ["demo >=2"]}
    tried = (await callers.admin.post("/policies/simulate", json=draft)).json()
    assert (tried["disappearing"], tried["appearing"], tried["lost_names"]) == (1, 0, [])
    assert tried["disappearing_by_rule"] == {"no-two/match-spec": 1}
    assert tried["next_versions"] == {"demo": "1.0"}
    assert (tried["solves_before"]["is_solved"], tried["solves_after"]["is_solved"]) == (True, False)
    await callers.admin.post("/policies", json={"text": TEXT})
    await callers.admin.post("/policies/no-two/attachments", json={"channel": hosted})
    [why] = (await callers.viewer.get(f"/channels/{hosted}/why?file=noarch/demo-2.0-0.conda")).json()["items"]
    assert (why["outcome"], why["reasons"][0]["policy"]) == ("block", "no-two")
    wish = {"kind": "spec", "target": "demo 2.0", "reason": "needed", "channel": hosted}
    would = (await callers.admin.post("/policies/simulate", json={"channel": hosted, "exemption": wish})).json()
    assert [one["filename"] for one in would["appearing_records"]] == ["demo-2.0-0.conda"]
    made = (await callers.admin.post("/exemptions", json=wish)).json()
    assert made["owner"] == "ada"
    [why] = (await callers.viewer.get(f"/channels/{hosted}/why?file=demo-2.0-0.conda")).json()["items"]
    assert (why["outcome"], why["is_passing"]) == ("allow", True)
    assert any("Exempted by ada" in reason["fact"] for reason in why["reasons"])
    assert (await callers.admin.delete(f"/exemptions/{made['id']}")).status_code == 204
    assert (await callers.admin.delete(f"/exemptions/{made['id']}")).json()["code"] == "exemption-unknown"
    listed = (await callers.viewer.get(f"/channels/{hosted}/why", params={"spec": "demo"})).json()["items"]
    assert [one["outcome"] for one in listed] == ["allow", "block"]


async def test_draft_weighs_what_would_disappear_by_its_downloads(
    callers: Callers, hosted: str, services: Services
) -> None:
    await fill(callers.admin, hosted)
    for version, times in (("1.0", 1), ("2.0", 3)):
        for _ in range(times):
            services.audit.log.note(
                Access(
                    kind=Kind.DOWNLOAD, method="GET", channel=hosted, subdir="noarch", package="demo",
                    filename=f"demo-{version}-0.conda", sha256="ab" * 32, who="ada", token="ci", address="192.0.2.7",
                    agent="pixi/0.40.0", verdict="allow", status=200, size_bytes=10,
                )
            )  # fmt: skip
    assert await services.audit.log.flush()
    document = {"name": "none", "rule": [{"kind": "match-spec", "exclude": ["demo"], "action": "block"}]}
    tried = (await callers.admin.post("/policies/simulate", json={"channel": hosted, "document": document})).json()
    shown = [(one["filename"], one["downloads"]) for one in tried["disappearing_records"]]
    assert shown == [("demo-2.0-0.conda", 3), ("demo-1.0-0.conda", 1)]
    assert tried["disappearing_downloads"] == 4
    assert tried["disappearing_downloads_by_rule"] == {"none/match-spec": 4}
    assert tried["disappearing_downloads_by_name"] == {"demo": 4}
    assert tried["lost_names"] == ["noarch/demo"]


async def test_exemption_that_ended_or_says_nothing_is_refused(callers: Callers) -> None:
    wish = {"kind": "spec", "target": "demo", "reason": "needed"}
    wrong: list[dict[str, Any]] = [
        {"reason": " "}, {"expires_at": "2020-01-01T00:00:00Z"}, {"expires_at": "2099-01-01T00:00:00"}, {"spec": "demo"},
    ]  # fmt: skip
    for change in wrong:
        answer = await callers.admin.post("/exemptions", json=wish | change)
        assert (answer.status_code, answer.json()["code"]) == (422, "exemption-invalid"), change

"""Search through the API: what is found, by whom, and what is said of what is not."""

import hashlib
from typing import Any

import httpx
import pytest

from headgate.bootstrap import Services
from headgate.channels.revising import republish
from headgate.channels.search_cards import CardWriter
from tests.http.conftest import Callers
from tests.packages import package

HOLD = {
    "name": "no-two",
    "mode": "enforce",
    "rule": [{"kind": "match-spec", "exclude": ["demo >=2", "gone"], "action": "block"}],
}


async def put(client: httpx.AsyncClient, channel: str, name: str, version: str = "1.0", **more: Any) -> str:
    filename, body = package(name, version, **more)
    sent = await client.post(f"/channels/{channel}/artifacts", params={"filename": filename}, content=body)
    assert sent.status_code == 201, sent.text
    return hashlib.sha256(body).hexdigest()


async def found(client: httpx.AsyncClient, text: str, **more: Any) -> Any:
    answer = await client.get("/search", params={"q": text, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(answer: Any) -> list[str]:
    return [one["name"] for one in answer["packages"]]


@pytest.fixture
async def filled(callers: Callers, services: Services, hosted: str) -> dict[str, str]:
    """Package -> sha256 of its last file."""
    admin = callers.admin
    digests = {
        "demo": await put(admin, hosted, "demo", license="MIT"),
        "demo-tools": await put(admin, hosted, "demo-tools", license="BSD-3-Clause", depends=["demo >=1"]),
        "my-demo": await put(admin, hosted, "my-demo", license="GPL-3.0-only"),
        "other": await put(admin, hosted, "other", about={"summary": "Demonstrates <b>nothing</b>, demo-free"}),
    }
    await CardWriter(services.core.database).catch_up()
    return digests


async def test_exact_name_comes_first_then_beginnings_then_the_rest(callers: Callers, filled: dict[str, str]) -> None:
    answer = await found(callers.admin, "demo")
    assert names(answer) == ["demo", "demo-tools", "my-demo", "other"]
    assert answer["total"] == 4
    [place] = answer["packages"][0]["places"]
    assert (place["channel"], place["version"], place["files"], place["licences"]) == ("team", "1.0", 1, ["MIT"])
    assert names(await found(callers.admin, "demo", start=1, limit=2)) == ["demo-tools", "my-demo"]


async def test_terms_narrow_and_stand_alone(callers: Callers, filled: dict[str, str]) -> None:
    assert names(await found(callers.admin, "demo license:bsd")) == ["demo-tools"]
    assert names(await found(callers.admin, "license:gpl")) == ["my-demo"]
    assert names(await found(callers.admin, "demo subdir:linux-64")) == []
    assert names(await found(callers.admin, "demo channel:te*")) == ["demo", "demo-tools", "my-demo", "other"]
    assert names(await found(callers.admin, "demo channel:x")) == []
    assert (await callers.admin.get("/search", params={"q": "age:soon"})).json()["code"] == "search-invalid"


async def test_files_are_found_by_name_and_by_digest(callers: Callers, filled: dict[str, str]) -> None:
    [file] = (await found(callers.admin, "demo-1.0"))["files"]
    assert (file["channel"], file["subdir"], file["filename"]) == ("team", "noarch", "demo-1.0-0.conda")
    for text in (filled["other"], filled["other"][:14]):
        [file] = (await found(callers.admin, text))["files"]
        assert (file["filename"], file["sha256"]) == ("other-1.0-0.conda", filled["other"])
    assert (await found(callers.admin, "0" * 64))["files"] == []


async def test_nobody_finds_what_they_may_not_read(callers: Callers, filled: dict[str, str]) -> None:
    for client in (callers.anonymous, callers.member):
        for text in ("demo", "license:mit", filled["demo"], "demo-1.0"):
            answer = await found(client, text)
            assert (answer["packages"], answer["files"], answer["hidden"], answer["total"]) == ([], [], [], 0)


async def test_what_a_policy_hides_is_said_with_its_rule(
    callers: Callers, services: Services, hosted: str, filled: dict[str, str]
) -> None:
    await put(callers.admin, hosted, "demo", "2.0")
    await put(callers.admin, hosted, "gone")
    await callers.admin.post("/policies", json={"document": HOLD})
    await callers.admin.post("/policies/no-two/attachments", json={"channel": hosted})
    await republish(services.core.database, ["demo", "gone"], "policy changed")  # as the jobs process does
    await services.snapshots.reload()
    await CardWriter(services.core.database).catch_up()
    answer = await found(callers.admin, "demo")
    assert answer["packages"][0]["places"][0]["version"] == "1.0"
    assert [(one["name"], list(one["held"].values())) for one in answer["hidden"]] == [("demo", [1])]
    gone = await found(callers.admin, "gone")
    assert (gone["packages"], gone["hidden"][0]["name"]) == ([], "gone")
    [rule] = gone["hidden"][0]["held"]
    assert names(await found(callers.admin, "blocked:yes")) == ["demo"]
    assert names(await found(callers.admin, f"blocked:{rule}")) == ["demo"]
    assert "demo" not in names(await found(callers.admin, "license:mit blocked:no"))


async def test_names_that_leave_are_no_longer_found(
    callers: Callers, services: Services, hosted: str, filled: dict[str, str]
) -> None:
    assert names(await found(callers.admin, "other")) == ["other"]
    gone = await callers.admin.delete(f"/channels/{hosted}/artifacts/noarch/other-1.0-0.conda")
    assert gone.status_code == 204
    await CardWriter(services.core.database).catch_up()
    assert names(await found(callers.admin, "other")) == []


async def test_dependents_are_those_whose_newest_files_need_the_name(
    services: Services, hosted: str, filled: dict[str, str]
) -> None:
    assert await services.search.list_dependents(services.catalog.get(hosted), "demo") == ["demo-tools"]
    assert await services.search.list_dependents(services.catalog.get(hosted), "dem") == []

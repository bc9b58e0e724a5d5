"""An incident closes every channel to what it names, exempted or not; lifting it opens them again."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from headgate.asgi import Application
from headgate.bootstrap import Services
from headgate.channels.exempting import Wish
from headgate.channels.model import ChannelKind, Privacy
from headgate.conda.names import ChannelName
from headgate.policy.exemptions import ExemptionKind
from tests.packages import package

ACTOR = "tests"
GOOD, BAD = package("demo", "1.0"), package("demo", "2.0", content=b"evil\n")
PASSWORD = "a long enough password"


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    await services.core.channels.create(ACTOR, ChannelName("open"), ChannelKind.HOSTED, privacy=Privacy.PUBLIC)
    await services.core.access.create_user(ACTOR, "root", PASSWORD, is_administrator=True)
    await services.snapshots.reload()
    for filename, body in (GOOD, BAD):

        async def pieces(body: bytes = body) -> AsyncIterator[bytes]:
            yield body

        await services.uploads.take(ACTOR, services.catalog.get("open"), filename, pieces())
    await services.snapshots.reload()
    application: Any = Application(services)
    transport = httpx.ASGITransport(application)
    auth = httpx.BasicAuth("root", PASSWORD)
    async with httpx.AsyncClient(transport=transport, base_url="http://headgate.test", auth=auth) as client:
        yield client


async def statuses(client: httpx.AsyncClient) -> list[int]:
    return [(await client.get(f"/conda/open/noarch/{name}")).status_code for name, _ in (GOOD, BAD)]


async def test_a_spec_is_blocked_in_spite_of_an_exemption_until_it_is_lifted(
    services: Services, client: httpx.AsyncClient
) -> None:
    wish = Wish(kind=ExemptionKind.SPEC, target="demo", reason="ours", owner="root")
    await services.core.exemptions.add(ACTOR, wish)
    declared = await client.post("/api/v1/incidents", json={"target": "demo >=2", "reason": "A stealer."})
    assert declared.status_code == 201, declared.text
    assert declared.json() | {"declared_at": ""} == {
        "id": 1, "kind": "spec", "target": "demo >=2", "reason": "A stealer.", "is_open": True, "declared_at": "",
        "declared_by": "root", "lifted_at": None, "lifted_by": None, "lifted_because": None,
    }  # fmt: skip
    assert await statuses(client) == [200, 403]
    refused = (await client.get(f"/conda/open/noarch/{BAD[0]}")).json()
    assert "incident" in refused["reasons"][0]
    again = await client.post("/api/v1/incidents", json={"target": "demo >=2", "reason": "Twice."})
    assert (again.status_code, again.json()["code"]) == (409, "incident-exists")
    lifted = await client.post("/api/v1/incidents/1/lift", json={"reason": "A false alarm."})
    assert lifted.json()["lifted_because"] == "A false alarm."
    assert await statuses(client) == [200, 200]
    twice = await client.post("/api/v1/incidents/1/lift", json={"reason": "Again."})
    assert (twice.status_code, twice.json()["code"]) == (404, "incident-unknown")
    events = await services.audit.trail.list_events(limit=2)
    assert [(one.action, one.subject) for one in events] == [("incident:lift", "1"), ("incident:declare", "1")]


async def test_one_file_is_blocked_by_its_digest_and_its_neighbours_pass(
    services: Services, client: httpx.AsyncClient
) -> None:
    digest = (await client.get(f"/conda/open/noarch/{BAD[0]}")).headers["etag"].strip('"')
    declared = await client.post("/api/v1/incidents", json={"target": digest.upper(), "reason": "Changed bytes."})
    assert (declared.json()["kind"], declared.json()["target"]) == ("sha256", digest)
    assert await statuses(client) == [200, 403]


@pytest.mark.parametrize("target", ["*", "num*", ">=2", "demo[", "sha256"])
async def test_what_names_no_one_thing_is_not_blocked(client: httpx.AsyncClient, target: str) -> None:
    kind = "sha256" if target == "sha256" else "spec"
    answer = await client.post("/api/v1/incidents", json={"target": target, "kind": kind, "reason": "x"})
    assert answer.status_code == 422, answer.text


async def test_nobody_writes_the_policy_of_incidents_by_hand(client: httpx.AsyncClient) -> None:
    assert (await client.post("/api/v1/incidents", json={"target": "CVE-2026-1", "reason": "x"})).status_code == 201
    policy = (await client.get("/api/v1/policies/incident")).json()
    assert policy["attached_to"] == ["*"]
    assert policy["document"]["rule"][0]["ids"] == ["CVE-2026-1"]
    for answer in (
        await client.put("/api/v1/policies/incident", json={"document": {"name": "incident", "mode": "off"}}),
        await client.delete("/api/v1/policies/incident/attachments?scope=*"),
        await client.delete("/api/v1/policies/incident"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "policy-built-in")

"""No path around the gate: each way to a blocked file's bytes or record is tried, and fails."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
import zstandard

from headgate.asgi import Application
from headgate.bootstrap import Services
from headgate.channels.documents import Renderer
from headgate.channels.exempting import Wish
from headgate.channels.model import ChannelKind, Privacy
from headgate.channels.policing import Target
from headgate.conda.names import ArtifactName, ChannelName, Subdir
from headgate.doors.conda.artifacts import ArtifactDoor
from headgate.intake.hosted import yank
from headgate.policy.exemptions import ExemptionKind
from tests.packages import package

ACTOR = "tests"
INDEX = "noarch/repodata_shards.msgpack.zst"
GOOD, BAD = package("demo", "1.0"), package("demo", "2.0", content=b"evil\n")
NO_TWO: dict[str, Any] = {
    "name": "no-two",
    "mode": "enforce",
    "rule": [{"kind": "match-spec", "exclude": ["demo >=2"], "action": "block"}],
}


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """A public channel with a version that passes and one that does not, and a virtual channel that shows it."""
    channels = services.core.channels
    await channels.create(ACTOR, ChannelName("open"), ChannelKind.HOSTED, privacy=Privacy.PUBLIC)
    await channels.create(
        ACTOR, ChannelName("all"), ChannelKind.VIRTUAL, privacy=Privacy.PUBLIC, members=[ChannelName("open")]
    )
    await services.core.access.create_user(ACTOR, "root", "a long enough password", is_administrator=True)
    await services.snapshots.reload()
    for filename, body in (GOOD, BAD):
        await upload(services, "open", filename, body)
    application: Any = Application(services)
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://headgate.test") as client:
        yield client


async def upload(services: Services, channel: str, filename: str, body: bytes) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield body

    await services.uploads.take(ACTOR, services.catalog.get(channel), filename, pieces())
    await services.snapshots.reload()


async def enforce(services: Services, document: dict[str, Any] = NO_TWO, *, channel: str = "open") -> None:
    await services.core.policies.apply(ACTOR, document)
    await services.core.policies.attach(ACTOR, document["name"], Target(channel=channel))
    await services.snapshots.reload()


async def listed(client: httpx.AsyncClient, channel: str = "open", name: str = "demo") -> set[str]:
    index = await client.get(f"/conda/{channel}/{INDEX}")
    digest = msgspec.msgpack.decode(zstandard.decompress(index.content))["shards"].get(name)
    if digest is None:
        return set()
    shard = await client.get(f"/conda/{channel}/noarch/shards/{digest.hex()}.msgpack.zst")
    assert shard.status_code == 200, shard.text
    return set(msgspec.msgpack.decode(zstandard.decompress(shard.content))["packages.conda"])


def check_refused(answer: httpx.Response, code: str = "policy-blocked") -> None:
    assert answer.status_code == 403, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert BAD[1] not in answer.content
    if answer.content:
        assert answer.json()["code"] == code
        assert "no-two, match-spec: It matches 'demo >=2'" in answer.json()["reasons"][0]
        assert "/api/v1/channels/open/why?file=noarch/demo-2.0-0.conda" in answer.json()["detail"]


async def test_index_shows_only_what_passes(services: Services, client: httpx.AsyncClient) -> None:
    assert await listed(client) == {GOOD[0], BAD[0]}
    await enforce(services)
    for channel in ("open", "all"):
        assert await listed(client, channel) == {GOOD[0]}
    await services.core.policies.detach(ACTOR, "no-two", "open")
    await services.snapshots.reload()
    for channel in ("open", "all"):
        assert await listed(client, channel) == {GOOD[0], BAD[0]}


async def test_a_refusal_has_links_to_why_and_to_a_request(services: Services, client: httpx.AsyncClient) -> None:
    await enforce(services)
    refused = (await client.get(f"/conda/open/noarch/{BAD[0]}")).json()
    base = "http://headgate.test"
    assert refused["why"] == f"{base}/api/v1/channels/open/why?file=noarch/{BAD[0]}"
    assert refused["request"] == f"{base}/requests/new?want=noarch/{BAD[0]}&target=open"
    assert refused["message"].endswith(f"Ask for it: {refused['request']}")
    assert refused["request"] not in refused["detail"]
    shown = (await client.get(f"/conda/all/noarch/{BAD[0]}")).json()
    assert shown["request"].endswith("&source=all")
    missing = (await client.get("/conda/open/noarch/absent-1.0-0.conda")).json()
    assert ("why" in missing, missing["request"]) == (
        False, f"{base}/requests/new?want=noarch/absent-1.0-0.conda&target=open",
    )  # fmt: skip
    nothing = (await client.get("/conda/nowhere/noarch/absent-1.0-0.conda")).json()
    assert not {"why", "request"} & nothing.keys()


@pytest.mark.parametrize("alias", ["conda/open", "get/open", "api/repo/open", "conda/open/label/main"])
async def test_every_alias_refuses_the_bytes(services: Services, client: httpx.AsyncClient, alias: str) -> None:
    await enforce(services)
    check_refused(await client.get(f"/{alias}/noarch/{BAD[0]}"))
    passing = await client.get(f"/{alias}/noarch/{GOOD[0]}")
    assert passing.content == GOOD[1]


async def test_head_range_and_conditional_requests_are_refused(services: Services, client: httpx.AsyncClient) -> None:
    await enforce(services)
    path = f"/conda/open/noarch/{BAD[0]}"
    etag = f'"{hashlib.sha256(BAD[1]).hexdigest()}"'
    check_refused(await client.head(path))
    check_refused(await client.get(path, headers={"Range": "bytes=0-9"}))
    check_refused(await client.get(path, headers={"If-None-Match": etag}))
    check_refused(await client.head(path, headers={"If-None-Match": etag}))


async def test_virtual_channel_refuses_what_its_member_refuses(services: Services, client: httpx.AsyncClient) -> None:
    await enforce(services)
    answer = await client.get(f"/conda/all/noarch/{BAD[0]}")
    assert (answer.status_code, answer.json()["code"]) == (403, "policy-blocked")


async def test_policy_of_a_virtual_channel_leaves_its_member_alone(
    services: Services, client: httpx.AsyncClient
) -> None:
    await enforce(services, channel="all")
    assert await listed(client, "all") == {GOOD[0]}
    assert await listed(client, "open") == {GOOD[0], BAD[0]}
    answer = await client.get(f"/conda/all/noarch/{BAD[0]}")
    assert (answer.status_code, answer.json()["code"]) == (403, "policy-blocked")
    assert (await client.get(f"/conda/open/noarch/{BAD[0]}")).content == BAD[1]


async def test_tokens_open_no_gate(services: Services, client: httpx.AsyncClient) -> None:
    await enforce(services)
    _, token = await services.core.access.create_token(ACTOR, "root", "ci")
    await services.snapshots.reload()
    path = f"noarch/{BAD[0]}"
    check_refused(await client.get(f"/t/{token}/conda/open/{path}"))
    check_refused(await client.get(f"/conda/t/{token}/open/{path}"))
    for headers in ({"X-API-Key": token}, {"X-Auth": token}, {"Authorization": f"Bearer {token}"}):
        check_refused(await client.get(f"/conda/open/{path}", headers=headers))
    check_refused(await client.get(f"/conda/open/{path}", auth=httpx.BasicAuth("root", "a long enough password")))


async def test_front_server_is_told_of_no_blocked_file(services: Services, client: httpx.AsyncClient) -> None:
    await enforce(services)
    application: Any = Application(services)
    door = application._conda.behind
    accelerated = ArtifactDoor(door.artifacts.locator, door.artifacts.delivery, door.artifacts.upstream, "/internal")
    object.__setattr__(door, "artifacts", accelerated)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://headgate.test") as front:
        assert "x-accel-redirect" in (await front.get(f"/conda/open/noarch/{GOOD[0]}")).headers
        refused = await front.get(f"/conda/open/noarch/{BAD[0]}")
    check_refused(refused)
    assert "x-accel-redirect" not in refused.headers


async def test_yanked_file_is_refused_though_no_index_lists_it(services: Services, client: httpx.AsyncClient) -> None:
    await services.hosted.submit(
        services.catalog.get("open"), yank(ACTOR, Subdir("noarch"), ArtifactName.parse(BAD[0]))
    )
    await services.snapshots.reload()
    assert (await client.get(f"/conda/open/noarch/{BAD[0]}")).content == BAD[1]
    await enforce(services)
    check_refused(await client.get(f"/conda/open/noarch/{BAD[0]}"))


async def test_shard_of_an_earlier_revision_tells_no_blocked_record(
    services: Services, client: httpx.AsyncClient
) -> None:
    async def shards() -> dict[str, bytes]:
        index = await client.get(f"/conda/open/{INDEX}")
        found: dict[str, bytes] = msgspec.msgpack.decode(zstandard.decompress(index.content))["shards"]
        return found

    before = (await shards())["demo"]
    await enforce(services)
    after = (await shards())["demo"]
    assert (await client.get(f"/conda/open/noarch/shards/{before.hex()}.msgpack.zst")).status_code == 404
    assert (await client.get(f"/conda/open/noarch/shards/{after.hex()}.msgpack.zst")).status_code == 200
    await upload(services, "open", *package("demo", "1.1"))
    still = await client.get(f"/conda/open/noarch/shards/{after.hex()}.msgpack.zst")
    assert still.status_code == 200, "an early revision without blocked records is still served"


@pytest.mark.parametrize(
    ("subdir", "name"),
    [
        ("noarch", "repodata.json"),
        ("noarch", "current_repodata.json"),
        ("noarch", "run_exports.json"),
        ("noarch", "repodata_from_packages.json"),
        ("", "channeldata.json"),
    ],
)
async def test_no_document_tells_a_blocked_record(
    services: Services, client: httpx.AsyncClient, subdir: str, name: str
) -> None:
    await enforce(services)
    document = await Renderer(services.core.database, services.core.store).render("open", subdir, name)
    text = services.core.store.path(document.sha256).read_text()
    assert "demo" in text
    assert "2.0" not in text


async def test_new_upload_passes_the_gate_before_it_is_listed(services: Services, client: httpx.AsyncClient) -> None:
    await enforce(services)
    filename, body = package("demo", "3.0")
    await upload(services, "open", filename, body)
    assert await listed(client) == {GOOD[0]}
    assert (await client.get(f"/conda/open/noarch/{filename}")).status_code == 403


async def test_audit_mode_holds_nothing_back(services: Services, client: httpx.AsyncClient) -> None:
    await enforce(services, NO_TWO | {"mode": "audit"})
    assert await listed(client) == {GOOD[0], BAD[0]}
    assert (await client.get(f"/conda/open/noarch/{BAD[0]}")).content == BAD[1]


async def test_exemption_opens_and_its_end_closes(services: Services, client: httpx.AsyncClient) -> None:
    await enforce(services)
    for kind, target in (
        (ExemptionKind.SPEC, "demo 2.0"),
        (ExemptionKind.SHA256, hashlib.sha256(BAD[1]).hexdigest()),
    ):
        wish = Wish(kind=kind, target=target, reason="we need it", owner="ada", channel="open")
        made = await services.core.exemptions.add(ACTOR, wish)
        await services.snapshots.reload()
        assert await listed(client) == {GOOD[0], BAD[0]}
        assert await listed(client, "all") == {GOOD[0], BAD[0]}
        assert (await client.get(f"/conda/open/noarch/{BAD[0]}")).content == BAD[1]
        await services.core.exemptions.revoke(ACTOR, made.id)
        await services.snapshots.reload()
        assert await listed(client) == {GOOD[0]}
        check_refused(await client.get(f"/conda/open/noarch/{BAD[0]}"))
    assert await services.core.policies.pending() == []


async def test_name_that_a_hosted_channel_has_is_not_taken_from_elsewhere(
    services: Services, client: httpx.AsyncClient
) -> None:
    document = {"name": "ours", "rule": [{"kind": "reserved-names", "action": "block"}]}
    await services.core.channels.create(ACTOR, ChannelName("inner"), ChannelKind.HOSTED, privacy=Privacy.PUBLIC)
    await services.core.channels.create(
        ACTOR, ChannelName("nested"), ChannelKind.VIRTUAL, privacy=Privacy.PUBLIC, members=[ChannelName("all")]
    )
    await enforce(services, document, channel="nested")
    assert await listed(client, "nested") == set(), "what a virtual channel brings is not known to be ours"
    await enforce(services, document, channel="all")
    assert await listed(client, "all") == {GOOD[0], BAD[0]}, "what was uploaded is"


async def test_notices_tell_a_channels_readers_what_policies_changed(
    services: Services, client: httpx.AsyncClient
) -> None:
    async def messages(channel: str = "open", **more: Any) -> list[str]:
        answer = await client.get(f"/conda/{channel}/notices.json", **more)
        assert answer.status_code == 200
        return [notice["message"] for notice in answer.json()["notices"]]

    assert await messages() == []
    await enforce(services)
    [message] = await messages()
    assert message.startswith("open/noarch: policy no-two attached to open; packages of 1 names came or went.")
    await services.core.channels.set(ACTOR, ChannelName("open"), privacy=Privacy.PRIVATE)
    await services.snapshots.reload()
    assert await messages() == []
    assert len(await messages(auth=httpx.BasicAuth("root", "a long enough password"))) == 1
    assert await messages("absent") == []


async def test_metrics_count_what_is_held_back(services: Services, client: httpx.AsyncClient) -> None:
    await enforce(services)
    await client.get(f"/conda/open/noarch/{BAD[0]}")
    text = (await client.get("/metrics")).text
    assert 'headgate_held_records{channel="open",rule="no-two/match-spec"} 1.0' in text
    assert 'headgate_refused_downloads_total{code="policy-blocked"}' in text
    assert "headgate_stale_subdirs 0.0" in text
    await client.get(f"/conda/open/noarch/{GOOD[0]}")
    text = (await client.get("/metrics")).text
    for outcome in ("allow", "block"):
        assert f'headgate_verdicts_total{{outcome="{outcome}"}}' in text
    assert "headgate_evaluation_seconds_bucket" in text

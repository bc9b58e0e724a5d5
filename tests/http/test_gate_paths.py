"""No path around the gate, continued: whatever copies, carries or brings back files asks it too."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import zstandard

from headgate.airgap.wishes import read_wish
from headgate.asgi import Application
from headgate.bootstrap import Services
from headgate.carrying import opened_exporter
from headgate.channels.model import ChannelKind, Privacy
from headgate.channels.policing import Target
from headgate.conda.names import ChannelName
from headgate.kernel.errors import HeadgateError
from tests.bundles import quiet
from tests.packages import package

ACTOR = "tests"
GOOD, BAD = package("demo", "1.0"), package("demo", "2.0", content=b"evil\n" * 40)
BAD_SHA256 = hashlib.sha256(BAD[1]).hexdigest()
NO_TWO: dict[str, Any] = {
    "name": "no-two",
    "mode": "enforce",
    "rule": [{"kind": "match-spec", "exclude": ["demo >=2"], "action": "block"}],
}
WANTS = ["demo 2.0", f"noarch/{BAD[0]}", f"sha256:{BAD_SHA256}", "pkg:conda/demo@2.0"]


@pytest.fixture
async def door(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """The whole application, for its administrator; `open` has a file that is blocked there, `inside` is empty."""
    for name in ("open", "inside"):
        await services.core.channels.create(ACTOR, ChannelName(name), ChannelKind.HOSTED, privacy=Privacy.PUBLIC)
    await services.core.access.create_user(ACTOR, "root", "a long enough password", is_administrator=True)
    _, token = await services.core.access.create_token(ACTOR, "root", "tests")
    await services.snapshots.reload()
    for filename, body in (GOOD, BAD):

        async def pieces(body: bytes = body) -> AsyncIterator[bytes]:
            yield body

        await services.uploads.take(ACTOR, services.catalog.get("open"), filename, pieces())
        await services.snapshots.reload()
    application: Any = Application(services)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(application), base_url="http://headgate.test", headers=headers
    ) as client:
        yield client


async def block(services: Services, channel: str = "open") -> None:
    await services.core.policies.apply(ACTOR, NO_TWO)
    await services.core.policies.attach(ACTOR, "no-two", Target(channel=channel))
    await services.snapshots.reload()


async def check_out_of_reach(services: Services, door: httpx.AsyncClient, channel: str) -> None:
    """Neither the index of the channel tells of the file, nor do its bytes come."""
    await services.snapshots.reload()
    index = await door.get(f"/conda/{channel}/noarch/repodata_shards.msgpack.zst")
    digest = msgspec.msgpack.decode(zstandard.decompress(index.content))["shards"].get("demo")
    if digest is not None:
        shard = await door.get(f"/conda/{channel}/noarch/shards/{digest.hex()}.msgpack.zst")
        assert BAD[0] not in msgspec.msgpack.decode(zstandard.decompress(shard.content))["packages.conda"]
    answer = await door.get(f"/conda/{channel}/noarch/{BAD[0]}")
    assert answer.status_code in {403, 404}
    assert BAD[1] not in answer.content


@pytest.mark.parametrize("want", WANTS, ids=["spec", "file", "sha256", "purl"])
async def test_what_is_blocked_in_the_source_is_not_promoted_out_of_it(
    services: Services, door: httpx.AsyncClient, want: str
) -> None:
    await block(services)
    wish = {"wants": [want], "source": "open", "target": "inside", "platforms": ["linux-64"]}
    for path in ("/api/v1/promotions/preview", "/api/v1/promotions"):
        refused = await door.post(path, json=wish)
        assert refused.status_code in {403, 404, 409, 422}, refused.text
    await check_out_of_reach(services, door, "inside")


async def test_what_is_blocked_in_the_target_is_not_promoted_into_it_even_when_that_comes_late(
    services: Services, door: httpx.AsyncClient
) -> None:
    wish = {"wants": ["demo 2.0"], "source": "open", "target": "inside", "platforms": ["linux-64"]}
    early = await door.post("/api/v1/promotions", json=wish)
    assert early.status_code == 202, early.text
    await block(services, "inside")
    late = await door.post("/api/v1/promotions", json=wish)
    assert late.status_code in {403, 409, 422}, late.text
    with pytest.raises(HeadgateError, match="demo >=2"):
        await services.promotions.apply(early.json()["id"])
    await check_out_of_reach(services, door, "inside")


@pytest.mark.parametrize("action", ["copy", "move"])
@pytest.mark.parametrize("gated", ["open", "inside"])
async def test_what_is_blocked_is_not_carried_in_bulk(
    services: Services, door: httpx.AsyncClient, action: str, gated: str
) -> None:
    await block(services, gated)
    for want in WANTS:
        wish = {"action": action, "wants": [want], "target": "inside", "comment": "please"}
        await door.post("/api/v1/channels/open/batches", json=wish)
    await check_out_of_reach(services, door, "inside")


async def test_no_bundle_carries_what_is_blocked(services: Services, door: httpx.AsyncClient) -> None:
    await block(services)
    job = (await door.post("/api/v1/channels/open/exports", json={"subdirs": ["noarch"]})).json()
    request = job["request"]
    selection, since = read_wish(services.exports.folder(request["export"]))
    async with opened_exporter(services.core) as exporter:
        await exporter.prepare(request["actor"], request["export"], request["channel"], selection, since, quiet)
    content = (await door.get(f"/api/v1/channels/open/exports/{job['id']}/content")).content
    manifest = (await door.get(f"/api/v1/channels/open/exports/{job['id']}/manifest")).content
    assert hashlib.sha256(GOOD[1]).hexdigest().encode() in manifest
    assert GOOD[1] in content, "files are carried as they are"
    assert BAD_SHA256.encode() not in manifest
    assert BAD[1] not in content


async def test_rolling_back_brings_no_blocked_record_back(services: Services, door: httpx.AsyncClient) -> None:
    newest = services.catalog.get("open").subdirs
    before = {name: state.revision for name, state in newest.items()}
    await block(services)
    await door.post("/api/v1/channels/open/rollback", json={"revisions": before, "comment": "as it was"})
    await check_out_of_reach(services, door, "open")


async def test_what_was_copied_before_is_blocked_where_it_lies_now(
    services: Services, door: httpx.AsyncClient, tmp_path: Path
) -> None:
    wish = {"action": "copy", "wants": ["demo 2.0"], "target": "inside", "comment": "in time"}
    copied = await door.post("/api/v1/channels/open/batches", json=wish)
    assert copied.status_code == 200, copied.text
    await services.snapshots.reload()
    assert (await door.get(f"/conda/inside/noarch/{BAD[0]}")).content == BAD[1]
    await block(services, "inside")
    await check_out_of_reach(services, door, "inside")
    assert (await door.get(f"/conda/open/noarch/{BAD[0]}")).content == BAD[1], "the other channel has its own policies"

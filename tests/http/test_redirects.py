"""Mirrors that redirect: the gate is asked first, and no client is sent where only we can go."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from headgate.asgi import Application
from headgate.bootstrap import Services
from headgate.channels.mirrors import new
from headgate.channels.model import ChannelKind, Privacy
from headgate.channels.policing import Target
from headgate.conda.names import ChannelName, Subdir
from headgate.intake.failover import MirrorReader
from headgate.intake.sync import sync_subdir
from headgate.intake.upstream import UpstreamReader
from tests.certificates import Authority
from tests.http.conftest import Callers
from tests.packages import package
from tests.upstreams import FolderServer, write_channel

GOOD, BAD = "demo-1.0-0.conda", "demo-2.0-0.conda"
NO_TWO: dict[str, Any] = {
    "name": "no-two",
    "mode": "enforce",
    "rule": [{"kind": "match-spec", "exclude": ["demo >=2"], "action": "block"}],
}
AWAY, NOARCH = ChannelName("away"), Subdir("noarch")


async def _unheard(step: str, done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FolderServer]:
    folder = tmp_path_factory.mktemp("upstream")
    write_channel(folder, [("noarch", *package("demo", "1.0")), ("noarch", *package("demo", "2.0"))])
    with FolderServer(folder) as server:
        yield server


@pytest.fixture
async def client(services: Services, upstream: FolderServer, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A public channel `away` that redirects, and a virtual one, `all`, that shows it."""
    channels = services.core.channels
    mirror = new("main", [upstream.url], [NOARCH], {"settings": {"fetch": {"mode": "redirect"}}})
    await channels.create("tests", AWAY, ChannelKind.MIRROR, privacy=Privacy.PUBLIC, mirrors=[mirror])
    await channels.create("tests", ChannelName("all"), ChannelKind.VIRTUAL, privacy=Privacy.PUBLIC, members=[AWAY])
    await services.core.access.create_user("tests", "root", "a long enough password", is_administrator=True)
    await services.snapshots.reload()
    channel = services.catalog.get(AWAY)
    [source] = channel.sources
    route = services.routes.of(source)
    reader = MirrorReader([UpstreamReader(route.outgoing, route.urls[0], NOARCH, tmp_path)], route.keep_base)
    await sync_subdir(services.core.database, channel, source, NOARCH, reader, _unheard)
    await services.snapshots.reload()
    application: Any = Application(services)
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://headgate.test") as client:
        yield client


@pytest.mark.parametrize("channel", ["away", "all"])
@pytest.mark.parametrize("gated", ["away", "all"])
async def test_gate_is_asked_before_anybody_is_sent_away(
    services: Services, upstream: FolderServer, client: httpx.AsyncClient, channel: str, gated: str
) -> None:
    path = f"/conda/{channel}/noarch/{BAD}"
    sent = await client.get(path)
    assert (sent.status_code, sent.headers["location"]) == (302, f"{upstream.url}/noarch/{BAD}")
    await services.core.policies.apply("tests", NO_TWO)
    await services.core.policies.attach("tests", "no-two", Target(channel=gated))
    await services.snapshots.reload()
    refused = await client.get(path)
    is_concerned = channel == "all" or gated == "away"
    assert refused.status_code == (403 if is_concerned else 302)
    assert ("location" in refused.headers) == (not is_concerned)
    assert (await client.get(f"/conda/{channel}/noarch/{GOOD}")).status_code == 302


@pytest.mark.parametrize(
    ("network", "word"),
    [
        ({"ca": ["storage"]}, "certificate"),
        ({"verify": False}, "certificate"),
        ({"bearer_token": "b3arer"}, "credentials"),
    ],
)
async def test_what_only_we_can_reach_is_delivered_and_the_mirror_says_so(
    services: Services, callers: Callers, client: httpx.AsyncClient, network: dict[str, Any], word: str
) -> None:
    shown = (await callers.admin.get("/channels/away/mirrors/main")).json()
    assert shown["warnings"] == []
    await callers.admin.post("/ca", json={"name": "storage", "certificates": Authority("Storage CA").pem})
    changed = await callers.admin.patch("/channels/away/mirrors/main", json={"settings": {"network": network}})
    told = [warning for warning in changed.json()["warnings"] if "delivered" in warning]
    assert len(told) == 1
    assert word in told[0]
    assert "b3arer" not in told[0]
    delivered = await client.get(f"/conda/away/noarch/{GOOD}")
    assert (delivered.status_code, "location" in delivered.headers) == (200, False)
    status = (await callers.admin.get("/channels/away/mirror")).json()["mirrors"][0]
    assert told[0] in status["warnings"]

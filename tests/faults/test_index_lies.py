"""An upstream that lies about its index after a good sync: the revision stays, the job says why, the truth heals it."""

import gzip
from collections.abc import Callable, Iterator

import pytest
import zstandard

from tests.faults.caller import Caller
from tests.faults.upstream import INDEX, INDEX_FILES, Lie, Upstream, body_of, hang_up, send
from tests.live import LiveServer
from tests.waiting import eventually

pytestmark = pytest.mark.fault

HTML = b"<!doctype html><title>Please sign in</title>"
BOMB = b'{"info": {"x": "' + b" " * (40 << 20) + b'"}}'
OLD, NEW = {"alpha-1-0.conda", "beta-1-0.conda"}, {"alpha-2-0.conda", "gamma-1-0.conda"}


def says(status: int, body: bytes) -> Lie:
    return lambda request, _: send(request, status, body)


FAILING: dict[str, Lie] = {
    "403": says(403, HTML),
    "500": says(500, HTML),
    "503": says(503, b""),
    "html": says(200, HTML),
    "nothing": says(200, b""),
    "garbage": says(200, bytes(range(256)) * 100),
    "truncated": lambda request, truth: send(request, 200, (truth or b"{")[:-20] or b"{"),
    "cut": lambda request, truth: hang_up(request, truth or bytes(100), 50),
    "gzip-bomb": says(200, gzip.compress(BOMB)),
    "zstd-bomb": says(200, zstandard.compress(BOMB)),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    nowhere = (tmp_path_factory.mktemp("upstream") / "main").as_uri()
    with LiveServer(tmp_path_factory.mktemp("index") / "data", upstream=nowhere) as server:
        yield server


@pytest.fixture
def caller(server: LiveServer) -> Caller:
    return Caller(server)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        upstream.publish({filename: body_of(filename, 100) for filename in OLD})
        yield upstream


def lie_everywhere(upstream: Upstream, lie: Lie) -> None:
    upstream.lies = {f"noarch/{name}": lie for name in INDEX_FILES}


def lie_in_the_usual_place(upstream: Upstream, lie: Lie) -> None:
    upstream.lies = {INDEX: lie}


def listed(caller: Caller, channel: str) -> set[str]:
    return set(caller.get(f"{channel}/noarch/repodata.json").json()["packages.conda"])


def index_of(caller: Caller, channel: str) -> tuple[bytes, ...]:
    """What clients get of the newest revision, in each form."""
    replies = [caller.get(f"{channel}/noarch/{name}") for name in INDEX_FILES]
    assert [reply.status for reply in replies] == [200] * len(INDEX_FILES)
    return tuple(reply.body for reply in replies)


def failure(caller: Caller, channel: str) -> str | None:
    """The sentence that the mirror's state gives."""
    [followed] = caller.api("GET", f"channels/{channel}/mirror").json()["mirrors"]
    [subdir] = followed["status"]
    sentence: str | None = subdir["failure"]
    return sentence


def followed(caller: Caller, channel: str, upstream: Upstream) -> tuple[bytes, ...]:
    caller.follow(channel, upstream.url)
    assert caller.sync(channel)["state"] == "done"
    assert listed(caller, channel) == OLD
    return index_of(caller, channel)


def check_recovery(caller: Caller, channel: str, upstream: Upstream) -> None:
    """The truth is taken at the next sync, and nothing is left of the lie."""
    upstream.lies = {}
    upstream.publish({filename: body_of(filename, 100) for filename in NEW})
    assert caller.sync(channel)["state"] == "done"
    assert eventually(lambda: listed(caller, channel) == NEW)
    assert failure(caller, channel) is None
    assert list((caller.server.data / "scratch").iterdir()) == []


@pytest.mark.parametrize("lie", FAILING)
@pytest.mark.parametrize("tell", [lie_everywhere, lie_in_the_usual_place])
def test_a_lie_fails_the_sync_with_a_sentence_and_the_good_revision_stays(
    caller: Caller, upstream: Upstream, lie: str, tell: Callable[[Upstream, Lie], None]
) -> None:
    channel = f"{lie}-{tell.__name__}".replace("_", "-")
    good = followed(caller, channel, upstream)
    tell(upstream, FAILING[lie])
    job = caller.sync(channel)
    assert job["state"] == "failed"
    assert job["failure"].startswith(f"Sync of {channel} failed for noarch: ")
    assert job["failure"].endswith(".")
    assert upstream.url in job["failure"]
    assert failure(caller, channel) in job["failure"]
    assert index_of(caller, channel) == good
    check_recovery(caller, channel, upstream)


@pytest.mark.parametrize("status", [404, 410])
def test_an_upstream_that_vanishes_leaves_the_good_revision_and_a_sentence(
    caller: Caller, upstream: Upstream, status: int
) -> None:
    channel = f"vanished-{status}"
    good = followed(caller, channel, upstream)
    lie_everywhere(upstream, says(status, HTML))
    assert caller.sync(channel)["result"]["subdirs"][0]["state"] == "absent"
    assert failure(caller, channel) == "The upstream no longer has this subdir; what it had is kept."
    assert index_of(caller, channel) == good
    check_recovery(caller, channel, upstream)

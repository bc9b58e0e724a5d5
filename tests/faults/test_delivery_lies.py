"""An upstream that lies about the bytes of packages: what clients of a live server get, and what is kept."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.faults.caller import Caller
from tests.faults.upstream import Lie, Upstream, body_of, hang_up, send
from tests.live import LiveServer
from tests.waiting import eventually

pytestmark = pytest.mark.fault

STALL_S = 1.0
SIZES = {"small": 3_000, "large": 600_000}
HTML = b"<!doctype html><title>Please sign in</title>"


def drip(request: BaseHTTPRequestHandler, truth: bytes) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(truth)))
    request.end_headers()
    half = len(truth) // 2
    request.wfile.write(truth[:half])
    give_up_at = time.monotonic() + 10 * STALL_S
    for byte in truth[half:]:
        if time.monotonic() > give_up_at:
            return
        request.wfile.write(bytes([byte]))
        time.sleep(0.02)


LIES: dict[str, Lie] = {
    "wrong-hash": lambda request, truth: send(request, 200, truth[:-1] + bytes([truth[-1] ^ 1])),
    "too-short": lambda request, truth: send(request, 200, truth[:-1]),
    "too-long": lambda request, truth: send(request, 200, truth + b"more"),
    "cut": lambda request, truth: hang_up(request, truth, len(truth) // 2),
    "cut-at-once": lambda request, truth: hang_up(request, truth, 0),
    "drip": drip,
    "loop": lambda request, _: send(request, 302, b"", Location=request.path),
    "html": lambda request, _: send(request, 200, HTML, Content_Type="text/html"),
    "status-404": lambda request, _: send(request, 404, HTML),
    "status-500": lambda request, _: send(request, 500, HTML),
}
TOLD = {f"{lie}-{size}-0.conda": (lie, size_bytes) for lie in LIES for size, size_bytes in SIZES.items()}
HONEST = {"crowd-1-0.conda": 3_000_000, "liar-1-0.conda": 600_000, "asked-1-0.conda": 900_000, "part-1-0.conda": 900_000,
          "ahead-1-0.conda": 3_000_000, "unranged-1-0.conda": 900_000}  # fmt: skip


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        sizes = {filename: size for filename, (_, size) in TOLD.items()} | HONEST
        upstream.publish({filename: body_of(filename, size) for filename, size in sizes.items()})
        yield upstream


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Caller]:
    data = tmp_path_factory.mktemp("lies") / "data"
    variables = {"HEADGATE_UPSTREAM__STALL_TIMEOUT_SECONDS": str(STALL_S)}
    with LiveServer(data, upstream=upstream.url, workers=2, env=variables) as server:
        caller = Caller(server)
        caller.follow("outer", upstream.url)
        assert caller.sync("outer")["state"] == "done"
        yield caller


def truth_of(filename: str, upstream: Upstream) -> bytes:
    return upstream.files[f"noarch/{filename}"]


def blob_of(caller: Caller, data: bytes) -> Path:
    digest = hashlib.sha256(data).hexdigest()
    return caller.server.data / "blobs" / digest[:2] / digest


def is_nothing_on_its_way(caller: Caller) -> bool:
    return not any((caller.server.data / "incoming").iterdir())


def failures(caller: Caller, filename: str) -> list[str]:
    """The codes that the log gives for failed fetches of a file."""
    entries = [json.loads(line) for line in caller.server.err.read_text().splitlines() if line.startswith("{")]
    return [one["code"] for one in entries if one["event"] == "fetch_failed" and one["artifact"] == filename]


def tell(upstream: Upstream, filename: str, lie: Lie) -> None:
    upstream.lies[f"noarch/{filename}"] = lie


def tell_the_truth(upstream: Upstream, filename: str) -> None:
    upstream.lies.pop(f"noarch/{filename}", None)


@pytest.mark.parametrize("filename", TOLD)
def test_a_lie_reaches_no_client_whole_is_not_kept_and_the_next_request_recovers(
    caller: Caller, upstream: Upstream, filename: str
) -> None:
    truth, (lie, _) = truth_of(filename, upstream), TOLD[filename]
    tell(upstream, filename, LIES[lie])
    reply = caller.get(f"outer/noarch/{filename}")
    if reply.is_whole:
        assert reply.status == 502
        assert reply.headers["Content-Type"] == "application/problem+json"
        assert reply.json()["code"].startswith("upstream-")
        assert reply.json()["detail"].endswith(".")
    else:
        assert (reply.status, reply.headers["Content-Length"]) == (200, str(len(truth)))
        assert len(reply.body) < len(truth)
    assert not blob_of(caller, truth).exists()
    assert eventually(lambda: is_nothing_on_its_way(caller))
    assert eventually(lambda: len(failures(caller, filename))) == 1
    tell_the_truth(upstream, filename)
    again = caller.get(f"outer/noarch/{filename}")
    assert (again.status, again.body) == (200, truth)
    assert blob_of(caller, truth).read_bytes() == truth


@pytest.mark.parametrize("lie", ["status-404", "status-500", "loop", "cut-at-once", "html"])
def test_a_lie_of_which_nothing_was_sent_is_a_problem_and_not_a_cut_answer(
    caller: Caller, upstream: Upstream, lie: str
) -> None:
    filename = "liar-1-0.conda"
    tell(upstream, filename, LIES[lie])
    reply = caller.get(f"outer/noarch/{filename}")
    assert (reply.status, reply.is_whole) == (502, True)
    tell_the_truth(upstream, filename)


def in_crowd(caller: Caller, filename: str, has_begun: threading.Semaphore) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", caller.server.port, timeout=60)
    connection.request("GET", f"/conda/outer/noarch/{filename}")
    answer = connection.getresponse()
    first = answer.read(1_000)
    has_begun.release()
    body = first + answer.read()
    connection.close()
    return answer.status, body


def test_a_hundred_clients_of_two_workers_cost_upstream_one_request(caller: Caller, upstream: Upstream) -> None:
    filename, crowd = "crowd-1-0.conda", 100
    truth, go_on = truth_of(filename, upstream), threading.Event()

    def send_in_two(request: BaseHTTPRequestHandler, body: bytes) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: len(body) // 2])
        go_on.wait(60)
        request.wfile.write(body[len(body) // 2 :])

    tell(upstream, filename, send_in_two)
    has_begun = threading.Semaphore(0)
    with ThreadPoolExecutor(crowd) as pool:
        replies = [pool.submit(in_crowd, caller, filename, has_begun) for _ in range(crowd)]
        try:
            # Everybody has the first bytes while upstream still holds back the last.
            assert all(has_begun.acquire(timeout=30) for _ in range(crowd))
        finally:
            go_on.set()
        assert {reply.result() for reply in replies} == {(200, truth)}
    assert upstream.count(filename) == 1
    assert eventually(lambda: is_nothing_on_its_way(caller))


def test_head_and_not_modified_cost_upstream_nothing(caller: Caller, upstream: Upstream) -> None:
    path = "outer/noarch/asked-1-0.conda"
    truth = truth_of("asked-1-0.conda", upstream)
    head = caller.get(path, method="HEAD")
    assert (head.status, head.headers["Content-Length"]) == (200, str(len(truth)))
    assert head.headers["ETag"] == f'"{hashlib.sha256(truth).hexdigest()}"'
    assert caller.get(path, If_None_Match=head.headers["ETag"]).status == 304
    assert upstream.count("asked-1-0.conda") == 0


def test_a_range_of_an_absent_file_is_answered_and_the_whole_is_fetched(caller: Caller, upstream: Upstream) -> None:
    filename = "part-1-0.conda"
    truth = truth_of(filename, upstream)
    reply = caller.get(f"outer/noarch/{filename}", Range="bytes=100-299")
    assert (reply.status, reply.body) == (206, truth[100:300])
    assert reply.headers["Content-Range"] == f"bytes 100-299/{len(truth)}"
    assert eventually(blob_of(caller, truth).exists)
    assert upstream.asked["GET", f"noarch/{filename}"] <= 2


def test_a_range_far_ahead_does_not_wait_for_the_bytes_before_it(caller: Caller, upstream: Upstream) -> None:
    filename = "ahead-1-0.conda"
    truth, go_on = truth_of(filename, upstream), threading.Event()

    def hold_back_the_whole(request: BaseHTTPRequestHandler, body: bytes) -> None:
        if "Range" in request.headers:
            first, last = request.headers["Range"].removeprefix("bytes=").split("-")
            said = f"bytes {first}-{last}/{len(body)}"
            send(request, 206, body[int(first) : int(last) + 1], Content_Range=said)
            return
        request.send_response(200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        go_on.wait(STALL_S * 0.8)
        request.wfile.write(body)

    tell(upstream, filename, hold_back_the_whole)
    reply = caller.get(f"outer/noarch/{filename}", Range="bytes=2900000-2900999")
    go_on.set()
    assert (reply.status, reply.body) == (206, truth[2_900_000:2_901_000])
    assert eventually(blob_of(caller, truth).exists)


def test_a_range_that_upstream_refuses_comes_with_the_whole(caller: Caller, upstream: Upstream) -> None:
    filename = "unranged-1-0.conda"

    def hang_up_on_ranges(request: BaseHTTPRequestHandler, body: bytes) -> None:
        if "Range" in request.headers:
            request.close_connection = True
        else:
            send(request, 200, body)

    truth = truth_of(filename, upstream)
    tell(upstream, filename, hang_up_on_ranges)
    reply = caller.get(f"outer/noarch/{filename}", Range="bytes=800000-")
    assert (reply.status, reply.body) == (206, truth[800_000:])


def test_a_channel_deleted_during_a_fetch_lets_its_client_go(caller: Caller) -> None:
    filename = "slow-1-0.conda"
    has_begun, go_on = threading.Event(), threading.Event()

    def hold_back(request: BaseHTTPRequestHandler, body: bytes) -> None:
        has_begun.set()
        go_on.wait(STALL_S * 0.8)
        send(request, 200, body)

    with Upstream() as fleeting, ThreadPoolExecutor(1) as pool:
        fleeting.publish({filename: body_of(filename, 3_000)})
        caller.follow("fleeting", fleeting.url)
        assert caller.sync("fleeting")["state"] == "done"
        tell(fleeting, filename, hold_back)
        asking = pool.submit(caller.get, f"fleeting/noarch/{filename}")
        assert has_begun.wait(30)
        assert caller.api("DELETE", "channels/fleeting").status == 204
        go_on.set()
        reply = asking.result(30)
    assert (reply.status, reply.json()["code"]) == (404, "channel-unknown")
    assert eventually(lambda: is_nothing_on_its_way(caller))


def test_a_stopped_upstream_takes_only_what_is_not_here_with_it(caller: Caller) -> None:
    kept, absent = "kept-1-0.conda", "absent-1-0.conda"
    with Upstream() as fading:
        fading.publish({filename: body_of(filename, 50_000) for filename in (kept, absent)})
        caller.follow("fading", fading.url)
        assert caller.sync("fading")["state"] == "done"
        assert caller.get(f"fading/noarch/{kept}").status == 200
    assert caller.get(f"fading/noarch/{kept}").body == body_of(kept, 50_000)
    refused = caller.get(f"fading/noarch/{absent}")
    assert (refused.status, refused.json()["code"]) == (502, "upstream-unreachable")
    listed = caller.get("fading/noarch/repodata.json")
    assert set(listed.json()["packages.conda"]) == {kept, absent}
    assert caller.get("fading/noarch/repodata_shards.msgpack.zst").status == 200

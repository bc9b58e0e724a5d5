"""`kill -9` while everything goes on at once: what was acknowledged stays, what was published is whole, work goes on."""

import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from headgate.conda.records import Record
from tests.faults.caller import Caller, attempt
from tests.faults.invariants import check_held, check_index, check_settled
from tests.faults.upstream import INDEX, Upstream, body_of, send
from tests.live import LiveServer
from tests.packages import package
from tests.waiting import eventually

pytestmark = [pytest.mark.fault, pytest.mark.slow]

SEED = 20_260_731
CHAPTERS = 5
VICTIMS = ("server", "web worker", "jobs worker")
NAMES = 300
PUBLISHES = "outer"
TAKES = "approved-conda"


@dataclass
class Traffic:
    """Syncs, uploads, downloads and looks at the index, all at once, by clients that survive the server."""

    caller: Caller
    upstream: Upstream
    random: random.Random
    acknowledged: dict[str, bytes] = field(default_factory=dict)
    jobs: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    downloads: int = 0

    def __post_init__(self) -> None:
        self._to_upload = (package(f"mine{number}", content=os.urandom(2_000)) for number in itertools.count())
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> None:
        self._stopped.clear()
        self._threads = [
            threading.Thread(target=self._repeat, args=(act, pause_s))
            for act, pause_s in [
                (self._upload, 0.05), (self._download, 0.01), (self._download, 0.01), (self._sync, 0.2), (self._look, 0.1)
            ]
        ]  # fmt: skip
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, act: Callable[[], None], pause_s: float) -> None:
        while not self._stopped.wait(pause_s):
            act()

    def _upload(self) -> None:
        filename, data = next(self._to_upload)
        reply = attempt(lambda: self.caller.upload(TAKES, filename, data))
        if reply is not None and reply.status in {200, 201} and reply.is_whole:
            self.acknowledged[filename] = data

    def _download(self) -> None:
        filename = self.random.choice(sorted(self.upstream.packages()))
        truth = self.upstream.files.get(f"noarch/{filename}")
        reply = attempt(lambda: self.caller.get(f"{PUBLISHES}/noarch/{filename}"))
        if reply is not None and reply.status == 200 and reply.is_whole:
            self.downloads += 1
            if reply.body != truth:
                self.wrong.append(filename)

    def _sync(self) -> None:
        change(self.upstream, self.random)
        reply = attempt(lambda: self.caller.api("POST", f"channels/{PUBLISHES}/sync", {}))
        if reply is not None and reply.status == 202:
            self.jobs.add(reply.json()["id"])

    def _look(self) -> None:
        for channel in (PUBLISHES, TAKES):
            attempt(lambda channel=channel: self.caller.get(f"{channel}/noarch/repodata.json.zst"))  # type: ignore[misc]


def change(upstream: Upstream, chance: random.Random) -> None:
    """A few names leave the channel, a few come, and many stay. A file name always has the same bytes."""
    kept = {filename for filename in upstream.packages() if chance.random() > 0.05}
    fresh = {f"thing{chance.randrange(NAMES)}-{chance.randrange(4)}-0.conda" for _ in range(NAMES // 20)}
    upstream.publish(things(kept | fresh))


def things(filenames: Iterable[str]) -> dict[str, bytes]:
    sizes = {filename: random.Random(filename).choice([200, 20_000, 300_000]) for filename in filenames}
    return {filename: body_of(filename, size_bytes) for filename, size_bytes in sizes.items()}


def is_jobs_worker(pid: int) -> bool:
    return b"headgate.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()


def workers(server: LiveServer) -> list[int]:
    """The living children: two web workers and the jobs worker, unless one was just killed."""
    try:
        return [pid for pid in server.children() if Path(f"/proc/{pid}/cmdline").read_bytes()]
    except OSError:
        return []


def has_all(server: LiveServer) -> list[int]:
    """Every child, once there are three and the server answers; none before that."""
    found = workers(server)
    return found if len(found) == 3 and server.is_ready() else []


def kill(server: LiveServer, victim: str) -> None:
    """Kill, and return once the server stands again with all its processes."""
    before = eventually(lambda: has_all(server), 60)
    assert before, "a killed process was not replaced"
    if victim == "server":
        server.kill()
        server.start()
        return
    killed = min((pid for pid in before if is_jobs_worker(pid) is (victim == "jobs worker")), key=started_at)
    os.kill(killed, signal.SIGKILL)
    # In one look: between two, the killed one goes, and takes along who connects to it meanwhile.
    assert eventually(lambda: (found := has_all(server)) and killed not in found, 60), f"no other {victim} came"


def started_at(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def check_everything(traffic: Traffic) -> None:
    caller, upstream = traffic.caller, traffic.upstream
    check_settled(caller, [PUBLISHES, TAKES])
    assert traffic.wrong == []
    held = check_held(caller.server.data)
    check_acknowledged(check_index(caller, TAKES), traffic.acknowledged)
    assert [(job, one["failure"]) for job in traffic.jobs if (one := caller.ended(job))["state"] != "done"] == []
    traffic.jobs.clear()
    assert caller.sync(PUBLISHES)["state"] == "done"
    check_settled(caller, [PUBLISHES])
    published = check_index(caller, PUBLISHES)
    assert upstream.packages() <= set(published)
    # What upstream dropped is listed as long as its bytes are here.
    assert {published[filename]["sha256"] for filename in published.keys() - upstream.packages()} <= held


def check_acknowledged(listed: dict[str, Record], acknowledged: dict[str, bytes]) -> None:
    assert acknowledged.keys() <= listed.keys()
    assert all(listed[filename]["size"] == len(data) for filename, data in acknowledged.items())


def test_twenty_kills_lose_nothing_that_was_acknowledged_and_leave_nothing_half_done(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    with Upstream() as upstream:
        upstream.publish(things(f"thing{number}-0-0.conda" for number in range(NAMES)))
        with LiveServer(tmp_path / "data", upstream=upstream.url, workers=2) as server:
            caller = Caller(server)
            caller.follow(PUBLISHES, upstream.url)
            assert caller.sync(PUBLISHES)["state"] == "done"
            traffic = Traffic(caller, upstream, random.Random(SEED))
            for _ in range(CHAPTERS):
                with traffic:
                    for victim in chance.sample([*VICTIMS, chance.choice(["server", "jobs worker"])], 4):
                        time.sleep(chance.uniform(0.1, 0.8))  # the moment is what is random
                        kill(server, victim)
                check_everything(traffic)
            assert len(traffic.acknowledged) > CHAPTERS
            assert traffic.downloads > CHAPTERS


def test_server_outlives_all_its_web_workers_again_and_again(tmp_path: Path) -> None:
    def is_replaced(before: set[int]) -> bool:
        found = has_all(server)
        return bool(found) and not before & set(found)

    with Upstream() as upstream, LiveServer(tmp_path / "data", upstream=upstream.url, workers=2) as server:
        for _ in range(2):
            before = {pid for pid in workers(server) if not is_jobs_worker(pid)}
            assert len(before) == 2
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            assert eventually(lambda before=before: is_replaced(before), 60), "none came back"  # type: ignore[misc]
        server.kill()  # workers that are about to start take their time to stop


@pytest.fixture
def held_back() -> Iterator[tuple[Upstream, threading.Event, threading.Event]]:
    """An upstream whose index is asked for (the first event) and comes only when it may (the second)."""
    asked, may_come = threading.Event(), threading.Event()

    def wait(request: BaseHTTPRequestHandler, truth: bytes) -> None:
        asked.set()
        may_come.wait(60)
        send(request, 200, truth)

    with Upstream() as upstream:
        upstream.publish({"slow-1-0.conda": body_of("slow-1-0.conda", 200)})
        upstream.lies = {INDEX: wait}
        yield upstream, asked, may_come
        may_come.set()


@pytest.mark.parametrize("victim", ["server", "jobs worker"])
def test_a_killed_sync_goes_on_under_its_own_name(
    tmp_path: Path, held_back: tuple[Upstream, threading.Event, threading.Event], victim: str
) -> None:
    upstream, asked, may_come = held_back
    with LiveServer(tmp_path / "data", upstream=upstream.url, workers=2) as server:
        caller = Caller(server)
        caller.follow(PUBLISHES, upstream.url)
        job = caller.start_sync(PUBLISHES)
        assert asked.wait(30)
        asked.clear()
        kill(server, victim)
        assert caller.start_sync(PUBLISHES) == job, "whoever asks meanwhile gets the job that was interrupted"
        assert asked.wait(30), "nobody took the job up again"
        may_come.set()
        assert caller.ended(job)["state"] == "done"
        assert caller.start_sync(PUBLISHES) != job, "a job that ended is not asked again"
        check_settled(caller, [PUBLISHES])
        assert set(check_index(caller, PUBLISHES)) == {"slow-1-0.conda"}


def test_a_fetch_whose_worker_is_killed_neither_blocks_nor_stays(tmp_path: Path) -> None:
    filename = "slow-1-0.conda"
    body = body_of(filename, 600_000)
    has_begun, go_on = threading.Event(), threading.Event()

    def stop_half_way(request: BaseHTTPRequestHandler, truth: bytes) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(truth)))
        request.end_headers()
        request.wfile.write(truth[: len(truth) // 2])
        has_begun.set()
        go_on.wait(30)
        request.close_connection = True

    with Upstream() as upstream:
        upstream.publish({filename: body})
        upstream.lies = {f"noarch/{filename}": stop_half_way}
        with LiveServer(tmp_path / "data", upstream=upstream.url, workers=2) as server:
            caller = Caller(server)
            caller.follow(PUBLISHES, upstream.url)
            assert caller.sync(PUBLISHES)["state"] == "done"
            client = threading.Thread(target=attempt, args=(lambda: caller.get(f"{PUBLISHES}/noarch/{filename}"),))
            client.start()
            assert has_begun.wait(30)
            [fetch] = (server.data / "incoming").glob("*.fetch")
            os.kill(leader_of(fetch, server), signal.SIGKILL)
            client.join()
            assert eventually(lambda: not fetch.exists()), "what a killed worker left is swept when it is replaced"
            upstream.lies = {}
            go_on.set()
            assert caller.get(f"{PUBLISHES}/noarch/{filename}").body == body
            check_settled(caller, [PUBLISHES])
            check_held(server.data)


def leader_of(fetch: Path, server: LiveServer) -> int:
    """The worker that holds the file open."""
    wanted = str(fetch.resolve())
    for pid in workers(server):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            if os.path.realpath(link) == wanted:
                return pid
    raise AssertionError(f"nobody holds {fetch}")

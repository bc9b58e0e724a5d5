"""From the command to the first answer, and what a server costs that nobody asks anything."""

import time

from bench.peers import granian, jobs_worker, web_workers
from bench.timing import Bench, Figure, at_most, cpu_seconds, ratio_of, status_bytes
from tests.live import LiveServer, headgate
from tests.packages import package
from tests.upstreams import write_channel

_SETTLING_S = 5.0
_WATCHED_S = 10.0


def run(bench: Bench) -> list[Figure]:
    upstream, peer_folder = bench.folder("start-upstream"), bench.folder("start-peer")
    write_channel(upstream, [("noarch", *package())])
    data = bench.scratch / "start"
    made = headgate("init", "--data", data, "--upstream", upstream.as_uri())
    assert made.returncode == 0, made.stderr
    bare, ours = [], []
    for _ in range(max(5, bench.runs)):
        began = time.perf_counter()
        with granian(bench, "bare_app", peer_folder):
            bare.append(time.perf_counter() - began)
        server = LiveServer(data, upstream=upstream.as_uri())
        began = time.perf_counter()
        with server:
            ours.append(time.perf_counter() - began)
    figures = [
        Figure("start to first answer", "bare ASGI under granian", bare, "s"),
        Figure("start to first answer", "headgate", ours, "s", "bare ASGI", ratio_of(ours, bare), at_most(2)),
    ]
    with LiveServer(data, upstream=upstream.as_uri()) as server, granian(bench, "bare_app", peer_folder) as peer:
        time.sleep(_SETTLING_S)
        return figures + _idle(server, peer.pids())


def _idle(server: LiveServer, peers: list[int]) -> list[Figure]:
    assert server.process is not None
    main, web, jobs = server.process.pid, web_workers(server), jobs_worker(server)
    before, began = {pid: cpu_seconds(pid) for pid in (main, *web, jobs)}, time.perf_counter()
    time.sleep(_WATCHED_S)
    watched_s = time.perf_counter() - began
    used = {pid: 100 * (cpu_seconds(pid) - seconds) / watched_s for pid, seconds in before.items()}
    base = [_resident(pid) for pid in peers]
    return [
        Figure("idle memory", "bare ASGI, its worker", base, "MB"),
        *(_memory("headgate, web worker", pid, base, is_bound=True) for pid in web),
        _memory("headgate, jobs worker", jobs, base, is_bound=True),
        _memory("headgate, main process", main, base, is_bound=False),
        *(Figure("idle processor", "headgate, web worker", [used[pid]], "% of a core") for pid in web),
        Figure("idle processor", "headgate, jobs worker", [used[jobs]], "% of a core"),
        Figure("idle processor", "headgate, main process", [used[main]], "% of a core"),
    ]


def _memory(option: str, pid: int, base: list[float], *, is_bound: bool) -> Figure:
    resident = [_resident(pid)]
    aim = at_most(150) if is_bound else None
    return Figure("idle memory", option, resident, "MB", "bare ASGI", ratio_of(resident, base), aim)


def _resident(pid: int) -> float:
    return status_bytes("VmRSS", pid) / 1e6

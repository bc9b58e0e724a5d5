"""Package files that are here already, from one web worker."""

import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

from bench.load import Load, load
from bench.peers import Peer, granian, nginx, web_workers
from bench.timing import MB, Bench, Figure, at_least, pin, ratio_of
from headgate.storage.paths import DataFolder
from tests.live import LiveServer
from tests.upstreams import write_channel

_SIZES = {"20 KB": 20 << 10, "1 MB": 1 << 20, "50 MB": 50 << 20}
_CHANNEL = "conda/unapproved-conda/noarch"
_OURS, _NGINX, _FASTAPI = "headgate", "nginx", "FastAPI FileResponse"
_BEHIND, _SHARING = (
    "nginx, X-Accel-Redirect, headgate on another core",
    "nginx, X-Accel-Redirect, headgate on the same core",
)
_LIMITS = {_OURS: 0.8, _BEHIND: 0.95}
_LARGE = 1 << 20
Loads = Mapping[tuple[str, str], list[Load]]


def run(bench: Bench) -> list[Figure]:
    upstream = bench.folder("files-upstream")
    write_channel(upstream, [("noarch", _name(size), os.urandom(count)) for size, count in _SIZES.items()])
    with ExitStack() as stack:
        ours = stack.enter_context(LiveServer(bench.scratch / "files", upstream=upstream.as_uri()))
        _warm(ours)
        behind = _twin(bench, ours, upstream)
        stack.enter_context(behind)
        blobs = DataFolder(behind.data.resolve()).blobs
        front = stack.enter_context(nginx(bench, upstream / "noarch", behind, blobs))
        fastapi = stack.enter_context(granian(bench, "files_app", upstream / "noarch"))
        loads = _measure(bench, ours, behind, front, fastapi)
    return [figure for size in _SIZES for figure in _figures(loads, size)]


def _name(size: str) -> str:
    return f"file{size.replace(' ', '').lower()}-1.0-0.conda"


def _warm(server: LiveServer) -> None:
    for size, count in _SIZES.items():
        urlopen(f"{server.url}/{_CHANNEL}/{_name(size)}").close()
        body = urlopen(f"{server.url}/{_CHANNEL}/{_name(size)}").read()
        assert len(body) == count


def _twin(bench: Bench, server: LiveServer, upstream: Path) -> LiveServer:
    """A server on a copy of the data folder, which lets nginx send files."""
    server.stop()
    data = bench.scratch / "files-behind"
    shutil.copytree(server.data, data)
    server.start()
    return LiveServer(data, upstream=upstream.as_uri(), env={"HEADGATE_SERVER__X_ACCEL_PREFIX": "/blobs/"})


def _measure(bench: Bench, ours: LiveServer, behind: LiveServer, front: Peer, fastapi: Peer) -> Loads:
    ours_pids, behind_pids = web_workers(ours), web_workers(behind)
    for pid in ours_pids:
        pin(pid, bench.server_core)
    ways = {
        _NGINX: (front.url, front.pids()),
        _OURS: (f"{ours.url}/{_CHANNEL}", ours_pids),
        _BEHIND: (f"{front.url}/{_CHANNEL}", front.pids()),
        _SHARING: (f"{front.url}/{_CHANNEL}", front.pids() + behind_pids),
        _FASTAPI: (fastapi.url, fastapi.pids()),
    }
    loads: dict[tuple[str, str], list[Load]] = {}
    for size, count in _SIZES.items():
        for _ in range(bench.runs):
            for way, (url, pids) in ways.items():
                for pid in behind_pids:
                    pin(pid, bench.client_core if way == _BEHIND else bench.server_core)
                found = load(bench, f"{url}/{_name(size)}", pids, is_large=count >= _LARGE)
                loads.setdefault((size, way), []).append(found)
    return loads


def _figures(loads: Loads, size: str) -> list[Figure]:
    is_large, path = _SIZES[size] >= _LARGE, f"file of {size}"
    figures = []
    for way in (_NGINX, _OURS, _BEHIND, _SHARING, _FASTAPI):
        rates = _rates(loads[size, way], is_large=is_large)
        against, ratio = (
            ("", None) if way == _NGINX else (_NGINX, ratio_of(rates, _rates(loads[size, _NGINX], is_large=is_large)))
        )
        aim = at_least(_LIMITS[way], is_ratio=True) if is_large and way in _LIMITS else None
        unit = "MB/s" if is_large else "requests/s"
        figures.append(Figure(path, way, rates, unit, against, ratio, aim, _note(loads[size, way])))
    return figures


def _rates(loads: list[Load], *, is_large: bool) -> list[float]:
    return [one.bytes / MB if is_large else one.requests for one in loads]


def _note(loads: list[Load]) -> str:
    """What the server's processes used: where they are not busy, the client was the slower part."""
    middle = sorted(loads, key=lambda one: one.bytes)[len(loads) // 2]
    return f"server {middle.busy:.0%} busy, {middle.busy / middle.bytes * 1e9 * 1000:,.0f} ms/GB"

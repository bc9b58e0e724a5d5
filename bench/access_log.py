"""What the access log costs: one web worker that notes every request, against one that notes none, in turns."""

import os
from collections.abc import Iterable
from contextlib import ExitStack
from urllib.request import Request, urlopen

from bench.load import Load, load
from bench.peers import web_workers
from bench.timing import Bench, Figure, at_least, pin, ratio_of
from tests.live import LiveServer
from tests.upstreams import write_channel

_CHANNEL = "conda/unapproved-conda/noarch"
_INDEX = "repodata_shards.msgpack.zst"
_SIZES = {"20 KB": 20 << 10, "1 MB": 1 << 20, "50 MB": 50 << 20}
_LARGE = 1 << 20
_ON, _OFF = "noted", "not noted"
_KINDS = {_ON: '["download","index","shard"]', _OFF: "[]"}
_AIM = at_least(0.95, is_ratio=True)


def run(bench: Bench) -> list[Figure]:
    upstream = bench.folder("access-log-upstream")
    names = {size: f"file{size.replace(' ', '').lower()}-1.0-0.conda" for size in _SIZES}
    write_channel(upstream, [("noarch", names[size], os.urandom(count)) for size, count in _SIZES.items()])
    with ExitStack() as stack:
        servers = {
            way: stack.enter_context(
                LiveServer(
                    bench.scratch / f"access-log-{number}",
                    upstream=upstream.as_uri(),
                    env={"HEADGATE_ACCESS_LOG__KINDS": kinds},
                )
            )
            for number, (way, kinds) in enumerate(_KINDS.items())
        }
        etags = {way: _warm(server, names.values()) for way, server in servers.items()}
        for server in servers.values():
            for pid in web_workers(server):
                pin(pid, bench.server_core)
        paths = {"304 of the index": _INDEX, "shard index": _INDEX, **names}
        loads: dict[tuple[str, str], list[Load]] = {}
        for path, name in paths.items():
            for _ in range(bench.runs):
                for way, server in servers.items():
                    headers = {"If-None-Match": etags[way]} if path.startswith("304") else {}
                    is_large = _SIZES.get(path, 0) >= _LARGE
                    url = f"{server.url}/{_CHANNEL}/{name}"
                    done = load(bench, url, web_workers(server), headers, is_large=is_large)
                    loads.setdefault((path, way), []).append(done)
    return [figure for path in paths for figure in _figures(loads, path)]


def _warm(server: LiveServer, names: Iterable[str]) -> str:
    with urlopen(Request(f"{server.url}/{_CHANNEL}/{_INDEX}")) as answer:
        etag: str = answer.headers["ETag"]
    for name in names:
        urlopen(f"{server.url}/{_CHANNEL}/{name}").read()
    return etag


def _figures(loads: dict[tuple[str, str], list[Load]], path: str) -> list[Figure]:
    """Requests a second, and how many a second of processor time answers: the latter is deaf to what else runs."""
    off, on = ([one.requests for one in loads[path, way]] for way in (_OFF, _ON))
    off_work, on_work = ([one.requests / one.busy for one in loads[path, way]] for way in (_OFF, _ON))
    return [
        Figure(path, _OFF, off, "requests/s"),
        Figure(path, _ON, on, "requests/s", _OFF, ratio_of(on, off), _AIM),
        Figure(path, f"{_ON}, per second of processor", on_work, "requests", _OFF, ratio_of(on_work, off_work), _AIM),
    ]

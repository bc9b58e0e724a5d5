"""Small answers of a private channel, a token checked each time, and of a public one, from one web worker."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from urllib.request import Request, urlopen

from bench.load import Load, load
from bench.peers import granian, web_workers
from bench.timing import Bench, Figure, at_least, pin, ratio_of
from headgate.conda.shards import decode_index
from tests.live import LiveServer
from tests.packages import package
from tests.upstreams import write_channel

_CHANNEL, _PUBLIC = "unapproved-conda", "open"
_INDEX = "repodata_shards.msgpack.zst"
_PACKAGES = 100
_AIM = at_least(20_000)
Headers = Mapping[str, str]
Loads = Mapping[tuple[str, str], list[Load]]


def run(bench: Bench) -> list[Figure]:
    upstream, peer_folder = bench.folder("requests-upstream"), bench.folder("requests-peer")
    packages = [package(f"pkg{number}") for number in range(_PACKAGES)]
    write_channel(upstream, [("noarch", name, body) for name, body in packages])
    with ExitStack() as stack:
        server = stack.enter_context(LiveServer(bench.scratch / "requests", upstream=upstream.as_uri()))
        made_private = server.run("channel", "set", _CHANNEL, "--privacy", "private")
        assert made_private.returncode == 0, made_private.stderr
        _open(server, upstream.as_uri())
        root, bearer = f"{server.url}/conda/{_CHANNEL}/noarch", {"Authorization": f"Bearer {server.token}"}
        with urlopen(Request(f"{root}/{_INDEX}", headers=bearer)) as answer:
            index, etag = answer.read(), answer.headers["ETag"]
        shard = f"{decode_index(index).shards['pkg7'].hex()}.msgpack.zst"
        with urlopen(Request(f"{root}/shards/{shard}", headers=bearer)) as answer:
            (peer_folder / "shard").write_bytes(answer.read())
        (peer_folder / "index").write_bytes(index)
        peer = stack.enter_context(granian(bench, "bare_app", peer_folder))
        conditional = {"If-None-Match": etag}
        asked: dict[str, tuple[str, str, Headers]] = {
            "shard": (f"shards/{shard}", "shard", {}),
            "shard index": (_INDEX, "index", {}),
            "304 of the index": (_INDEX, "index", conditional),
        }
        pids = web_workers(server)
        for pid in pids:
            pin(pid, bench.server_core)
        loads: dict[tuple[str, str], list[Load]] = {}
        for path, (ours, theirs, headers) in asked.items():
            in_path = root.replace("/conda/", f"/t/{server.token}/conda/", 1)
            public = root.replace(_CHANNEL, _PUBLIC)
            for _ in range(bench.runs):
                loads.setdefault((path, "bare ASGI"), []).append(
                    load(bench, f"{peer.url}/{theirs}", peer.pids(), headers)
                )
                loads.setdefault((path, "anonymous"), []).append(load(bench, f"{public}/{ours}", pids, headers))
                loads.setdefault((path, "token in the path"), []).append(
                    load(bench, f"{in_path}/{ours}", pids, headers)
                )
                loads.setdefault((path, "token in a header"), []).append(
                    load(bench, f"{root}/{ours}", pids, {**bearer, **headers})
                )
    return [_figure(loads, path, option) for path, option in loads]


def _open(server: LiveServer, upstream: str) -> None:
    """A public channel with the same packages."""
    body = {
        "name": _PUBLIC,
        "kind": "mirror",
        "privacy": "public",
        "mirrors": [{"urls": [upstream], "subdirs": ["noarch"]}],
    }
    headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
    urlopen(Request(f"{server.url}/api/v1/channels", json.dumps(body).encode(), headers)).close()
    urlopen(f"{server.url}/conda/{_PUBLIC}/noarch/{_INDEX}").close()


def _figure(loads: Loads, path: str, option: str) -> Figure:
    rates = [one.requests for one in loads[path, option]]
    busy = sorted(one.busy for one in loads[path, option])[len(rates) // 2]
    work = sorted(one.requests / one.busy for one in loads[path, option])[len(rates) // 2]
    note = f"server {busy:.0%} busy, {work:,.0f} for a second of processor"
    if option == "bare ASGI":
        return Figure(path, option, rates, "requests/s", note=note)
    ratio = ratio_of(rates, [one.requests for one in loads[path, "bare ASGI"]])
    return Figure(path, option, rates, "requests/s", "bare ASGI", ratio, _AIM, note)

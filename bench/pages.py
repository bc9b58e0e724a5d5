"""Pages and search over 600,000 records and a year of use: what each costs, and what ten people at once wait for."""

import json
import os
import random
import statistics
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from bench.peers import web_workers
from bench.scale import SUBDIR, place_day
from bench.timing import Bench, Figure, at_most, cpu_seconds, run_child
from tests.live import PASSWORD, ROOT, LiveServer
from tests.waiting import eventually

_CHANNEL = "big"
_PEOPLE = 10
_WORDS = ("numpy", "py", "lib", "r-", "python", "qt", "cuda", "license:mit", "test", "age:<400d numpy", "gcc", "data")
_LOADED = ("/", "/channels", f"/channels/{_CHANNEL}", "/requests", "/requests/waiting", "/policies", "/advisories", "/advisories/coverage", "/audit",
           "/audit/requests", "/audit?q=action:policy", "/admin/users", "/admin/storage", "/admin/health")  # fmt: skip
_POLICY = """name = "bench"
mode = "enforce"
[[rule]]
kind = "license"
exclude = ["agpl", "proprietary"]
action = "block"
"""


def run(bench: Bench) -> list[Figure]:
    upstream = bench.folder("pages-upstream")
    place_day(0, upstream)
    roots = {"HEADGATE_UPSTREAM__FILE_ROOTS": json.dumps([str(upstream)])}
    data = bench.scratch / "pages-data"
    server = LiveServer(data, env=roots)
    with server:
        names = _fill(server, upstream.as_uri())
        _learn(server)
    costs = run_child("bench.page_work", data, _CHANNEL, SUBDIR, PASSWORD, core=bench.server_core)["pages"]
    with server:
        cookies = _signed_in(server)
        _let_rest(server, cookies)
        some = random.Random(7).sample(names, min(200, len(names)))
        figures = []
        for label, paths, most in (
            ("search, API", [f"/api/v1/search?q={quote(word)}" for word in _WORDS], 100.0),
            ("search", [f"/search?q={quote(word)}" for word in _WORDS], 100.0),
            ("suggestions", [f"/search/suggestions?q={quote(word)}" for word in _WORDS], 100.0),
            ("package", [f"/packages/{_CHANNEL}/{name}" for name in some], 150.0),
            *((path, [path], 150.0) for path in _LOADED),
        ):
            waited = [_p95(server, cookies, paths, bench.load_s) for _ in range(bench.runs)]
            samples, work = [one[0] for one in waited], statistics.median([one[1] for one in waited])
            note = f"{work:.1f} ms of processor each"
            figures.append(Figure("ten at once, p95", label, samples, "ms", aim=at_most(most), note=note))
        return figures + list(map(_cost, sorted(costs, key=lambda one: -one["work_ms"])))


def _cost(one: Mapping[str, Any]) -> Figure:
    """A page by itself; what it makes a browser load is an aim, for it does not depend on the machine."""
    note = f"{one['queries']} queries, {one['bytes'] / 1000:.0f} kB and assets of {one['assets'] / 1000:.0f} kB"
    status = "" if one["status"] == 200 else f", answers {one['status']}"
    first = f", {one['first_ms']:.0f} ms the first time"
    return Figure("page, processor", one["path"], [one["work_ms"]], "ms", note=note + first + status)


def _fill(server: LiveServer, upstream: str) -> list[str]:
    """Follow the channel, and wait until search knows it all; names in it."""
    headers = {"authorization": f"Bearer {server.token}"}
    with httpx.Client(base_url=f"{server.url}/api/v1", headers=headers, timeout=60) as api:
        body = {"name": _CHANNEL, "kind": "mirror", "privacy": "public",
                "mirrors": [{"urls": [upstream], "subdirs": [SUBDIR]}]}  # fmt: skip
        api.post("/channels", json=body).raise_for_status()
        api.post(f"/channels/{_CHANNEL}/sync", json={}).raise_for_status()
        question: dict[str, str | int] = {"q": f"subdir:{SUBDIR}", "limit": 200}
        eventually(lambda: api.get("/search", params=question).json()["total"] > 30_000, timeout_s=180)
        return [one["name"] for one in api.get("/search", params=question).json()["packages"]]


def _signed_in(server: LiveServer) -> httpx.Cookies:
    with httpx.Client(base_url=server.url, headers={"sec-fetch-site": "same-origin"}) as browser:
        browser.post("/sign-in", data={"name": "admin", "password": PASSWORD})
        return browser.cookies


def _learn(server: LiveServer) -> None:
    """A policy; and the advisories of PyPI, where the shared folder has them."""
    shared = Path(os.environ.get("HEADGATE_SHARED", ROOT.parent / "shared")) / "data"
    rules = server.data / "bench.toml"
    rules.write_text(_POLICY)
    words: list[tuple[str | Path, ...]] = [
        ("policy", "apply", rules),
        ("policy", "attach", "bench", "--channel", _CHANNEL),
    ]
    if (shared / "advisories").is_dir():
        words.append(("advisory", "names", "import", shared / "names" / "conda-forge-to-pypi.json"))
        words.append(("advisory", "import", shared / "advisories" / "pypi-osv.zip"))
    for command in words:
        done = server.run(*command)
        assert done.returncode == 0, done.stderr


def _let_rest(server: LiveServer, cookies: httpx.Cookies) -> None:
    """Let the server finish what a start and the first look at a page begin: it then does nothing for three seconds."""
    with httpx.Client(base_url=server.url, cookies=cookies, timeout=300) as client:
        for path in _LOADED:
            client.get(path).raise_for_status()

    def rests() -> bool:
        before = sum(map(cpu_seconds, server.children()))
        time.sleep(3)
        return sum(map(cpu_seconds, server.children())) - before < 0.3

    assert eventually(rests, timeout_s=300), "the server does not come to rest"


def _p95(server: LiveServer, cookies: httpx.Cookies, paths: Sequence[str], seconds: float) -> tuple[float, float]:
    """What 95 of 100 answers stay below while ten people ask one after the other, and the work of each; milliseconds."""
    waited: list[float] = []
    pids = web_workers(server)
    before = sum(map(cpu_seconds, pids))
    until = time.monotonic() + seconds

    def ask(number: int) -> None:
        choose = random.Random(number)
        with httpx.Client(base_url=server.url, cookies=cookies, timeout=30) as client:
            while time.monotonic() < until:
                began = time.perf_counter()
                client.get(choose.choice(paths)).raise_for_status()
                waited.append((time.perf_counter() - began) * 1000)
                time.sleep(0.2)  # they read what they see

    people = [threading.Thread(target=ask, args=(number,)) for number in range(_PEOPLE)]
    for one in people:
        one.start()
    for one in people:
        one.join()
    work = (sum(map(cpu_seconds, pids)) - before) / len(waited)
    return statistics.quantiles(waited, n=20)[-1], work * 1000

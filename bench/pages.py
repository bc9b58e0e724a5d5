"""Pages and search over 600,000 records, for ten people at once: what they wait for an answer of one worker."""

import json
import random
import statistics
import threading
import time
from collections.abc import Sequence
from urllib.parse import quote

import httpx

from bench.scale import SUBDIR, place_day
from bench.timing import Bench, Figure, at_most
from tests.live import PASSWORD, LiveServer
from tests.waiting import eventually

_CHANNEL = "big"
_PEOPLE = 10
_WORDS = ("numpy", "py", "lib", "r-", "python", "qt", "cuda", "license:mit", "test", "age:<400d numpy", "gcc", "data")
_FILES = f"/files/{_CHANNEL}/{SUBDIR}/"


def run(bench: Bench) -> list[Figure]:
    upstream = bench.folder("pages-upstream")
    place_day(0, upstream)
    roots = {"HEADGATE_UPSTREAM__FILE_ROOTS": json.dumps([str(upstream)])}
    with LiveServer(bench.scratch / "pages-data", env=roots) as server:
        names = _fill(server, upstream.as_uri())
        cookies = _signed_in(server)
        some = random.Random(7).sample(names, min(200, len(names)))
        figures = []
        for label, paths, most in (
            ("search, API", [f"/api/v1/search?q={quote(word)}" for word in _WORDS], 100.0),
            ("search", [f"/search?q={quote(word)}" for word in _WORDS], 150.0),
            ("suggestions", [f"/search/suggestions?q={quote(word)}" for word in _WORDS], 100.0),
            ("home", ["/"], 150.0),
            ("package", [f"/packages/{_CHANNEL}/{name}" for name in some], 150.0),
        ):
            samples = [_p95(server.url, cookies, paths, bench.load_s) for _ in range(bench.runs)]
            figures.append(Figure("pages", f"{label}, p95", samples, "ms", aim=at_most(most)))
        return figures


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


def _p95(url: str, cookies: httpx.Cookies, paths: Sequence[str], seconds: float) -> float:
    """What 95 of 100 answers stay below, in milliseconds, while ten people ask one after the other."""
    waited: list[float] = []
    until = time.monotonic() + seconds

    def ask(number: int) -> None:
        choose = random.Random(number)
        with httpx.Client(base_url=url, cookies=cookies, timeout=30) as client:
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
    return statistics.quantiles(waited, n=20)[-1]

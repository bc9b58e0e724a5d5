"""Ten more advisories for a running server, whose policy blocks what is affected: when does a client see it?"""

import json
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from bench.scale import SUBDIR
from bench.timing import Figure, at_most
from headgate.conda.shards import decode_index
from tests.live import LiveServer

_PATIENCE_S = 180.0
_TEN = 10
_POLICY = {"name": "bench", "rule": [{"kind": "advisory-status", "action": "block"}]}


def samples(data: Path, shared: Path, channel: str, runs: int) -> list[dict[str, float]]:
    """Seconds until the import is done, and until the index that a web worker serves lacks all ten names."""
    mapping = shared / "names" / "conda-forge-to-pypi.json"
    (data / "bench-policy.json").write_text(json.dumps(_POLICY))
    with LiveServer(data) as server:
        for words in (
            ("channel", "set", channel, "--privacy", "public"),
            ("policy", "apply", data / "bench-policy.json"),
            ("policy", "attach", "bench", "--channel", channel),
            ("advisory", "import", mapping, "--feed", "names", "--whole"),
            ("advisory", "import", shared / "advisories" / "pypi-osv.zip", "--feed", "pypi"),
        ):
            done = server.run(*words)
            assert done.returncode == 0, done.stdout + done.stderr
        client = _Client(server, channel)
        client.settle()
        pairs = _pairs(json.loads(mapping.read_text()), client.names)
        return [client.tell(number, [next(pairs) for _ in range(_TEN)]) for number in range(runs)]


def figures(found: list[dict[str, float]]) -> list[Figure]:
    """For the table."""
    return [
        Figure("advisories", "ten more, uploaded: imported", [one["imported"] for one in found], "s"),
        Figure("advisories", "ten more, uploaded: gone from the index", [one["gone"] for one in found], "s", aim=at_most(2)),
    ]  # fmt: skip


def _pairs(mapping: dict[str, list[str] | None], names: dict[str, bytes]) -> Iterator[tuple[str, str]]:
    """Conda names of the channel, each with the PyPI package that only it is."""
    found = {
        name: packages[0] for name, packages in mapping.items() if name in names and packages and len(packages) == 1
    }
    alone = {package: name for name, package in sorted(found.items())}
    return ((name, package) for name, package in sorted(found.items()) if alone[package] == name)  # fmt: skip


def _advisory(key: str, package: str) -> dict[str, Any]:
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]
    affected = [{"package": {"ecosystem": "PyPI", "name": package}, "ranges": ranges}]
    return {"id": key, "modified": "2026-01-01T00:00:00Z", "summary": "For a benchmark.", "affected": affected}


class _Client:
    """Tells advisories, and watches the shard index over one connection."""

    def __init__(self, server: LiveServer, channel: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", server.port, timeout=_PATIENCE_S)
        self._authorization = {"Authorization": f"Bearer {server.token}"}
        self._index = f"/conda/{channel}/{SUBDIR}/repodata_shards.msgpack.zst"
        self._etag = ""
        self.names: dict[str, bytes] = {}

    def settle(self) -> None:
        """Wait until nothing is under way for some seconds."""
        give_up_at, quiet = time.monotonic() + _PATIENCE_S, 0
        while quiet < 10:
            assert time.monotonic() < give_up_at, "the jobs never ended"
            busy = self._has_jobs()
            quiet = 0 if busy else quiet + 1
            time.sleep(0.5)
        self._look()

    def tell(self, number: int, pairs: list[tuple[str, str]]) -> dict[str, float]:
        """One file of advisories, each of which affects every version of a package."""
        told = [_advisory(f"BENCH-{number}-{place}", package) for place, (_, package) in enumerate(pairs)]
        wanted = {name: self.names[name] for name, _ in pairs}
        began = time.perf_counter()
        job = self._json("POST", "/api/v1/advisories/import?feed=bench", json.dumps(told).encode())
        imported = 0.0
        while any(self.names.get(name) == digest for name, digest in wanted.items()):
            self._look()
            gone = time.perf_counter() - began
            if not imported and self._json("GET", f"/api/v1/advisories/imports/{job['id']}")["state"] == "done":
                imported = time.perf_counter() - began
            assert gone < _PATIENCE_S, "the names never left the index"
            time.sleep(0.01)
        self.settle()
        return {"imported": imported or gone, "gone": gone}

    def _look(self) -> None:
        self._connection.request("GET", self._index, headers={"If-None-Match": self._etag})
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status in {200, 304}, body
        if answer.status == 200:
            self._etag = answer.headers["ETag"]
            self.names = decode_index(body).shards

    def _has_jobs(self) -> bool:
        jobs = self._json("GET", "/api/v1/jobs?limit=20")["items"]
        return any(one["state"] in {"queued", "running"} for one in jobs)

    def _json(self, method: str, path: str, body: bytes | None = None) -> Any:
        self._connection.request(method, path, body, self._authorization)
        answer = self._connection.getresponse()
        said = answer.read()
        assert answer.status in {200, 202}, said
        return json.loads(said)

"""From an upload to the index of a virtual channel that shows it beside 600,000 records."""

import time
from http.client import HTTPConnection
from pathlib import Path

import zstandard

from bench.peers import jobs_worker, web_workers
from bench.scale import DOCUMENT, SUBDIR, place_day
from bench.timing import Bench, Figure, at_most, status_bytes
from headgate.conda.shards import decode_index
from tests.live import LiveServer
from tests.packages import package

_UPLOADS = 5
_PATIENCE_S = 120.0
_PIECE = 4 << 20


def run(bench: Bench) -> list[Figure]:
    upstream = bench.folder("upload-upstream")
    place_day(0, upstream)
    with LiveServer(bench.scratch / "upload", upstream=upstream.as_uri()) as server:
        began = time.perf_counter()
        for words in (
            ("mirror", "sync", "unapproved-conda", "--subdir", SUBDIR, "--wait"),
            ("channel", "create", "own", "--kind", "hosted", "--privacy", "public"),
            ("channel", "create", "both", "--kind", "virtual", "--privacy", "public",
             "--member", "own", "--member", "unapproved-conda"),
        ):  # fmt: skip
            done = server.run(*words)
            assert done.returncode == 0, done.stderr
        client = _Client(server)
        client.settle()
        ready_s = time.perf_counter() - began
        taken: list[float] = []
        in_index: list[float] = []
        in_document: list[float] = []
        for number in range(_UPLOADS):
            filename, body = package(f"bench-upload-{number}", subdir=SUBDIR)
            times = client.upload(filename, body)
            for samples, seconds in zip((taken, in_index, in_document), times, strict=True):
                samples.append(seconds)
        peak = status_bytes("VmHWM", jobs_worker(server)) / 1e9
        resident = [status_bytes("VmRSS", pid) / 1e6 for pid in web_workers(server)]
    path = "upload beside 600,000 records"
    return [
        Figure(path, "answered", taken, "s"),
        Figure(path, "in the shard index", in_index, "s", aim=at_most(1)),
        Figure(path, f"in {DOCUMENT}", in_document, "s", aim=at_most(10)),
        Figure(path, "first sync, and the documents of both channels", [ready_s], "s"),
        Figure(path, "peak memory of the jobs worker", [peak], "GB", aim=at_most(1)),
        Figure(path, "memory of the web worker that has the maps", resident, "MB"),
    ]


class _Client:
    """Uploads to `own`, and watches `both` over one connection."""

    def __init__(self, server: LiveServer) -> None:
        self._connection = HTTPConnection("127.0.0.1", server.port, timeout=_PATIENCE_S)
        self._authorization = {"Authorization": f"Bearer {server.token}"}
        self._etags: dict[str, str] = {}

    def settle(self) -> None:
        """Wait until both documents are there and nothing is being rendered any more."""
        give_up_at = time.monotonic() + _PATIENCE_S
        while self._fetch(DOCUMENT) is None:
            assert time.monotonic() < give_up_at, "the document never came"
            time.sleep(0.2)
        self._fetch("repodata_shards.msgpack.zst")
        while self._jobs_under_way():
            assert time.monotonic() < give_up_at, "the jobs never ended"
            time.sleep(0.2)

    def upload(self, filename: str, body: bytes) -> tuple[float, float, float]:
        """Seconds until the upload is answered, the shard index names it, the document holds it."""
        began = time.perf_counter()
        self._connection.request(
            "POST", f"/api/v1/channels/own/artifacts?filename={filename}", body, self._authorization
        )
        answer = self._connection.getresponse()
        said = answer.read()
        assert answer.status == 201, said
        taken = time.perf_counter() - began
        in_index = self._wait("repodata_shards.msgpack.zst", filename, began)
        in_document = self._wait(DOCUMENT, filename, began)
        time.sleep(1)
        return taken, in_index, in_document

    def _wait(self, document: str, filename: str, began: float) -> float:
        while True:
            body = self._fetch(document)
            came = time.perf_counter() - began
            if body is not None and _holds(document, body, filename):
                return came
            assert came < _PATIENCE_S, f"{document} never named {filename}"
            time.sleep(0.005)

    def _fetch(self, document: str) -> bytes | None:
        """The document when it is not the one seen last."""
        known = self._etags.get(document)
        self._connection.request(
            "GET", f"/conda/both/{SUBDIR}/{document}", headers={"If-None-Match": known} if known else {}
        )
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            assert answer.status in {304, 503}, body
            return None
        self._etags[document] = answer.headers["ETag"]
        return body

    def _jobs_under_way(self) -> bool:
        self._connection.request("GET", "/api/v1/jobs?limit=20", headers=self._authorization)
        body = self._connection.getresponse().read()
        return b'"queued"' in body or b'"running"' in body


def _holds(document: str, body: bytes, filename: str) -> bool:
    if document != DOCUMENT:
        return Path(filename).stem.rsplit("-", 2)[0] in decode_index(body).shards
    wanted, tail = f'"{filename}"'.encode(), b""
    reader = zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True)
    while piece := reader.read(_PIECE):
        if wanted in tail + piece:
            return True
        tail = piece[-len(wanted) :]
    return False

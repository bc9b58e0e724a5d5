"""Files that are not here yet: how much later they come, and how often upstream is asked."""

import hashlib
import os
import socket
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from bench.timing import Bench, Figure, at_most, ratio_of, run_child
from tests.live import LiveServer
from tests.upstreams import write_channel

_SMALL, _SMALL_BYTES = 21, 1 << 20
_LARGE_BYTES = 20 << 20
_CLIENTS = 100
_PATH = "conda/unapproved-conda"


class StampingServer:
    """A folder over HTTP that notes when the first byte of each answer left, and how often each path was asked for."""

    def __init__(self, root: Path) -> None:
        self.sent_at: dict[str, float] = {}
        self.asked: list[str] = []
        self._server = _Server(("127.0.0.1", 0), partial(_Handler, self, root))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, stamps: StampingServer, root: Path, *args: object) -> None:
        self._stamps = stamps
        self._root = root
        super().__init__(*args)  # type: ignore[arg-type] # socketserver's three

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Nothing."""

    def do_GET(self) -> None:
        path = self._root / self.path.lstrip("/")
        self._stamps.asked.append(self.path)
        if not path.is_file():
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(path.stat().st_size))
        with path.open("rb") as file:
            self._stamps.sent_at[self.path] = time.monotonic()
            self.end_headers()
            self.connection.sendfile(file)


def run(bench: Bench) -> list[Figure]:
    upstream = bench.folder("cold-upstream")
    files = {f"small{n}-1.0-0.conda": _SMALL_BYTES for n in range(_SMALL)}
    files |= {f"large{n}-1.0-0.conda": _LARGE_BYTES for n in range(4 * bench.runs)}
    write_channel(upstream, [("noarch", name, os.urandom(size)) for name, size in files.items()])
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (upstream / "noarch").iterdir()}
    names = [name for name in files if name.startswith("large")]
    figures: list[Figure] = []
    with StampingServer(upstream) as stamping:
        for workers in (1, 2):
            data = bench.scratch / f"cold-{workers}"
            with LiveServer(data, upstream=stamping.url, workers=workers) as server:
                _first_sync(server)
                if workers == 1:
                    figures += _first_bytes(stamping, server)
                    figures += _whole(bench, stamping, server, names, digests)
                figures += _crowds(
                    bench, stamping, server, names[-bench.runs * workers :][: bench.runs], digests, workers
                )
    return figures


def _first_sync(server: LiveServer) -> None:
    done = server.run("mirror", "sync", "unapproved-conda", "--subdir", "noarch", "--wait")
    assert done.returncode == 0, done.stderr


def _first_bytes(stamping: StampingServer, server: LiveServer) -> list[Figure]:
    direct, through = [], []
    for number in range(_SMALL):
        path = f"/noarch/small{number}-1.0-0.conda"
        direct.append(_first_byte(stamping, path, stamping.url + path))
        through.append(_first_byte(stamping, path, f"{server.url}/{_PATH}{path}"))
    label = "cold file, first byte after upstream's"
    return [
        Figure(label, "direct", [1000 * one for one in direct[1:]], "ms"),
        Figure(
            label, "headgate", [1000 * one for one in through[1:]], "ms", "direct",
            ratio_of(through[1:], direct[1:]), at_most(10),
        ),
    ]  # fmt: skip


def _first_byte(stamping: StampingServer, path: str, url: str) -> float:
    """Seconds from upstream's first byte of `path` to the first byte of the body of `url`; reads the rest."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 80)) as connection:
        connection.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
        head = b""
        while not head.partition(b"\r\n\r\n")[2]:
            piece = connection.recv(1 << 16)
            assert piece, head
            head += piece
        came_at = time.monotonic()
        while connection.recv(1 << 20):
            pass
    assert head.startswith(b"HTTP/1.1 200"), head[:200]
    return came_at - stamping.sent_at[path]


def _crowd(bench: Bench, url: str, clients: int, digest: str) -> float:
    answer = run_child("bench.crowd", url, clients, digest, core=bench.client_core)
    return float(answer["seconds"])


def _whole(
    bench: Bench, stamping: StampingServer, server: LiveServer, names: list[str], digests: dict[str, str]
) -> list[Figure]:
    direct, through = [], []
    for name in names[: bench.runs]:
        direct.append(_crowd(bench, f"{stamping.url}/noarch/{name}", 1, digests[name]))
        through.append(_crowd(bench, f"{server.url}/{_PATH}/noarch/{name}", 1, digests[name]))
    label = "cold file of 20 MB, whole"
    return [
        Figure(label, "direct", direct, "s"),
        Figure(label, "headgate", through, "s", "direct", ratio_of(through, direct)),
    ]


def _crowds(
    bench: Bench, stamping: StampingServer, server: LiveServer, names: list[str], digests: dict[str, str], workers: int
) -> list[Figure]:
    direct, through, asked = [], [], []
    for name in names:
        direct.append(_crowd(bench, f"{stamping.url}/noarch/{name}", _CLIENTS, digests[name]))
        before = stamping.asked.count(f"/noarch/{name}")
        through.append(_crowd(bench, f"{server.url}/{_PATH}/noarch/{name}", _CLIENTS, digests[name]))
        asked.append(float(stamping.asked.count(f"/noarch/{name}") - before))
    label = f"cold file of 20 MB, {_CLIENTS} clients at once"
    plural = "1 worker" if workers == 1 else f"{workers} workers"
    return [
        Figure(label, f"direct, beside {plural}", direct, "s"),
        Figure(label, f"headgate, {plural}", through, "s", "direct", ratio_of(through, direct)),
        Figure(label, f"upstream requests, {plural}", asked, "requests", aim=at_most(1)),
    ]

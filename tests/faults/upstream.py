"""An upstream over real HTTP whose channel changes, and which lies where it is told to."""

import contextlib
import hashlib
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

Lie = Callable[[BaseHTTPRequestHandler, bytes], None]
"""What answers instead, told the request and the bytes that the truth would be."""

INDEX = "noarch/repodata.json"
INDEX_FILES = ("repodata_shards.msgpack.zst", "repodata.json.zst", "repodata.json", "repodata.json.bz2")


def body_of(filename: str, size_bytes: int) -> bytes:
    """Bytes that look random and are the same in every run."""
    return hashlib.shake_256(filename.encode()).digest(size_bytes)


class Upstream:
    """A channel with the one subdir noarch. `lies` (path -> lie) come before the truth; `asked` counts requests."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.lies: dict[str, Lie] = {}
        self.asked: Counter[tuple[str, str]] = Counter()
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                upstream.answer(self)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End every connection, and take no more."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            for connection in list(self._server.open):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def publish(self, packages: Mapping[str, bytes]) -> None:
        """Let the channel hold exactly these files."""
        files = {f"noarch/{filename}": body for filename, body in packages.items()}
        self.files = files | {INDEX: _repodata(packages)}

    def packages(self) -> set[str]:
        """The file names of the channel."""
        return {path.partition("/")[2] for path in self.files if path != INDEX}

    def count(self, filename: str) -> int:
        """How often a file was asked for, in whatever way."""
        return sum(times for (_, path), times in self.asked.items() if path == f"noarch/{filename}")

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        path = request.path.lstrip("/")
        self.asked[request.command, path] += 1
        truth = self.files.get(path)
        lie = self.lies.get(path)
        if lie is not None:
            lie(request, truth or b"")
        elif truth is None:
            send(request, 404, b"not here")
        else:
            _send_truth(request, truth)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.open: set[socket.socket] = set()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Remember the connection while it lasts."""
        self.open.add(request)
        super().process_request_thread(request, client_address)
        self.open.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


def send(request: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    """A whole answer; `headers` with _ for -."""
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def hang_up(request: BaseHTTPRequestHandler, body: bytes, sent_bytes: int) -> None:
    """Announce the whole body, send its beginning, and close the connection."""
    request.send_response(200)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body[:sent_bytes])
    request.close_connection = True


def _send_truth(request: BaseHTTPRequestHandler, body: bytes) -> None:
    etag = f'"{hashlib.sha256(body).hexdigest()}"'
    if request.headers.get("If-None-Match") == etag:
        send(request, 304, b"", ETag=etag)
        return
    asked = request.headers.get("Range")
    if asked is None:
        send(request, 200, body, ETag=etag)
        return
    first, _, last = asked.removeprefix("bytes=").partition("-")
    part = body[int(first) : int(last) + 1]
    send(request, 206, part, ETag=etag, Content_Range=f"bytes {first}-{last}/{len(body)}")


def _repodata(packages: Mapping[str, bytes]) -> bytes:
    records = {filename: _record(filename, body) for filename, body in packages.items()}
    document = {"info": {"subdir": "noarch"}, "packages": {}, "packages.conda": records, "repodata_version": 1}
    return json.dumps(document).encode()


def _record(filename: str, body: bytes) -> dict[str, Any]:
    name, version, build = filename.removesuffix(".conda").rsplit("-", 2)
    return {
        "name": name, "version": version, "build": build, "build_number": 0, "depends": [], "subdir": "noarch",
        "size": len(body), "sha256": hashlib.sha256(body).hexdigest(), "md5": hashlib.md5(body).hexdigest(),
    }  # fmt: skip

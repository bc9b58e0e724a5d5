"""What Headgate is compared with: applications for granian, and the servers that run them."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route

from bench.scale import Absent
from bench.timing import Bench, pin
from tests.live import ROOT, LiveServer, environment, free_port

FOLDER = "BENCH_FOLDER"
Send = Callable[[dict[str, Any]], Awaitable[None]]


def files_app() -> Starlette:
    """Answers `/<file>` with a file of the folder, as FastAPI applications do."""
    folder = Path(os.environ[FOLDER])

    async def send(request: Request) -> FileResponse:
        return FileResponse(folder / request.path_params["name"])

    return Starlette(routes=[Route("/{name}", send)])


def bare_app() -> Callable[..., Awaitable[None]]:
    """Answers `/<file>` with bytes from memory, and a conditional request with 304: the least that ASGI can do."""
    bodies = {f"/{path.name}": path.read_bytes() for path in Path(os.environ[FOLDER]).iterdir()}

    async def app(scope: dict[str, Any], _receive: Any, send: Send) -> None:
        if scope["type"] != "http":
            return
        body, status = bodies.get(scope["path"], b""), 200
        if any(key == b"if-none-match" for key, _ in scope["headers"]):
            body, status = b"", 304
        headers = [(b"etag", b'"bench"'), (b"content-type", b"application/zstd")]
        if status == 200:
            headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


class Peer:
    """A server in the foreground of its own process; its workers run on the server's core."""

    def __init__(self, bench: Bench, command: list[str], port: int, env: Mapping[str, str] | None = None) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._bench = bench
        self._command = command
        self._port = port
        self._env = environment(**(env or {}))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, env=self._env, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        give_up_at = time.monotonic() + 20
        while not is_answering(self._port):
            if time.monotonic() > give_up_at or self._process.poll() is not None:
                raise RuntimeError(f"{self._command[0]} did not start")
            time.sleep(0.005)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(20)

    def pids(self) -> list[int]:
        """Its worker processes, kept on the server's core from now on."""
        assert self._process is not None
        pids = children_of(self._process.pid)
        for pid in pids:
            pin(pid, self._bench.server_core)
        return pids


def granian(bench: Bench, app: str, folder: Path) -> Peer:
    """One granian worker for an application above, set up as ours is."""
    port = free_port()
    words = ["-m", "granian", "--interface", "asgi", "--loop", "uvloop", "--workers", "1", "--port", str(port)]
    words += ["--no-ws", "--backlog", "4096", "--backpressure", "16384", "--log-level", "warning", "--factory"]
    return Peer(bench, [sys.executable, *words, f"bench.peers:{app}"], port, {FOLDER: str(folder)})


def nginx(bench: Bench, folder: Path, behind: LiveServer, blobs: Path) -> Peer:
    """One nginx worker: `/<file>` from a folder, `/conda/` from Headgate behind it, which points back to `/blobs/`.

    Raises Absent where there is no nginx.
    """
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(program).exists():
        raise Absent("nginx is not installed.")
    port, scratch = free_port(), bench.folder("nginx")
    config = scratch / "nginx.conf"
    config.write_text(
        f"daemon off; pid {scratch}/nginx.pid; error_log {scratch}/error.log; worker_processes 1; user root;\n"
        "events { worker_connections 512; }\n"
        f"http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;\n"
        f"client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy; fastcgi_temp_path {scratch}/f;\n"
        f"uwsgi_temp_path {scratch}/u; scgi_temp_path {scratch}/s;\n"
        f"upstream headgate {{ server 127.0.0.1:{behind.port}; keepalive 32; keepalive_requests 100000000; }}\n"
        f"server {{ listen 127.0.0.1:{port}; root {folder};\n"
        'location /conda/ { proxy_pass http://headgate; proxy_http_version 1.1; proxy_set_header Connection ""; }\n'
        f"location /blobs/ {{ internal; alias {blobs}/; }} }} }}\n"
    )
    return Peer(bench, [program, "-c", str(config)], port)


def plain_files(bench: Bench, folder: Path) -> Peer:
    """A folder over HTTP, by nginx where there is one, as an upstream that is no part of what is measured."""
    program, port = shutil.which("nginx") or "/usr/sbin/nginx", free_port()
    if not Path(program).exists():
        return Peer(bench, [sys.executable, "-m", "http.server", "-b", "127.0.0.1", "-d", str(folder), str(port)], port)
    scratch = bench.folder("nginx-upstream")
    config = scratch / "nginx.conf"
    config.write_text(
        f"daemon off; pid {scratch}/nginx.pid; error_log {scratch}/error.log; worker_processes 1; user root;\n"
        "events { worker_connections 512; }\n"
        f"http {{ access_log off; sendfile on; server {{ listen 127.0.0.1:{port}; root {folder}; }} }}\n"
    )
    return Peer(bench, [program, "-c", str(config)], port)


def is_answering(port: int) -> bool:
    """Whether an HTTP request is answered, with whatever status."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
    return True


def children_of(pid: int) -> list[int]:
    """Process ids of the children of a process."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return sorted({int(word) for path in found for word in path.read_text().split()})


def web_workers(server: LiveServer) -> list[int]:
    """Process ids of Headgate's web workers."""
    return [pid for pid in server.children() if _is_web(_words_of(pid))]


def jobs_worker(server: LiveServer) -> int:
    """Process id of Headgate's jobs worker."""
    return next(pid for pid in server.children() if "headgate.worker" in _words_of(pid))


def _words_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def _is_web(words: str) -> bool:
    return "headgate.worker" not in words and "resource_tracker" not in words

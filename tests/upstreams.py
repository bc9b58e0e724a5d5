"""Upstream channels for tests: folders of tiny packages, served over HTTP by this process or by nginx."""

import contextlib
import hashlib
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import URLError
from urllib.request import urlopen

import zstandard

from tests.live import free_port

Packages = Sequence[tuple[str, str, bytes]]


def write_channel(root: Path, packages: Packages) -> None:
    """A channel folder of (subdir, file name, bytes), with its repodata plain and compressed."""
    by_subdir: dict[str, dict[str, dict[str, Any]]] = {"noarch": {}}
    for subdir, filename, body in packages:
        folder = root / subdir
        folder.mkdir(parents=True, exist_ok=True)
        (folder / filename).write_bytes(body)
        by_subdir.setdefault(subdir, {})[filename] = record_of(subdir, filename, body)
    for subdir, records in by_subdir.items():
        (root / subdir).mkdir(parents=True, exist_ok=True)
        write_repodata(root / subdir, records)


def write_repodata(folder: Path, records: dict[str, dict[str, Any]]) -> None:
    """`repodata.json` and `.zst` of one subdir."""
    document = {
        "info": {"subdir": folder.name},
        "packages": {name: record for name, record in records.items() if name.endswith(".tar.bz2")},
        "packages.conda": {name: record for name, record in records.items() if name.endswith(".conda")},
        "removed": [],
        "repodata_version": 1,
    }
    body = json.dumps(document).encode()
    (folder / "repodata.json").write_bytes(body)
    (folder / "repodata.json.zst").write_bytes(zstandard.compress(body))


def record_of(subdir: str, filename: str, body: bytes, **more: Any) -> dict[str, Any]:
    """The record that an index gives for a package file of ours."""
    name, version, build = filename.removesuffix(".conda").removesuffix(".tar.bz2").rsplit("-", 2)
    return {
        "name": name,
        "version": version,
        "build": build,
        "build_number": 0,
        "depends": [],
        "subdir": subdir,
        "md5": hashlib.md5(body).hexdigest(),
        "sha256": hashlib.sha256(body).hexdigest(),
        "size": len(body),
        "timestamp": 1_700_000_000_000,
        **more,
    }


class FolderServer:
    """A folder over HTTP, from a thread of this process; `paths` lists what was asked for.

    With a pause, package files take that long to begin.
    """

    def __init__(self, root: Path, *, pause_s: float = 0) -> None:
        self.paths: list[str] = []
        handler = partial(_Handler, self.paths, pause_s, directory=str(root))
        self._server = _PatientServer(("127.0.0.1", 0), handler)
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


class _PatientServer(ThreadingHTTPServer):
    request_queue_size = 128  # as a real one has; five connections at once are refused a sixth


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, paths: list[str], pause_s: float, *args: Any, **kwargs: Any) -> None:
        self._paths = paths
        self._pause_s = pause_s
        super().__init__(*args, **kwargs)

    def do_GET(self) -> None:
        if self.path.endswith((".conda", ".tar.bz2")):
            time.sleep(self._pause_s)
        with contextlib.suppress(ConnectionError):  # whoever asked was killed
            super().do_GET()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
        self._paths.append(f"{self.command} {self.path}")


class NginxServer:
    """A folder over HTTP, from a real nginx in the foreground of its own process."""

    def __init__(self, root: Path, scratch: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        scratch.mkdir(parents=True, exist_ok=True)
        self._config = scratch / "nginx.conf"
        self._config.write_text(
            f"daemon off; pid {scratch}/nginx.pid; error_log {scratch}/error.log; worker_processes 1; user root;\n"
            "events { worker_connections 512; }\n"
            f"http {{ access_log off; client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy;\n"
            f"fastcgi_temp_path {scratch}/f; uwsgi_temp_path {scratch}/u; scgi_temp_path {scratch}/s; sendfile on;\n"
            f"server {{ listen 127.0.0.1:{port}; root {root}; }} }}\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        self._process = subprocess.Popen([nginx, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        give_up_at = time.monotonic() + 20
        while time.monotonic() < give_up_at:
            try:
                urlopen(f"{self.url}/", timeout=1).close()
            except URLError as error:
                if getattr(error, "code", None) is not None:
                    return self
                time.sleep(0.02)
            else:
                return self
        raise AssertionError("nginx did not start")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(10)

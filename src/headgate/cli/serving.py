"""The processes of a running server.

    headgate serve ──┬── web workers (granian)            started anew when they die, after a pause that grows
                     └── jobs workers (headgate.worker)   likewise; how many says `jobs.workers`

Children end with this process, however that ends: web workers by the kernel's parent-death signal, the jobs worker
because its standard input closes.
"""

import asyncio
import contextlib
import ctypes
import errno
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces, Loops
from granian.log import LogLevels

from headgate.bootstrap import Place
from headgate.cli import folder
from headgate.cli.greeting import client_lines, greeting, page_url, sign_in_lines
from headgate.cli.jobs_process import JobsProcess
from headgate.cli.output import Output
from headgate.cli.web_processes import WebProcesses
from headgate.kernel.errors import Conflict, Invalid
from headgate.logs import set_up_logs
from headgate.settings import ServerSettings, Settings
from headgate.storage.local import BlobStore, disk_errors
from headgate.storage.paths import DataFolder

_PR_SET_PDEATHSIG = 1
# Downloads are many, long and cheap: a worker takes them all.
_REQUESTS_AT_ONCE = 16_384
_CONNECTIONS_WAITING = 4_096
_DRAIN_S = 30
_READY_POLL_S = 0.05
# What a killed server leaves may hold the port a moment longer.
_PORT_PATIENCE_S = 2.0
# What granian logs goes where everything else goes.
_LOGGING: dict[str, Any] = {"handlers": {}, "loggers": {"_granian": {"handlers": [], "propagate": True}}}


class Serving:
    """One run of the server on one data folder."""

    def __init__(self, out: Output, root: Path, options: Mapping[str, str]) -> None:
        self._out = out
        self._root = root
        # Children read the settings as well: the options reach them, and win, as variables do.
        os.environ.update({f"HEADGATE_{key.replace('.', '__').upper()}": value for key, value in options.items()})

    def run(self, upstream: str | None) -> None:
        """Serve until SIGTERM or SIGINT."""
        followed = upstream or folder.DEFAULT_UPSTREAM
        place = folder.create_folder(self._root, followed)
        with folder.held(place.folder):
            address, port = claim(place.settings.server)
            with folder.database_errors():
                founding = asyncio.run(_make_ready(place, followed))
            url = page_url(place.settings.server.model_copy(update={"port": port}))
            if not self._out.is_json:
                self._out.show(None, sign_in_lines(founding))
            _set_environment(place.folder, port)
            set_up_logs(place.settings.log.level, place.settings.log.format)
            stopped = threading.Event()
            announcing = threading.Thread(target=self._announce, args=(founding, url, address, port, stopped))
            with contextlib.ExitStack() as children:
                for _ in range(place.settings.jobs.workers):
                    children.enter_context(JobsProcess(place.folder.root))
                announcing.start()
                try:
                    _granian(place.settings, address, port).serve(target_loader=load_application, wrap_loader=False)
                finally:
                    stopped.set()
                    announcing.join()

    def _announce(self, founding: folder.Founding, url: str, address: str, port: int, stopped: threading.Event) -> None:
        """Say so once the port answers, and not before."""
        while not _is_ready(address, port):
            if stopped.wait(_READY_POLL_S):
                return
        document = {"data": str(self._root.resolve()), "ready": True} | greeting(founding, url)
        lines = client_lines(document) if founding.is_new else []
        self._out.show(document, [*lines, f"Headgate is ready: {document['page']}"])


async def _make_ready(place: Place, upstream: str) -> folder.Founding:
    founding = await folder.initialise(place, upstream)
    if not founding.is_new:
        await folder.upgrade(place)
    with disk_errors():
        BlobStore(place.folder).sweep()
        shutil.rmtree(place.folder.metrics, ignore_errors=True)
        place.folder.create()
    return founding


def _set_environment(data: DataFolder, port: int) -> None:
    os.environ["HEADGATE_DATA"] = str(data.root)
    os.environ["HEADGATE_SERVER__PORT"] = str(port)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(data.metrics)


def claim(server: ServerSettings) -> tuple[str, int]:
    """The numeric address and the port to listen on. Raises Conflict `port-taken`, Invalid `host-unknown`.

    granian's sockets share a port with whoever else shares it; two servers on one port must not go unnoticed.
    """
    give_up_at = time.monotonic() + _PORT_PATIENCE_S
    while True:
        try:
            family, _, _, _, where = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(where)
                probe.listen()
                return str(where[0]), int(probe.getsockname()[1])
        except socket.gaierror as error:
            raise Invalid(
                "host-unknown", f"{server.host} is not an address of this machine: {error.strerror}."
            ) from error
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > give_up_at:
                raise Conflict(
                    "port-taken", f"Cannot listen on {server.host}, port {server.port}: {error.strerror}."
                ) from error
        time.sleep(0.1)


def _granian(settings: Settings, address: str, port: int) -> Any:
    return WebProcesses(
        "headgate.asgi:build",
        address=address,
        port=port,
        interface=Interfaces.ASGI,
        workers=settings.server.workers,
        loop=Loops.uvloop,
        http=HTTPModes.auto,
        websockets=False,
        backlog=_CONNECTIONS_WAITING,
        backpressure=_REQUESTS_AT_ONCE,
        log_level=LogLevels.warning,
        log_dictconfig=_LOGGING,
        log_access=False,
        respawn_failed_workers=True,
        workers_kill_timeout=_DRAIN_S,
    )


def load_application() -> Any:
    """What granian calls in each web worker: the application, in a process that dies with its parent."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent or parent == 1:
        os._exit(1)
    from headgate.asgi import build

    return build()


def _is_ready(address: str, port: int) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - compared, not bound
    connection = HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()

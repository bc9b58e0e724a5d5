"""Load on a URL: wrk for small answers where it is installed, else a client of our own.

wrk copies each byte in pieces of 8 KB: with large files it would be the slowest part.
"""

import json
import re
import selectors
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from bench.timing import Bench, cpu_seconds, on_core, run_child

_CONNECTIONS = 16
_HEAD_BYTES = 1 << 14
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SINK = bytearray(8 << 20)
_UNITS = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}


@dataclass(frozen=True, slots=True)
class Load:
    """What came through, a second; `busy` is the share of one core that the server's processes used."""

    requests: float
    bytes: float
    busy: float


def load(
    bench: Bench, url: str, pids: list[int], headers: Mapping[str, str] | None = None, *, is_large: bool = False
) -> Load:
    """Ask for one URL over 16 connections, as often as it will answer; `pids` are the server's processes.

    Raises RuntimeError when any answer is an error.
    """
    before, began = sum(map(cpu_seconds, pids)), time.perf_counter()
    run = _wrk if shutil.which("wrk") and not is_large else _own
    requests, size = run(bench, url, headers or {})
    busy = (sum(map(cpu_seconds, pids)) - before) / (time.perf_counter() - began)
    return Load(requests, size, busy)


def _wrk(bench: Bench, url: str, headers: Mapping[str, str]) -> tuple[float, float]:
    words = [part for key, value in headers.items() for part in ("-H", f"{key}: {value}")]
    # wrk knows whole seconds only
    command = ["wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{max(1, round(bench.load_s))}", "--timeout", "30", *words, url]
    with on_core(bench.client_core):
        said = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"{url}: {said}")
    requests = re.search(r"Requests/sec:\s+([\d.]+)", said)
    size = re.search(r"Transfer/sec:\s+([\d.]+)([KMG]?B)", said)
    assert requests is not None, said
    assert size is not None, said
    return float(requests[1]), float(size[1]) * _UNITS[size[2]]


def _own(bench: Bench, url: str, headers: Mapping[str, str]) -> tuple[float, float]:
    answer = run_child("bench.load", url, bench.load_s, json.dumps(dict(headers)), core=bench.client_core)
    return answer["requests"], answer["bytes"]


class _Connection:
    """One of the client's connections: asks again as soon as it has the whole answer."""

    def __init__(self, address: tuple[str, int], request: bytes) -> None:
        self.socket = socket.create_connection(address)
        self.requests = self.bytes = 0
        self._request = request
        self._missing = 0
        self.socket.sendall(request)

    def read(self) -> None:
        """Take what is there. The body is dropped in the kernel, so that the client is not what is measured."""
        if self._missing == 0:
            head, found, rest = self.socket.recv(_HEAD_BYTES).partition(b"\r\n\r\n")
            length = _LENGTH.search(head)
            if not found or not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 304")):
                raise RuntimeError(f"an answer began with {head[:300]!r}")
            self.bytes += len(rest)
            self._missing = 0 if length is None else int(length[1]) - len(rest)
        else:
            count = self.socket.recv_into(_SINK, min(len(_SINK), self._missing), socket.MSG_TRUNC)
            if count == 0:
                raise RuntimeError("the server closed a connection")
            self.bytes += count
            self._missing -= count
        if self._missing == 0:
            self.requests += 1
            self.socket.sendall(self._request)


def _ask(url: str, seconds: float, headers: Mapping[str, str]) -> tuple[float, float]:
    parts = urlsplit(url)
    lines = [f"GET {parts.path} HTTP/1.1", "Host: bench", *(f"{key}: {value}" for key, value in headers.items())]
    request = "\r\n".join([*lines, "", ""]).encode()
    address = (parts.hostname or "", parts.port or 80)
    with selectors.DefaultSelector() as selector:
        began = time.perf_counter()
        connections = [_Connection(address, request) for _ in range(_CONNECTIONS)]
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        while time.perf_counter() - began < seconds:
            for key, _ in selector.select(1):
                key.data.read()
        took_s = time.perf_counter() - began
    for connection in connections:
        connection.socket.close()
    return sum(one.requests for one in connections) / took_s, sum(one.bytes for one in connections) / took_s


def main() -> None:
    url, seconds, headers = sys.argv[1:]
    requests, size = _ask(url, float(seconds), json.loads(headers))
    print(json.dumps({"requests": requests, "bytes": size}))


if __name__ == "__main__":
    main()

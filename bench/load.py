"""Load on a URL: wrk where it is installed, else a small client of our own."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from bench.timing import Bench, cpu_seconds, on_core, run_child

_CONNECTIONS = 16
_UNITS = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}


@dataclass(frozen=True, slots=True)
class Load:
    """What came through, a second; `busy` is the share of one core that the server's processes used."""

    requests: float
    bytes: float
    busy: float


def load(bench: Bench, url: str, pids: list[int], headers: Mapping[str, str] | None = None) -> Load:
    """Ask for one URL over 16 connections, as often as it will answer; `pids` are the server's processes.

    Raises RuntimeError when any answer is an error.
    """
    before, began = sum(map(cpu_seconds, pids)), time.perf_counter()
    run = _wrk if shutil.which("wrk") else _own
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


async def _ask(url: str, seconds: float, headers: Mapping[str, str]) -> tuple[float, float]:
    count = size = 0
    began = time.perf_counter()

    async def one(session: aiohttp.ClientSession) -> None:
        nonlocal count, size
        while time.perf_counter() - began < seconds:
            async with session.get(url, headers=headers) as answer:
                answer.raise_for_status()
                async for piece in answer.content.iter_any():
                    size += len(piece)
            count += 1

    async with aiohttp.ClientSession(auto_decompress=False) as session:
        await asyncio.gather(*(one(session) for _ in range(_CONNECTIONS)))
    took_s = time.perf_counter() - began
    return count / took_s, size / took_s


def main() -> None:
    url, seconds, headers = sys.argv[1:]
    requests, size = asyncio.run(_ask(url, float(seconds), json.loads(headers)))
    print(json.dumps({"requests": requests, "bytes": size}))


if __name__ == "__main__":
    main()

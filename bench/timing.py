"""What every benchmark shares: clocks, peaks of memory, cores, child processes, figures."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.live import ROOT, environment

MB = 1 << 20
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Aim:
    """What a figure should come to: its ratio when `is_ratio`, else its median."""

    sign: str
    limit: float
    is_ratio: bool = False

    def is_met(self, value: float) -> bool:
        """Whether `value` is on the right side."""
        return value <= self.limit if self.sign == "≤" else value >= self.limit


def at_most(limit: float, *, is_ratio: bool = False) -> Aim:
    """An upper limit."""
    return Aim("≤", limit, is_ratio)


def at_least(limit: float, *, is_ratio: bool = False) -> Aim:
    """A lower limit."""
    return Aim("≥", limit, is_ratio)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the results: samples of one path with one option; `against` says what the ratio is to."""

    path: str
    option: str
    samples: Sequence[float]
    unit: str
    against: str = ""
    ratio: float | None = None
    aim: Aim | None = None
    note: str = ""

    @property
    def median(self) -> float:
        """The middle one of the samples."""
        return statistics.median(self.samples)

    @property
    def is_met(self) -> bool | None:
        """Whether the aim is met; None without an aim."""
        if self.aim is None:
            return None
        return self.aim.is_met((self.ratio or 0.0) if self.aim.is_ratio else self.median)


def ratio_of(samples: Sequence[float], floor: Sequence[float]) -> float:
    """Median to median."""
    return statistics.median(samples) / statistics.median(floor)


@dataclass(frozen=True, slots=True)
class Bench:
    """One run of benchmarks: where they may write, how often each repeats, how long a load lasts."""

    scratch: Path
    runs: int = 3
    load_s: float = 3.0
    cores: Sequence[int] = field(default_factory=lambda: sorted(os.sched_getaffinity(0)))

    @property
    def server_core(self) -> int:
        """Where whatever is measured runs."""
        return self.cores[0]

    @property
    def client_core(self) -> int:
        """Where its load comes from: another core, if there is one."""
        return self.cores[-1]

    def folder(self, name: str) -> Path:
        """A folder below the scratch folder, which exists."""
        path = self.scratch / name
        path.mkdir(parents=True, exist_ok=True)
        return path


class Clock:
    """Wall and processor seconds of a block; the latter of all threads of this process."""

    def __init__(self) -> None:
        self.wall_s = self.cpu_s = 0.0

    @classmethod
    @contextmanager
    def measured(cls) -> Iterator["Clock"]:
        """Runs from the beginning of the block to its end."""
        clock = cls()
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield clock
        finally:
            clock.wall_s, clock.cpu_s = time.perf_counter() - wall, time.process_time() - cpu


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """What the block starts runs on this core only, and so do its children."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def pin(pid: int, core: int) -> None:
    """Keep every thread of a process on this core."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {core})


def run_child(module: str, *words: object, core: int, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run a module on one core; the JSON document that it prints."""
    with on_core(core):
        done = subprocess.run(
            [sys.executable, "-m", module, *map(str, words)],
            cwd=ROOT,
            env=environment(**(env or {})),
            stdout=subprocess.PIPE,
            check=True,
        )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def status_bytes(key: str, pid: int | str = "self") -> int:
    """`VmRSS` or `VmHWM` of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(key)


def reset_peak() -> None:
    """Let VmHWM of this process begin anew."""
    Path("/proc/self/clear_refs").write_text("5")


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used so far, in kernel and out of it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS

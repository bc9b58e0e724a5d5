"""The table of results, and the machine it was measured on."""

import os
import platform
import subprocess
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from bench.timing import Figure

_PACKAGES = ("granian", "uvloop", "msgspec", "zstandard", "SQLAlchemy", "aiohttp", "fastapi")
_OPENING = """# Benchmark results

The last full run of `python -m bench`. What each line measures, and how to read it, is told under
[benchmarks](benchmarks.md).

"""


def render(figures: Sequence[Figure], took_s: float, load_before: float) -> str:
    """The page; `load_before` is the load average (1 minute) when the run began."""
    facts = "".join(f"| {key} | {value} |\n" for key, value in machine())
    facts += f"| Load when it began | {load_before:.2f} |\n"
    facts += f"| The run took | {took_s / 60:.0f} minutes |\n"
    return f"{_OPENING}| Machine | |\n| --- | --- |\n{facts}\n{table(figures)}"


def table(figures: Sequence[Figure]) -> str:
    """Path by option: median, spread, ratio, aim."""
    head = "| Path | Option | Median | Least to most | Ratio | Aim | Met | Note |\n" + "| --- " * 8 + "|\n"
    return head + "".join(map(_row, figures))


def _row(figure: Figure) -> str:
    ratio = "" if figure.ratio is None else f"{figure.ratio:.3g} × {figure.against}"
    aim = ""
    if figure.aim is not None:
        aim = f"{figure.aim.sign} {figure.aim.limit:,g} {'×' if figure.aim.is_ratio else figure.unit}"
    met = {None: "", True: "yes", False: "**no**"}[figure.is_met]
    spread = f"{_number(min(figure.samples))} to {_number(max(figure.samples))}" if len(figure.samples) > 1 else ""
    cells = [figure.path, figure.option, f"{_number(figure.median)} {figure.unit}", spread, ratio, aim, met]
    return f"| {' | '.join([*cells, figure.note])} |\n"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def machine() -> list[tuple[str, str]]:
    """What the figures depend on."""
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return [
        ("Date", time.strftime("%Y-%m-%d")),
        ("Processor", f"{_processor()}, {os.cpu_count()} cores"),
        ("Memory", f"{int(memory.split()[1]) / 2**20:.0f} GiB"),
        ("System", f"{platform.system()} {platform.release()}"),
        ("Python", platform.python_version()),
        ("Packages", ", ".join(f"{name} {version(name)}" for name in _PACKAGES)),
        ("Peers", ", ".join(filter(None, [_said("nginx", "-v"), _said("wrk", "-v")]))),
    ]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _said(command: str, option: str) -> str:
    """The first line that a command says of itself; empty when it is not there."""
    try:
        done = subprocess.run([command, option], capture_output=True, check=False, text=True)
    except OSError:
        return ""
    words = (done.stdout + done.stderr).splitlines()[0].replace("nginx version: ", "").split(" Copyright")[0]
    return words.strip()

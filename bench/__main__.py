"""`python -m bench`: all benchmarks, and the page of results; `python -m bench NAME…`: some, on standard output."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import (
    access_log,
    advisories,
    bundle,
    cold,
    files,
    large,
    pages,
    policy,
    promotions,
    requests,
    sharded,
    start,
    sync,
    upload,
)
from bench.report import render, table
from bench.scale import Absent
from bench.timing import Bench, Figure
from tests.live import ROOT

SUBJECTS: dict[str, Callable[[Bench], list[Figure]]] = {
    "start": start.run,
    "requests": requests.run,
    "files": files.run,
    "access_log": access_log.run,
    "cold": cold.run,
    "sync": sync.run,
    "sharded": sharded.run,
    "large": large.run,
    "bundle": bundle.run,
    "upload": upload.run,
    "advisories": advisories.run,
    "policy": policy.run,
    "pages": pages.run,
    "promotions": promotions.run,
}
PAGE = ROOT / "docs" / "dev" / "benchmark-results.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"{', '.join(SUBJECTS)}; all of them when none is given"
    )
    parser.add_argument("--runs", type=int, default=3, help="how often each measurement repeats")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long a load lasts")
    given = parser.parse_args()
    unknown = set(given.names) - SUBJECTS.keys()
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    began, load_before = time.monotonic(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="headgate-bench-", ignore_cleanup_errors=True) as scratch:
        figures: list[Figure] = []
        for name in given.names or SUBJECTS:
            found = _run(name, Bench(Path(scratch), given.runs, given.seconds))
            print(table(found), flush=True)
            figures += found
    if not given.names:
        PAGE.write_text(render(figures, time.monotonic() - began, load_before), encoding="utf-8")


def _run(name: str, bench: Bench) -> list[Figure]:
    print(f"{name} …", file=sys.stderr, flush=True)
    try:
        return SUBJECTS[name](bench)
    except Absent as error:
        print(f"{name} is left out: {error}", file=sys.stderr)
        return []


if __name__ == "__main__":
    main()

"""2,661 real advisories against 600,000 records, and ten that change: on one core, and seen by a client of a server."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from bench import delta
from bench.scale import SUBDIR, Absent, place_day
from bench.timing import MB, Bench, Figure, at_most, run_child
from tests.live import ROOT, headgate

_CHANNEL = "unapproved-conda"


def run(bench: Bench) -> list[Figure]:
    shared = Path(os.environ.get("HEADGATE_SHARED", ROOT.parent / "shared")) / "data"
    if not (shared / "advisories").is_dir():
        raise Absent("Set HEADGATE_SHARED to the folder of real data.")
    upstream, data = bench.folder("advisories-upstream"), bench.scratch / "advisories-data"
    place_day(0, upstream)
    made = headgate("init", "--data", data, "--upstream", upstream.as_uri())
    assert made.returncode == 0, made.stderr
    env = {"HEADGATE_UPSTREAM__FILE_ROOTS": json.dumps([str(upstream)])}
    run_child("bench.sync_work", "headgate", data, _CHANNEL, SUBDIR, core=bench.server_core, env=env)
    samples: list[dict[str, Any]] = []
    for number in range(bench.runs):
        copy = bench.scratch / f"advisories-data-{number}"
        shutil.copytree(data, copy)
        samples.append(run_child("bench.advisory_work", copy, _CHANNEL, shared, core=bench.server_core))
        shutil.rmtree(copy)
    seen = delta.samples(data, shared, _CHANNEL, bench.runs)
    shutil.rmtree(data)
    return [*_figures(samples), *delta.figures(seen)]


def _figures(samples: list[dict[str, Any]]) -> list[Figure]:
    def of(key: str) -> list[float]:
        return [one[key] for one in samples]

    first = samples[0]
    shown = f"{first['records']:,} records, {first['affected']:,} affected"
    peaks = [max(one["import_peak"], one["assess_peak"]) / MB for one in samples]
    return [
        Figure("advisories", "import the name mapping", of("names"), "s"),
        Figure("advisories", "import the archive", of("import"), "s"),
        Figure("advisories", "load into a process", of("load"), "s"),
        Figure("advisories", "assess every record", of("assess"), "s", aim=at_most(60), note=shown),
        Figure("advisories", "ten change: known", of("delta"), "s", note=f"{first['touched']} names touched"),
        Figure("advisories", "ten change: assessed anew", of("again"), "s", aim=at_most(2)),
        Figure("advisories", "highest memory", peaks, "MB", aim=at_most(1024)),
    ]

"""A subdir of 1,000,000 records: that a sync of it fits the memory it may have."""

import json
import shutil

from bench.scale import DOCUMENT, SUBDIR, large_folder
from bench.timing import Bench, Figure, at_most, run_child
from tests.live import headgate

_WORK = "bench.sync_work"
_PATH = "1,000,000 records"


def run(bench: Bench) -> list[Figure]:
    upstream, data = bench.folder("large-upstream"), bench.scratch / "large-data"
    target = upstream / SUBDIR / DOCUMENT
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(large_folder() / SUBDIR / DOCUMENT, target)
    made = headgate("init", "--data", data, "--upstream", upstream.as_uri())
    assert made.returncode == 0, made.stderr
    roots = {"HEADGATE_UPSTREAM__FILE_ROOTS": json.dumps([str(upstream)])}
    found = run_child(_WORK, "headgate", data, "unapproved-conda", SUBDIR, core=bench.server_core, env=roots)
    shutil.rmtree(data)
    return [
        Figure(_PATH, "sync, until the shard index is committed", [found["sync"]["wall"]], "s"),
        Figure(_PATH, f"{DOCUMENT}", [found["render"]["wall"]], "s"),
        Figure(_PATH, "peak memory, sync", [found["sync_peak"] / 1e9], "GB", aim=at_most(1.5)),
        Figure(_PATH, "peak memory, render", [found["render_peak"] / 1e9], "GB", aim=at_most(1.5)),
    ]

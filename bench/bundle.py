"""A bundle of 600,000 tiny files: written, verified, taken in on the other side."""

import os
import shutil

from bench.timing import Bench, Figure, at_most, run_child
from tests.live import headgate

_WORK = "bench.bundle_work"
_PATH = "bundle of {:,} files"


def run(bench: Bench) -> list[Figure]:
    files = int(os.environ.get("HEADGATE_BENCH_FILES", "600000"))
    ours, theirs, key = bench.scratch / "bundle-ours", bench.scratch / "bundle-theirs", bench.scratch / "bundle-key"
    for data in (ours, theirs):
        made = headgate("init", "--data", data, "--upstream", bench.scratch.as_uri())
        assert made.returncode == 0, made.stderr
    made = headgate("bundle", "keygen", "--out", key)
    assert made.returncode == 0, made.stderr
    bundle = bench.scratch / "many.bundle"
    run_child(_WORK, "fill", ours, files, core=bench.server_core)
    steps = {
        "export": run_child(_WORK, "export", ours, bundle, key, core=bench.server_core),
        "verify": run_child(_WORK, "verify", bundle, key, core=bench.server_core),
        "import": run_child(_WORK, "import", theirs, bundle, key, core=bench.server_core),
    }
    for data in (ours, theirs):
        shutil.rmtree(data)
    path = _PATH.format(files)
    figures = [Figure(path, "size", [bundle.stat().st_size / 1e6], "MB")]
    for step, found in steps.items():
        figures.append(Figure(path, step, [found["wall"]], "s", note=f"{found['cpu']:.0f} s of processor time"))
        figures.append(Figure(path, f"{step}, peak memory", [found["peak"] / 1e9], "GB", aim=at_most(1)))
    bundle.unlink()
    return figures

"""A policy attached to 600,000 records, changed and detached; a draft tried on them; one exemption; all on one core."""

import json
import shutil
from typing import Any

from bench.scale import SUBDIR, place_day
from bench.timing import Bench, Figure, at_most, run_child
from tests.live import headgate

_CHANNEL = "unapproved-conda"
_STEPS = (
    ("attach", "attached: cooldown, licences, names", 3.0),
    ("edit", "changed: no GPL of any kind besides", None),
    ("draft", "a draft tried", 3.0),
    ("exemption", "an exemption, in the index", 1.0),
    ("detach", "detached", None),
)


def run(bench: Bench) -> list[Figure]:
    upstream, data = bench.folder("policy-upstream"), bench.scratch / "policy-data"
    place_day(0, upstream)
    made = headgate("init", "--data", data, "--upstream", upstream.as_uri())
    assert made.returncode == 0, made.stderr
    roots = {"HEADGATE_UPSTREAM__FILE_ROOTS": json.dumps([str(upstream)])}
    run_child("bench.sync_work", "headgate", data, _CHANNEL, SUBDIR, core=bench.server_core, env=roots)
    samples: list[dict[str, Any]] = []
    for number in range(bench.runs):
        copy = bench.scratch / f"policy-data-{number}"
        shutil.copytree(data, copy)
        samples.append(run_child("bench.policy_work", copy, _CHANNEL, SUBDIR, core=bench.server_core))
        shutil.rmtree(copy)
    figures = [
        Figure(
            "policy", label, [one[step]["wall"] for one in samples], "s", aim=None if most is None else at_most(most)
        )
        for step, label, most in _STEPS
    ]
    return [*figures, Figure("peak memory", "policy", [one["peak"] / 1e9 for one in samples], "GB", aim=at_most(1))]


def _cpu(samples: list[dict[str, Any]], step: str) -> str:
    return f"{min(one[step]['cpu'] for one in samples):.1f} s of processor time"

"""Full sync and publish of 600,000 records, and the next day's, on one core."""

import json
import shutil
from typing import Any

from bench.scale import DOCUMENT, SUBDIR, place_day, scale_folder
from bench.timing import Bench, Figure, at_most, ratio_of, run_child
from tests.live import headgate

_WORK = "bench.sync_work"
_CHANNEL = "unapproved-conda"
_FLOOR, _FULL = "the floor", "the full one"
Samples = list[dict[str, Any]]


def run(bench: Bench) -> list[Figure]:
    document = scale_folder() / "day0" / SUBDIR / DOCUMENT
    floor, plain, full, next_day = Samples(), Samples(), Samples(), Samples()
    for number in range(bench.runs):
        floor.append(run_child(_WORK, "floor", document, core=bench.server_core))
        first, second = _two_days(bench, number)
        full.append(first)
        next_day.append(second)
        if number == 0:  # the peer is slow, and steady
            plain.append(run_child(_WORK, "json", document, core=bench.server_core))
    return _times(floor, plain, full, next_day) + _peaks(floor, plain, full, next_day)


def _two_days(bench: Bench, number: int) -> list[dict[str, Any]]:
    """A new data folder that follows day 0, then day 1, each in a process of its own."""
    upstream, data = bench.folder("sync-upstream"), bench.scratch / f"sync-data-{number}"
    place_day(0, upstream)
    made = headgate("init", "--data", data, "--upstream", upstream.as_uri())
    assert made.returncode == 0, made.stderr
    answers = []
    for day in (0, 1):
        place_day(day, upstream)
        answers.append(
            run_child(
                _WORK, "headgate", data, _CHANNEL, SUBDIR, core=bench.server_core,
                env={"HEADGATE_UPSTREAM__FILE_ROOTS": json.dumps([str(upstream)])},
            )
        )  # fmt: skip
    shutil.rmtree(data)
    return answers


def _of(samples: Samples, step: str, clock: str = "wall") -> list[float]:
    if step == "sum" and "sum" not in samples[0]:
        return [one["sync"][clock] + one["render"][clock] for one in samples]
    return [one[step][clock] for one in samples]


def _times(floor: Samples, plain: Samples, full: Samples, next_day: Samples) -> list[Figure]:
    base, total = _of(floor, "sum"), _of(full, "sum")
    names = f"{full[0]['changed']:,} names"
    changed = f"{next_day[0]['changed']:,} names"
    figures = [
        Figure("sync and publish", "the floor", base, "s"),
        Figure("sync and publish", "plain json", _of(plain, "sum"), "s", _FLOOR, ratio_of(_of(plain, "sum"), base)),
        Figure("sync and publish", "full", total, "s", _FLOOR, ratio_of(total, base), at_most(3, is_ratio=True), names),
    ]
    cpu_ratio = ratio_of(_of(full, "sum", "cpu"), _of(floor, "sum", "cpu"))
    figures.append(Figure("sync and publish", "full, processor time", _of(full, "sum", "cpu"), "s", _FLOOR, cpu_ratio))
    for step, label in (("sync", "full, until the shard index is committed"), ("render", f"full, {DOCUMENT}")):
        figures.append(Figure("sync and publish", label, _of(full, step), "s", _FLOOR, ratio_of(_of(full, step), base)))
    later = _of(next_day, "sum")
    figures.append(
        Figure(
            "sync and publish",
            "next day",
            later,
            "s",
            _FULL,
            ratio_of(later, total),
            at_most(0.2, is_ratio=True),
            changed,
        )
    )
    for step, label in (("sync", "next day, until the shard index is committed"), ("render", f"next day, {DOCUMENT}")):
        ratio = ratio_of(_of(next_day, step), total)
        figures.append(Figure("sync and publish", label, _of(next_day, step), "s", _FULL, ratio))
    return figures


def _peaks(floor: Samples, plain: Samples, full: Samples, next_day: Samples) -> list[Figure]:
    base = [one["peak"] / 1e9 for one in floor]
    figures = [
        Figure("peak memory", "the floor", base, "GB"),
        Figure("peak memory", "plain json", [one["peak"] / 1e9 for one in plain], "GB"),
    ]
    for samples, day in ((full, "full"), (next_day, "next day")):
        for step in ("sync", "render"):
            peaks = [one[f"{step}_peak"] / 1e9 for one in samples]
            label = f"{day}, {step}"
            figures.append(Figure("peak memory", label, peaks, "GB", _FLOOR, ratio_of(peaks, base), at_most(1)))
    return figures

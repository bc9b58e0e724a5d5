"""Full sync and publish of 600,000 records, and the next day's, on one core, from an upstream over HTTP on another."""

import shutil
from contextlib import ExitStack
from typing import Any

from bench.peers import plain_files
from bench.scale import DOCUMENT, SUBDIR, place_day, scale_folder
from bench.timing import Bench, Figure, at_most, on_core, ratio_of, run_child
from tests.live import headgate

_WORK = "bench.sync_work"
_CHANNEL = "unapproved-conda"
_PATH = "sync and publish"
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
    folder, data = bench.folder("sync-upstream"), bench.scratch / f"sync-data-{number}"
    place_day(0, folder)
    answers = []
    with ExitStack() as stack:
        with on_core(bench.client_core):
            upstream = stack.enter_context(plain_files(bench, folder))
        made = headgate("init", "--data", data, "--upstream", upstream.url)
        assert made.returncode == 0, made.stderr
        for day in (0, 1):
            place_day(day, folder)
            answers.append(run_child(_WORK, "headgate", data, _CHANNEL, SUBDIR, core=bench.server_core))
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
        Figure(_PATH, "the floor", base, "s"),
        Figure(_PATH, "plain json", _of(plain, "sum"), "s", _FLOOR, ratio_of(_of(plain, "sum"), base)),
        Figure(_PATH, "full", total, "s", _FLOOR, ratio_of(total, base), at_most(3, is_ratio=True), names),
    ]
    floor_s, full_s = _of(floor, "sum", "cpu"), _of(full, "sum", "cpu")
    figures.append(Figure(_PATH, "the floor, processor time", floor_s, "s"))
    figures.append(Figure(_PATH, "full, processor time", full_s, "s", _FLOOR, ratio_of(full_s, floor_s)))
    for step, label in (("sync", "full, until the shard index is committed"), ("render", f"full, {DOCUMENT}")):
        figures.append(Figure(_PATH, label, _of(full, step), "s", _FLOOR, ratio_of(_of(full, step), base)))
    later = _of(next_day, "sum")
    figures.append(
        Figure(
            _PATH,
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
        figures.append(Figure(_PATH, label, _of(next_day, step), "s", _FULL, ratio))
    for step, label in (("sum", "next day, processor time"), ("sync", "next day, processor time without documents")):
        seconds = _of(next_day, step, "cpu")
        figures.append(Figure(_PATH, label, seconds, "s", _FULL, ratio_of(seconds, full_s)))
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

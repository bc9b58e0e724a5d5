"""Full sync and publish of 600,000 records, and the next day's, on one core, from an upstream over HTTP on another."""

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
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
    floor, plain, full, next_day, judged = Samples(), Samples(), Samples(), Samples(), Samples()
    for number in range(bench.runs):
        floor.append(run_child(_WORK, "floor", document, core=bench.server_core))
        first, second = follow(bench, f"sync-{number}", place_day)
        full.append(first)
        next_day.append(second)
        judged += follow(bench, f"judged-{number}", place_day, days=(0,), has_policy=True)
        if number == 0:  # the peer is slow, and steady
            plain.append(run_child(_WORK, "json", document, core=bench.server_core))
    return _times(floor, plain, full, next_day) + _judged(floor, judged) + _peaks(floor, plain, full, next_day)


def follow(
    bench: Bench,
    name: str,
    place: Callable[[int, Path], None],
    *,
    days: Sequence[int] = (0, 1),
    has_policy: bool = False,
) -> Samples:
    """A new data folder that follows an upstream for some days, each in a process of its own; `place` makes a folder that day."""
    folder, data = bench.folder(f"{name}-upstream"), bench.scratch / f"{name}-data"
    answers = []
    with ExitStack() as stack:
        with on_core(bench.client_core):
            upstream = stack.enter_context(plain_files(bench, folder))
        made = headgate("init", "--data", data, "--upstream", upstream.url)
        assert made.returncode == 0, made.stderr
        if has_policy:
            run_child(_WORK, "policy", data, _CHANNEL, core=bench.server_core)
        for day in days:
            place(day, folder)
            answers.append(run_child(_WORK, "headgate", data, _CHANNEL, SUBDIR, core=bench.server_core))
    shutil.rmtree(data)
    shutil.rmtree(folder)
    return answers


def next_day_figure(path: str, full: Samples, next_day: Samples) -> Figure:
    """What the next day takes, documents and all, against the first."""
    later, aim = of(next_day, "sum"), at_most(0.2, is_ratio=True)
    changed = f"{next_day[0]['changed']:,} names"
    return Figure(path, "next day", later, "s", _FULL, ratio_of(later, of(full, "sum")), aim, changed)


def of(samples: Samples, step: str, clock: str = "wall") -> list[float]:
    """Seconds of a step, or of both (`sum`), by one clock."""
    if step == "sum" and "sum" not in samples[0]:
        return [one["sync"][clock] + one["render"][clock] for one in samples]
    return [one[step][clock] for one in samples]


def _times(floor: Samples, plain: Samples, full: Samples, next_day: Samples) -> list[Figure]:
    base, total = of(floor, "sum"), of(full, "sum")
    names = f"{full[0]['changed']:,} names"
    figures = [
        Figure(_PATH, "the floor", base, "s"),
        Figure(_PATH, "plain json", of(plain, "sum"), "s", _FLOOR, ratio_of(of(plain, "sum"), base)),
        Figure(_PATH, "full", total, "s", _FLOOR, ratio_of(total, base), at_most(3, is_ratio=True), names),
    ]
    floor_s, full_s = of(floor, "sum", "cpu"), of(full, "sum", "cpu")
    figures.append(Figure(_PATH, "the floor, processor time", floor_s, "s"))
    figures.append(Figure(_PATH, "full, processor time", full_s, "s", _FLOOR, ratio_of(full_s, floor_s)))
    for step, label in (("sync", "full, until the shard index is committed"), ("render", f"full, {DOCUMENT}")):
        figures.append(Figure(_PATH, label, of(full, step), "s", _FLOOR, ratio_of(of(full, step), base)))
    figures.append(next_day_figure(_PATH, full, next_day))
    for step, label in (("sync", "next day, until the shard index is committed"), ("render", f"next day, {DOCUMENT}")):
        ratio = ratio_of(of(next_day, step), total)
        figures.append(Figure(_PATH, label, of(next_day, step), "s", _FULL, ratio))
    for step, label in (("sum", "next day, processor time"), ("sync", "next day, processor time without documents")):
        seconds = of(next_day, step, "cpu")
        figures.append(Figure(_PATH, label, seconds, "s", _FULL, ratio_of(seconds, full_s)))
    return figures


def _judged(floor: Samples, judged: Samples) -> list[Figure]:
    """With a policy attached before the first sync."""
    base, index, whole = of(floor, "sum"), of(judged, "sync"), of(judged, "sum")
    aim = at_most(3, is_ratio=True)
    return [
        Figure(_PATH, "full, past a policy, until the index is there", index, "s", _FLOOR, ratio_of(index, base), aim),
        Figure(_PATH, "full, past a policy", whole, "s", _FLOOR, ratio_of(whole, base)),
    ]


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

"""The channel of 600,000 records: two folders, one a day after the other."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.live import ROOT

SUBDIR = "linux-64"
DOCUMENT = "repodata.json.zst"
RECORDS = 600_000
LARGE = 1_000_000


class Absent(Exception):
    """What a benchmark needs is not on this machine; the text says what."""


def scale_folder() -> Path:
    """A folder with `day0` and `day1`: HEADGATE_SCALE, or made now (two minutes) and kept for the next time.

    Raises Absent when it has to be made and the tool for that is not there.
    """
    given = os.environ.get("HEADGATE_SCALE")
    folder = Path(given) if given else Path(tempfile.gettempdir()) / f"headgate-scale-{RECORDS}"
    for day in (0, 1):
        if not (folder / f"day{day}" / SUBDIR / DOCUMENT).exists():
            _make(folder / f"day{day}", day, RECORDS)
    return folder


def large_folder() -> Path:
    """A folder with the subdir of 1,000,000 records: `million` beside the days, or made now. Raises Absent likewise."""
    given = os.environ.get("HEADGATE_SCALE")
    folder = Path(given) / "million" if given else Path(tempfile.gettempdir()) / f"headgate-scale-{LARGE}"
    if not (folder / SUBDIR / DOCUMENT).exists():
        _make(folder, 0, LARGE)
    return folder


def _make(folder: Path, day: int, records: int) -> None:
    shared = Path(os.environ.get("HEADGATE_SHARED", ROOT.parent / "shared"))
    tool = shared / "tools" / "make_scale_channel.py"
    if not tool.exists():
        raise Absent("Set HEADGATE_SCALE to a folder with day0 and day1, or HEADGATE_SHARED to the tool's folder.")
    subprocess.run(
        [sys.executable, str(tool), str(folder), "--records", str(records), "--day", str(day)],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def place_day(day: int, channel: Path) -> None:
    """Make the folder `channel` an upstream that is at this day."""
    target = channel / SUBDIR / DOCUMENT
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    shutil.copy(scale_folder() / f"day{day}" / SUBDIR / DOCUMENT, part)
    part.replace(target)

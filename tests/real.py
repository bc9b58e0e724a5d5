"""Real data and the tools that make channels: a folder `shared` beside the project, or the one that HEADGATE_SHARED names."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("HEADGATE_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def find_shared(*parts: str) -> Path:
    """A folder of it; skips where there is none."""
    folder = SHARED.joinpath(*parts)
    if not folder.is_dir():
        pytest.skip(f"There is no folder of real data at {folder}; set HEADGATE_SHARED to where it is.")
    return folder

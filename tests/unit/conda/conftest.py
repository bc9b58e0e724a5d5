"""Real data, when it is there."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    beside = Path(__file__).resolve().parents[4] / "shared"
    data = Path(os.environ.get("HEADGATE_SHARED", beside)) / "data"
    if not data.is_dir():
        pytest.skip(f"The folder of real data is not at {data}; set HEADGATE_SHARED to where it is.")
    return data

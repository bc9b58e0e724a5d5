"""Two sides of a gap, each with a data folder; a fixture's own place is the near one."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headgate.bootstrap import Place, open_place
from tests.bundles import Side


@pytest.fixture
async def near(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[Side]:
    """Where bundles are made."""
    shutil.copytree(sqlite_template, tmp_path / "near")
    side = await Side.open(open_place(tmp_path / "near"), tmp_path / "K")
    yield side
    await side.services.close()


@pytest.fixture
async def far(place: Place, tmp_path: Path, near: Side) -> AsyncIterator[Side]:
    """Where they are taken in, on each backend."""
    side = await Side.open(place, tmp_path / "K")
    yield side
    await side.services.close()

"""Real data, when it is there."""

from pathlib import Path

import pytest

from tests.real import find_shared


@pytest.fixture(scope="session")
def shared() -> Path:
    return find_shared("data")

"""What processes that stay up do not load: it would be theirs to keep for good."""

import subprocess
import sys

import pytest

_LOADED = "import sys, headgate.{process}; print(*(one for one in {unwanted!r} if one in sys.modules))"


@pytest.mark.parametrize("process", ["worker", "asgi"])
def test_workers_load_neither_migrations_nor_the_command_line(process: str) -> None:
    command = _LOADED.format(process=process, unwanted=["alembic", "headgate.cli"])
    loaded = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []

"""Disks small enough to be filled."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(place: Path, size_bytes: int) -> Iterator[Path]:
    """A disk of that size, mounted at a folder; where none may be mounted, the test is skipped."""
    words = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("Filling a disk needs one that may be filled: only root, with CAP_SYS_ADMIN, can mount a tmpfs.")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)

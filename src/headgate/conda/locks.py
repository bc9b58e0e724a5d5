"""Lock files: which package files they name, as `subdir/filename` -> sha256 ("" when the lock does not say).

conda's explicit list is read here; conda-lock.yml and pixi.lock by py-rattler, all their environments and platforms.
What is not a conda package (PyPI's, sources) is passed over.
"""

import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from rattler import LockFile

from headgate.conda.names import ArtifactName, Subdir
from headgate.kernel.errors import Invalid

_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_EXPLICIT = "@EXPLICIT"


def read_lock(path: Path) -> dict[str, str]:
    """The files that a lock names. Raises Invalid `lock-invalid`, also when it names none."""
    try:
        text = path.read_text(encoding="utf-8")
        found = _explicit(text) if _EXPLICIT in text.splitlines() else _locked(path)
    except Invalid:
        raise
    except Exception as error:
        # py-rattler has no common error of its own.
        raise Invalid("lock-invalid", f"{path} is not a lock file that can be read: {error}.") from error
    if not found:
        raise Invalid("lock-invalid", f"{path} names no conda package.")
    return found


def _explicit(text: str) -> dict[str, str]:
    lines = (line.strip() for line in text.splitlines())
    found = {}
    for line in lines:
        if line and not line.startswith(("#", "@")):
            url, _, digest = line.partition("#")
            sha256 = _SHA256.fullmatch(digest)
            found[_place(url)] = sha256[1] if sha256 else ""
    return found


def _locked(path: Path) -> dict[str, str]:
    found = {}
    for _, environment in LockFile.from_path(path).environments():
        for packages in environment.packages_by_platform().values():
            for package in packages:
                if type(package).__name__ == "CondaLockedBinaryPackage":
                    sha256 = package.hashes.sha256 if package.hashes else None
                    found[_place(package.location)] = sha256.hex() if sha256 else ""
    return found


def _place(url: str) -> str:
    *_, subdir, filename = ("", "", *PurePosixPath(unquote(urlsplit(url).path)).parts)
    return f"{Subdir.parse(subdir)}/{ArtifactName.parse(filename)}"

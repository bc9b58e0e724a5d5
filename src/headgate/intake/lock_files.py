"""Which package files a lock file names, whatever kind of lock file it is: they all write the names out."""

import re

from headgate.conda.names import ArtifactName
from headgate.kernel.errors import Invalid

_FILE = re.compile(r"[A-Za-z0-9_.+!~-]+(?:\.conda|\.tar\.bz2)\b")


def files_named(text: str) -> set[str]:
    """The package files that a text names: `conda list --explicit`, conda-lock, pixi.lock, or one name a line.

    Raises Invalid `lock-file-empty` when it names none.
    """
    found = set()
    for word in _FILE.findall(text.replace("%21", "!").replace("%2B", "+")):
        try:
            found.add(ArtifactName.parse(word).filename)
        except Invalid:
            continue
    if not found:
        raise Invalid("lock-file-empty", "The text names no package file: no `.conda` and no `.tar.bz2`.")
    return found

"""The order of versions, per ecosystem: what a range of an advisory means there. Pure.

ecosystem                         order
PyPI                              PEP 440, through `packaging`
npm, crates.io, Go, Hex, Pub…     SemVer 2.0
conda, CRAN, Bioconductor, CPE    conda's own (a `-` of R counts as `_`)
GIT                               none: only listed tags count
others                            none: only listed versions count
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from packaging.version import InvalidVersion, Version

from headgate.advisories.statements import RangeKind
from headgate.conda.specs import version_key
from headgate.kernel.errors import Invalid

Key = Any
Parse = Callable[[str], Key | None]

_SEMVER = re.compile(
    r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?",
)
_TAG = re.compile(r"(?:[A-Za-z][A-Za-z0-9]*[-_/])*v?(\d.*)")
_CONDA_ORDERED = frozenset({"conda", "CRAN", "Bioconductor", "CPE"})
_SEMVER_ORDERED = frozenset({"npm", "crates.io", "Go", "Hex", "Pub", "SwiftURL", "GitHub Actions"})


@lru_cache(maxsize=131_072)
def _pep440(text: str) -> Key | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


@lru_cache(maxsize=65_536)
def _semver(text: str) -> Key | None:
    """Precedence of SemVer 2.0 §11; missing numbers count as 0, build metadata as nothing."""
    found = _SEMVER.fullmatch(text)
    if found is None:
        return None
    numbers = tuple(int(part or 0) for part in found.group(1, 2, 3))
    if found[4] is None:
        return (*numbers, 1, ())
    words = tuple((0, int(word), "") if word.isdigit() else (1, 0, word) for word in found[4].split("."))
    return (*numbers, 0, words)


@lru_cache(maxsize=65_536)
def _conda(text: str) -> Key | None:
    try:
        return version_key(text.replace("-", "_"))
    except Invalid:
        return None


@lru_cache(maxsize=65_536)
def _tag(text: str) -> Key | None:
    found = _TAG.fullmatch(text)
    return None if found is None else found[1].replace("_", ".").lower()


def _text(text: str) -> Key | None:
    return text


def order_of(ecosystem: str, kind: RangeKind | None = None) -> Parse | None:
    """What turns a version into a key that compares as the ecosystem compares; None: it has no order we know."""
    if kind is RangeKind.SEMVER:
        return _semver
    family = ecosystem.partition(":")[0]
    if family == "PyPI":
        return _pep440
    if family in _CONDA_ORDERED:
        return _conda
    return _semver if family in _SEMVER_ORDERED else None


def equality_of(ecosystem: str) -> Parse:
    """What turns a version into a key that is equal for versions that are the same release."""
    if ecosystem == "GIT":
        return _tag
    return order_of(ecosystem) or _text

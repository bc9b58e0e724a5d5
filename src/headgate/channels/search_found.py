"""What a search finds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Place:
    """A name in a channel. `held`: rule -> how many of its files policy holds back there."""

    channel: str
    version: str
    files: int
    newest_at: datetime | None
    licences: tuple[str, ...]
    subdirs: tuple[str, ...]
    held: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FoundPackage:
    """A name, with what the first channel says of it and where it is; `fit` 0 is the name itself."""

    name: str
    fit: int
    summary: str
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file, by its name or its digest."""

    channel: str
    subdir: str
    filename: str
    sha256: str


@dataclass(frozen=True, slots=True)
class FoundAdvisory:
    """An advisory, and the names here that it touches."""

    id: str
    aliases: tuple[str, ...]
    cvss: float | None
    severity: str | None
    is_known_exploited: bool
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hidden:
    """A name of which policy lets nothing, or not everything, into a channel: rule -> how many files."""

    channel: str
    name: str
    held: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Found:
    """What was found. `total` counts the packages; those shown are at most MOST."""

    packages: Sequence[FoundPackage] = ()
    files: Sequence[FoundFile] = ()
    advisories: Sequence[FoundAdvisory] = ()
    hidden: Sequence[Hidden] = ()
    total: int = 0

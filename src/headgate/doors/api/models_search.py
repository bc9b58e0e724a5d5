"""Answers of search."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

_PLACE: dict[str, Any] = {
    "channel": "conda-forge",
    "version": "2.4.1",
    "files": 120,
    "newest_at": "2026-11-01T12:00:00Z",
    "licences": ["BSD-3-Clause"],
    "subdirs": ["linux-64"],
    "held": {"no-known-cves/known-advisory": 3},
}


class PlaceAnswer(BaseModel):
    """A name in a channel; `held`: policy/rule -> how many of its files are held back there."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [_PLACE]})

    channel: str
    version: str = Field(description="The newest one.")
    files: int
    newest_at: datetime | None
    licences: list[str]
    subdirs: list[str]
    held: dict[str, int]


class FoundPackageAnswer(BaseModel):
    """A name, and where it is."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    summary: str
    places: list[PlaceAnswer]


class FoundFileAnswer(BaseModel):
    """A file, by its name or its sha256."""

    model_config = ConfigDict(from_attributes=True)

    channel: str
    subdir: str
    filename: str
    sha256: str


class FoundAdvisoryAnswer(BaseModel):
    """An advisory, and the names that it touches in the channels one may read."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    aliases: list[str]
    cvss: float | None
    severity: str | None
    is_known_exploited: bool
    names: list[str]


class HiddenAnswer(BaseModel):
    """A name of which policy holds something back; `held`: policy/rule -> how many files."""

    model_config = ConfigDict(from_attributes=True)

    channel: str
    name: str
    held: dict[str, int]


class FoundAnswer(BaseModel):
    """What was found; `total` counts the packages, of which one page is shown."""

    model_config = ConfigDict(from_attributes=True)

    packages: list[FoundPackageAnswer]
    files: list[FoundFileAnswer]
    advisories: list[FoundAdvisoryAnswer]
    hidden: list[HiddenAnswer]
    total: int

"""Curations: what somebody says of an advisory and some records, and which of several counts. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from functools import lru_cache

from rattler import VersionSpec
from rattler.exceptions import InvalidVersionSpecError

from headgate.advisories.findings import AdvisoryStatus
from headgate.conda.records import RecordView
from headgate.conda.specs import version_key
from headgate.kernel.errors import Invalid


@dataclass(frozen=True, slots=True)
class Curation:
    """One statement on an advisory. Selectors that are None fit every record; `feed` None: it was made here."""

    id: int
    advisory: str
    status: AdvisoryStatus
    author: str
    created_at: datetime
    revision: int
    name: str | None = None
    version: str | None = None
    build: str | None = None
    sha256: str | None = None
    justification: str | None = None
    note: str | None = None
    score: float | None = None
    feed: str | None = None
    key: str = ""
    expires_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None

    @property
    def names_records(self) -> bool:
        """Whether it says which package it means, and so may add what no feed knows."""
        return self.name is not None

    @property
    def rank(self) -> tuple[bool, int, datetime, int]:
        """The highest counts: ours before others', the narrower before the wider, the newer before the older."""
        narrow = 8 * (self.sha256 is not None) + 4 * (self.build is not None) + 2 * (self.version is not None)
        return self.feed is None, narrow + (self.name is not None), self.created_at, self.id

    def fits(self, record: RecordView) -> bool:
        """Whether it speaks of the record, in either form."""
        if self.name is not None and self.name != record.get("name"):
            return False
        if self.sha256 is not None:
            digest = record.get("sha256")
            if self.sha256 != (digest.hex() if isinstance(digest, bytes) else digest):
                return False
        if self.build is not None and not fnmatchcase(str(record.get("build", "")), self.build):
            return False
        return self.version is None or _is_within(self.version, str(record.get("version", "")))


def decide(curations: Iterable[Curation], record: RecordView) -> Curation | None:
    """The one that counts for a record."""
    return max((one for one in curations if one.fits(record)), key=lambda one: one.rank, default=None)


@lru_cache(maxsize=4_096)
def read_versions(text: str) -> VersionSpec:
    """A range such as `>=1.0,<2`, as match specs have it. Raises Invalid `match-spec-invalid`."""
    try:
        return VersionSpec(text)
    except (InvalidVersionSpecError, ValueError, TypeError) as error:
        raise Invalid("match-spec-invalid", f"{text[:200]!r} is not a range of versions: {error}.") from error


@lru_cache(maxsize=65_536)
def _is_within(versions: str, version: str) -> bool:
    try:
        return read_versions(versions).matches(version_key(version))
    except Invalid:
        return False

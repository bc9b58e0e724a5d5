"""What advisories say of one record: the words that policies decide by. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from headgate.conda.records import RecordView


class AdvisoryStatus(StrEnum):
    """How an advisory stands with a record. Stored: these words never change."""

    REPORTED = "reported"
    ACTIVE = "active"
    MITIGATED = "mitigated"
    CLEARED = "cleared"
    DISPUTED = "disputed"
    UNKNOWN = "unknown"


class Sureness(StrEnum):
    """How sure it is that a record is the package that an advisory names."""

    EXACT = "exact"
    """A purl in the record, or an identity that somebody set."""
    LIKELY = "likely"
    """The name mapping."""
    GUESSED = "guessed"
    """A source URL, or one of several names in the mapping."""


HARMLESS = frozenset({AdvisoryStatus.MITIGATED, AdvisoryStatus.CLEARED})


@dataclass(frozen=True, slots=True)
class Finding:
    """One advisory that affects one record."""

    advisory: str
    """The canonical id: the CVE when there is one, else GHSA, PYSEC, MAL…"""
    aliases: tuple[str, ...]
    status: AdvisoryStatus
    """After curation; `reported` when nobody said anything."""
    cvss: float | None
    """The base score of the highest CVSS version, after overrides."""
    severity: str | None
    """none, low, medium, high or critical."""
    epss: float | None
    is_known_exploited: bool
    """Listed by CISA as exploited (KEV)."""
    is_malicious: bool
    """An OpenSSF MAL record."""
    is_curated: bool
    sureness: Sureness
    why: str
    """One sentence: which identity, which range."""


class Coverage(StrEnum):
    """Whether anything could be known of a record."""

    CHECKED = "checked"
    NOT_CHECKED = "not-checked"


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is known of one record; `why` says what it was checked against, or why it was not."""

    coverage: Coverage
    why: str
    findings: tuple[Finding, ...] = ()

    @property
    def is_affected(self) -> bool:
        """Whether any finding stands: neither mitigated nor cleared."""
        return any(finding.status not in HARMLESS for finding in self.findings)


class Assessments(Protocol):
    """Assesses the records of one package name at a time."""

    def digest(self, name: str) -> bytes:
        """Changes exactly when an assessment of this name may change."""

    def assess(self, name: str, records: Mapping[str, RecordView]) -> Mapping[str, Assessment]:
        """File name -> assessment, of records in wire form."""

    def usual(self, name: str) -> Assessment | None:
        """The assessment of every record of this name that brings no purls; None: it depends on the record."""

    def newest_feed_at(self) -> datetime | None:
        """When a feed was last read with success; None: never."""

"""What is known of a record's vulnerabilities, as the gate asks for it: plain values, and the book that gives them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from headgate.conda.records import Record


class AdvisoryStatus(StrEnum):
    """Where an advisory stands for a record. Stored."""

    REPORTED = "reported"
    ACTIVE = "active"
    MITIGATED = "mitigated"
    CLEARED = "cleared"
    DISPUTED = "disputed"
    UNKNOWN = "unknown"


class Sureness(StrEnum):
    """How a record was matched to an advisory's package."""

    EXACT = "exact"
    """By a purl or a curated identity."""
    LIKELY = "likely"
    """By the mapping of names."""
    GUESSED = "guessed"
    """By its source URL."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One advisory that affects one record."""

    advisory: str
    """Its canonical id: the CVE when there is one, else GHSA, PYSEC, MAL…"""
    aliases: tuple[str, ...]
    status: AdvisoryStatus
    """After curation; `reported` when nobody said anything."""
    cvss: float | None
    """The base score of the highest CVSS version, after overrides."""
    severity: str | None
    """none, low, medium, high or critical."""
    epss: float | None
    is_known_exploited: bool
    """Listed in CISA's KEV."""
    is_malicious: bool
    """One of OpenSSF's MAL records."""
    is_curated: bool
    sureness: Sureness
    why: str
    """One sentence: which identity, which range."""


class Coverage(StrEnum):
    """Whether anybody looked."""

    CHECKED = "checked"
    NOT_CHECKED = "not-checked"


_AFFECTING = frozenset(
    {AdvisoryStatus.REPORTED, AdvisoryStatus.ACTIVE, AdvisoryStatus.DISPUTED, AdvisoryStatus.UNKNOWN}
)


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is known of one record; `why` says, for instance, "no identity" or "no feed covers pkg:generic"."""

    coverage: Coverage
    why: str
    findings: tuple[Finding, ...] = ()

    @property
    def is_affected(self) -> bool:
        """True when a finding has a status that does not clear the record."""
        return any(finding.status in _AFFECTING for finding in self.findings)


class Assessments(Protocol):
    """Everything known, asked name by name."""

    def digest(self, name: str) -> bytes:
        """Changes exactly when an assessment of this name may change."""
        ...

    def assess(self, name: str, records: Mapping[str, Record]) -> Mapping[str, Assessment]:
        """File name -> assessment, of records in wire form."""
        ...

    def newest_feed_at(self) -> datetime | None:
        """When the newest feed was read; None when none ever was."""
        ...

"""Records against advisories: one pure function over what is known at one moment.

For each record: its identities (`identities.py`), for each of them the advisories that name it, for each advisory
whether the version is in it (`matching.py`), and at last what curations say of what was found.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from headgate.advisories.curations import Curation, decide
from headgate.advisories.findings import (
    HARMLESS,
    AdvisoryStatus,
    Assessment,
    Coverage,
    Finding,
    Sureness,
)
from headgate.advisories.identities import Identity, NameRows, Origin, choose, from_purls, identities_of, purls_of
from headgate.advisories.matching import Matcher
from headgate.advisories.purls import Package
from headgate.advisories.scoring import severity_of
from headgate.advisories.statements import unpack_affected
from headgate.advisories.versions import equality_of
from headgate.conda.records import RecordView

_SURENESS = (Sureness.EXACT, Sureness.LIKELY, Sureness.GUESSED)


# There are hundreds of thousands of these: without the collector's heads and dictionaries of one they take half.
class Brief(msgspec.Struct, frozen=True, gc=False):
    """What findings say of an advisory; `digest` changes with anything it says."""

    id: str
    aliases: tuple[str, ...]
    cvss: float | None
    severity: str | None
    epss: float | None
    is_known_exploited: bool
    is_malicious: bool
    digest: bytes


class Naming(msgspec.Struct, frozen=True, gc=False):
    """An advisory that names a package: its id, and the packed `Affected`s that say which versions."""

    advisory: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Everything assessments are made of; never changed in place."""

    names: Mapping[str, NameRows] = field(default_factory=dict)
    affected: Mapping[Package, tuple[Naming, ...]] = field(default_factory=dict)
    briefs: Mapping[str, Brief] = field(default_factory=dict)
    canonical: Mapping[str, str] = field(default_factory=dict)
    ecosystems: frozenset[str] = frozenset()
    curations_of_name: Mapping[str, Sequence[Curation]] = field(default_factory=dict)
    curations_of_advisory: Mapping[str, Sequence[Curation]] = field(default_factory=dict)
    newest_feed_at: datetime | None = None
    feeds: Mapping[str, datetime | None] = field(default_factory=dict)

    def covers(self, package: Package) -> bool:
        """Whether a feed speaks of the package's ecosystem, or of the package itself."""
        return bool(package.name) and (package.ecosystem in self.ecosystems or package in self.affected)

    def digest(self, name: str) -> bytes:
        """Of all that an assessment of this name depends on, but the records themselves."""
        state = hashlib.blake2b(digest_size=16)
        advisories: set[str] = set()
        for identity in self._all_identities(name):
            state.update(repr((identity, self.covers(identity.package))).encode())
            for advisory in sorted(one.advisory for one in self.affected.get(identity.package, ())):
                advisories.add(advisory)
                state.update(self.briefs[advisory].digest)
        own = self.curations_of_name.get(name, ())
        general = (one for advisory in sorted(advisories) for one in self._general(advisory))
        state.update(repr([(one.id, one.revision) for one in (*own, *general)]).encode())
        for one in own:
            brief = self.briefs.get(self.canonical.get(one.advisory, one.advisory))
            state.update(b"" if brief is None else brief.digest)
        return state.digest()

    def assess(self, name: str, records: Mapping[str, RecordView]) -> dict[str, Assessment]:
        """File name -> assessment."""
        said = [one for one in self._all_identities(name) if one.origin is not Origin.PURL]
        usual: _Plan | None = None
        found: dict[str, Assessment] = {}
        for filename, record in records.items():
            purls = purls_of(record)
            if purls:
                plan = _Plan(self, name, choose([*said, *from_purls(purls)]))
            else:
                plan = usual = usual or _Plan(self, name, choose(said))
            found[filename] = plan.assess(record)
        return found

    def touching(self, name: str) -> frozenset[str]:
        """Ids of the advisories that name what a conda name is said to be, whatever its versions."""
        identities = self._all_identities(name)
        return frozenset(one.advisory for own in identities for one in self.affected.get(own.package, ()))

    def usual(self, name: str) -> Assessment | None:
        """The assessment of every record without purls, where nothing else about the record counts."""
        if self.curations_of_name.get(name):
            return None
        said = choose([one for one in self._all_identities(name) if one.origin is not Origin.PURL])
        covered = [one for one in said if self.covers(one.package)]
        if any(self.affected.get(one.package) for one in covered):
            return None
        return _clear(covered) if covered else _unchecked(name, said)

    def query(self, package: Package, version: str | None) -> list[str]:
        """Ids of the advisories that affect a version of an upstream package; None: any version."""
        return [
            naming.advisory
            for naming in self.affected.get(package, ())
            if version is None or any(one.why(version, {}) for one in _matchers(naming.body))
        ]

    def _all_identities(self, name: str) -> tuple[Identity, ...]:
        own = Identity(Package("conda", name), Origin.CURATED, Sureness.EXACT)
        return (own, *identities_of(name, self.names.get(name, ())))

    def _general(self, advisory: str) -> Sequence[Curation]:
        brief = self.briefs.get(advisory)
        ids = (advisory,) if brief is None else (advisory, *brief.aliases)
        return [one for known in ids for one in self.curations_of_advisory.get(known, ())]

    def curations(self, name: str, advisory: str) -> list[Curation]:
        """Those that speak of an advisory, by any of its ids, with this name or with any."""
        own = self.curations_of_name.get(name, ())
        same = [one for one in own if self.canonical.get(one.advisory, one.advisory) == advisory]
        return [*same, *self._general(advisory)]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An advisory that names one of a record's identities."""

    identity: Identity
    brief: Brief
    matchers: tuple[Matcher, ...]
    curations: tuple[Curation, ...]


class _Plan:
    """How to assess records of one name that have the same identities."""

    def __init__(self, knowledge: Knowledge, name: str, identities: Sequence[Identity]) -> None:
        self._name = name
        covered = [one for one in identities if knowledge.covers(one.package)]
        self._candidates = [one for identity in covered for one in _candidates(knowledge, name, identity)]
        self._named = _named(knowledge, name)
        self._ecosystems = {one.identity.package.ecosystem for one in self._candidates}
        self._clear = _clear(covered) if covered else _unchecked(name, identities)
        self._remembered: dict[str, Assessment] = {}
        self._is_by_version = not self._named and not any(
            one.curations or any(matcher.knows_builds for matcher in one.matchers) for one in self._candidates
        )

    def assess(self, record: RecordView) -> Assessment:
        """The assessment of one record."""
        if not self._candidates and not self._named:
            return self._clear
        version = str(record.get("version", ""))
        if not self._is_by_version:
            return self._assess(version, record)
        known = self._remembered.get(version)
        if known is None:
            known = self._remembered[version] = self._assess(version, record)
        return known

    def _assess(self, version: str, record: RecordView) -> Assessment:
        findings: dict[str, Finding] = {}
        for one in self._candidates:
            earlier = findings.get(one.brief.id)
            if earlier is not None and _SURENESS.index(earlier.sureness) <= _SURENESS.index(one.identity.sureness):
                continue
            why = next((why for matcher in one.matchers if (why := matcher.why(version, record))), None)
            if why is not None:
                findings[one.brief.id] = _curated(_finding(one, why), one.curations, record)
        for brief, curations in self._named:
            said = None if brief.id in findings else decide(curations, record)
            if said is not None and said.names_records and said.status not in HARMLESS:
                findings[brief.id] = _curated(_bare(brief, said), curations, record)
        if findings:
            return replace(self._clear, coverage=Coverage.CHECKED, findings=tuple(findings.values()))
        return self._clear if self._is_readable(version) else _unreadable(version, self._ecosystems)

    def _is_readable(self, version: str) -> bool:
        return not self._ecosystems or any(equality_of(one)(version) is not None for one in self._ecosystems)


def _candidates(knowledge: Knowledge, name: str, identity: Identity) -> Iterator[_Candidate]:
    for one in knowledge.affected.get(identity.package, ()):
        curations = tuple(knowledge.curations(name, one.advisory))
        yield _Candidate(identity, knowledge.briefs[one.advisory], _matchers(one.body), curations)


@lru_cache(maxsize=8_192)
def _matchers(body: bytes) -> tuple[Matcher, ...]:
    return tuple(Matcher(one) for one in unpack_affected(body))


def _named(knowledge: Knowledge, name: str) -> list[tuple[Brief, list[Curation]]]:
    """The advisories that curations name together with this package, whether or not a feed does."""
    found: dict[str, list[Curation]] = {}
    for one in knowledge.curations_of_name.get(name, ()):
        found.setdefault(knowledge.canonical.get(one.advisory, one.advisory), []).append(one)
    empty: dict[str, Any] = dict.fromkeys(("cvss", "severity", "epss"))
    return [
        (knowledge.briefs.get(advisory) or Brief(advisory, (), **empty, is_known_exploited=False,
                                                 is_malicious=advisory.startswith("MAL-"), digest=b""), curations)
        for advisory, curations in found.items()
    ]  # fmt: skip


def _finding(one: _Candidate, why: str) -> Finding:
    brief, identity = one.brief, one.identity
    return Finding(
        advisory=brief.id,
        aliases=brief.aliases,
        status=AdvisoryStatus.REPORTED,
        cvss=brief.cvss,
        severity=brief.severity,
        epss=brief.epss,
        is_known_exploited=brief.is_known_exploited,
        is_malicious=brief.is_malicious,
        is_curated=False,
        sureness=identity.sureness,
        why=f"It is {identity.why}; {why}.",
    )


def _bare(brief: Brief, said: Curation) -> Finding:
    return Finding(
        advisory=brief.id,
        aliases=brief.aliases,
        status=said.status,
        cvss=brief.cvss,
        severity=brief.severity,
        epss=brief.epss,
        is_known_exploited=brief.is_known_exploited,
        is_malicious=brief.is_malicious,
        is_curated=True,
        sureness=Sureness.EXACT,
        why=f"A curation of {said.author} names it.",
    )


def _curated(finding: Finding, curations: Iterable[Curation], record: RecordView) -> Finding:
    said = decide(curations, record)
    if said is None:
        return finding
    cvss = finding.cvss if said.score is None else said.score
    severity = finding.severity if said.score is None else severity_of(said.score)
    return replace(finding, status=said.status, cvss=cvss, severity=severity, is_curated=True)


def _clear(covered: Sequence[Identity]) -> Assessment:
    shown = "; ".join(one.why for one in covered[:3])
    return Assessment(Coverage.CHECKED, f"Checked as {shown}{' and others' if len(covered) > 3 else ''}.")


def _unchecked(name: str, identities: Sequence[Identity]) -> Assessment:
    known = [one for one in identities if one.package.name and one.package.ecosystem != "conda"]
    if known:
        shown = ", ".join(sorted({str(one.package) for one in known})[:3])
        return Assessment(Coverage.NOT_CHECKED, f"No feed covers {shown}.")
    if any(not one.package.name for one in identities):
        return Assessment(Coverage.NOT_CHECKED, f"{name} is known to be no package of an ecosystem that feeds cover.")
    return Assessment(Coverage.NOT_CHECKED, f"It is not known which upstream package {name} is.")


def _unreadable(version: str, ecosystems: Iterable[str]) -> Assessment:
    shown = " or ".join(sorted(ecosystems))
    return Assessment(Coverage.NOT_CHECKED, f"Version {version} cannot be read in the order of {shown}.")

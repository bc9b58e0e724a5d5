"""Filters, applied: which records of a shard pass, and why the others do not. Pure.

    exclude_specs (but include_specs) -> only_specs (but dependencies) -> licences -> dates -> only_signed -> dedupe

The first that says no is the reason. `dedupe` comes last: a `.conda` that does not pass itself hides no `.tar.bz2`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from rattler import MatchSpec

from headgate.channels.filters import FilterSettings
from headgate.conda.licences import expression_of, families_of, is_satisfied, normal
from headgate.conda.records import Record, build_time_ms
from headgate.conda.shards import Shard
from headgate.conda.specs import matches, parse_spec
from headgate.kernel import clock


class Cause(StrEnum):
    """Which filter held a record back."""

    SUBDIRS = "subdirs"
    EXCLUDE_SPECS = "exclude_specs"
    ONLY_SPECS = "only_specs"
    LICENSE = "license"
    DATE = "date"
    SIGNED = "signed"
    DUPLICATED_LEGACY_CONDA = "duplicated_legacy_conda"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a record does not pass: the filter, and a sentence."""

    cause: Cause
    sentence: str


@dataclass(frozen=True, slots=True)
class Known:
    """What of a subdir a shard does not say: files that others depend on, and files that somebody vouches for.

    `signed`: files with a signature, a verified one where signatures are checked. `attested`: files with a verified
    attestation; None where they are not checked, so that a record's claim suffices. `demands`: of `signature` and
    `attestation`, what a file must have.
    """

    dependencies: Collection[str] = frozenset()
    signed: Collection[str] = frozenset()
    attested: Collection[str] | None = None
    demands: Collection[str] = frozenset()


Specs = Mapping[str, Sequence[tuple[str, MatchSpec]]]


def by_name(texts: Sequence[str]) -> Specs:
    """Match specs, with their texts, by the package they name. Raises Invalid `match-spec-invalid`."""
    found: dict[str, list[tuple[str, MatchSpec]]] = {}
    for text in texts:
        spec = parse_spec(text)
        found.setdefault(spec.name.normalized, []).append((text, spec))
    return found


@dataclass(slots=True)
class Sifted:
    """A shard's part that passes, and the reason of every file that does not."""

    passed: Shard
    held_back: dict[str, Reason] = field(default_factory=dict)


class Sieve:
    """Filters, compiled once for many shards."""

    def __init__(self, filters: FilterSettings) -> None:
        self.filters = filters
        self._only = by_name(filters.only_specs)
        self._exclude = by_name(filters.exclude_specs)
        self._include = by_name(filters.include_specs)
        self._included_licences = frozenset(map(normal, filters.include_licenses))
        self._excluded_licences = frozenset(map(normal, filters.exclude_licenses))
        self._from_ms = None if filters.date_from is None else _midnight_ms(filters.date_from)
        self._to_ms = None if filters.date_to is None else _midnight_ms(filters.date_to + timedelta(days=1))

    def sift(self, name: str, shard: Shard, known: Known) -> Sifted:
        """Divide the shard of package `name` into what passes and what is held back."""
        held_back: dict[str, Reason] = {}
        specs = (self._only.get(name, ()), self._exclude.get(name, ()), self._include.get(name, ()))
        for filename, record in shard.records():
            reason = self._reason(filename, record, specs, known)
            if reason is not None:
                held_back[filename] = reason
        if self.filters.dedupe_conda_legacy:
            self._dedupe(shard, held_back)
        return Sifted(_without(shard, held_back) if held_back else shard, held_back)

    def _reason(
        self,
        filename: str,
        record: Record,
        specs: tuple[Sequence[tuple[str, MatchSpec]], ...],
        known: Known,
    ) -> Reason | None:
        only, exclude, include = specs
        excluded = next((text for text, spec in exclude if matches(spec, record)), None)
        if excluded is not None and not any(matches(spec, record) for _, spec in include):
            return Reason(Cause.EXCLUDE_SPECS, f"{excluded} is excluded.")
        is_wanted = not self._only or filename in known.dependencies
        if not is_wanted and not any(matches(spec, record) for _, spec in only):
            return Reason(Cause.ONLY_SPECS, "It is none of those asked for.")
        return self._licence_reason(record) or self._date_reason(record) or self._signed_reason(filename, record, known)

    def _licence_reason(self, record: Record) -> Reason | None:
        included, excluded = self._included_licences, self._excluded_licences
        if not (included or excluded):
            return None
        expression = expression_of(record)
        is_good = (
            (lambda one: _is_included(one, included)) if included else (lambda one: not _is_excluded(one, excluded))
        )
        if is_satisfied(expression, is_good):
            return None
        what = "is not included" if included else "is excluded"
        return Reason(Cause.LICENSE, f"Its licence, {expression or 'none'}, {what}.")

    def _date_reason(self, record: Record) -> Reason | None:
        if self._from_ms is None and self._to_ms is None:
            return None
        built_ms = build_time_ms(record)
        if built_ms is None:
            return Reason(Cause.DATE, "It does not say when it was built.")
        if self._from_ms is not None and built_ms < self._from_ms:
            return Reason(Cause.DATE, f"It was built before {self.filters.date_from}, on {_day(built_ms)}.")
        if self._to_ms is not None and built_ms >= self._to_ms:
            return Reason(Cause.DATE, f"It was built after {self.filters.date_to}, on {_day(built_ms)}.")
        return None

    def _signed_reason(self, filename: str, record: Record, known: Known) -> Reason | None:
        if not (self.filters.only_signed or known.demands):
            return None
        is_signed = filename in known.signed
        is_attested = bool(record.get("attestations_sha256")) if known.attested is None else filename in known.attested
        if "signature" in known.demands and not is_signed:
            return Reason(Cause.SIGNED, "It has no verified signature.")
        if "attestation" in known.demands and not is_attested:
            return Reason(Cause.SIGNED, "It has no verified attestation.")
        if self.filters.only_signed and not (is_signed or is_attested):
            return Reason(Cause.SIGNED, "It carries no signature.")
        return None

    def _dedupe(self, shard: Shard, held_back: dict[str, Reason]) -> None:
        names = {filename for filename, _ in shard.records()}
        for filename in names - held_back.keys():
            twin = f"{filename.removesuffix('.tar.bz2')}.conda"
            if filename.endswith(".tar.bz2") and twin in names and twin not in held_back:
                held_back[filename] = Reason(Cause.DUPLICATED_LEGACY_CONDA, f"{twin} is the same package.")


def _is_included(licence: str, listed: frozenset[str]) -> bool:
    """Whether the list has the licence by its name, or a family that it may be taken as."""
    return normal(licence) in listed or not families_of(licence).isdisjoint(listed)


def _is_excluded(licence: str, listed: frozenset[str]) -> bool:
    """Whether the list has the licence by its name, or every family that it may be taken as."""
    return normal(licence) in listed or families_of(licence) <= listed


def _without(shard: Shard, held_back: Collection[str]) -> Shard:
    return Shard(
        packages={file: record for file, record in shard.packages.items() if file not in held_back},
        conda={file: record for file, record in shard.conda.items() if file not in held_back},
        v3={
            group: {stem: record for stem, record in records.items() if f"{stem}.{group}" not in held_back}
            for group, records in shard.v3.items()
        },
        removed=shard.removed,
    )


def _midnight_ms(day: date) -> int:
    return clock.to_ms(datetime.combine(day, time(), UTC))


def _day(built_ms: int) -> str:
    return f"{clock.from_ms(built_ms):%Y-%m-%d}"

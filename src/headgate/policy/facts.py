"""What the gate is told besides the records themselves."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol

from headgate.advisories.findings import Assessment, Assessments, Coverage
from headgate.conda.records import RecordView
from headgate.conda.shards import Shard
from headgate.policy.proofs import Proofs


class NothingKnown:
    """The book of advisories of a server that has none: nothing was checked."""

    _ASSESSMENT = Assessment(Coverage.NOT_CHECKED, "no advisories were imported")

    def digest(self, name: str) -> bytes:
        """The same for every name, for ever."""
        return b""

    def assess(self, name: str, records: Mapping[str, RecordView]) -> Mapping[str, Assessment]:
        """Nothing was checked."""
        return dict.fromkeys(records, self._ASSESSMENT)

    def usual(self, name: str) -> Assessment:
        """The same for every record."""
        return self._ASSESSMENT

    def newest_feed_at(self) -> datetime | None:
        """Never."""
        return None


NOTHING_KNOWN = NothingKnown()


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """Where a record came from: `mirror`, `hosted` (an upload), `bundle` or `virtual`, and the name of that place.

    `source` is the id of the mirror that brought it.
    """

    kind: str
    name: str
    source: int = 0


UPLOAD = Origin("hosted", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of one package name in one subdir of one channel.

    `origins`, `about` (what the archive showed, of files that were read here), `signatures` and `attestations` are keyed
    by file name; `origin` speaks for the files that `origins` leaves out. `owner`: the hosted channel that has the name
    reserved. `said`: by source, which install scripts upstream says that the package brings, as CEP 38's flags.
    """

    name: str
    origin: Origin = UPLOAD
    origins: Mapping[str, Origin] = field(default_factory=dict)
    about: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    signatures: Proofs = field(default_factory=dict)
    attestations: Proofs = field(default_factory=dict)
    owner: str | None = None
    said: Mapping[int, frozenset[str]] = field(default_factory=dict)
    book: Assessments = NOTHING_KNOWN

    def origin_of(self, filename: str) -> Origin:
        """Where a file's record came from."""
        return self.origins.get(filename, self.origin)

    def said_of(self, filename: str) -> frozenset[str] | None:
        """The install scripts that upstream says a file's package brings; None: it says nothing."""
        return self.said.get(self.origin_of(filename).source)


class Siblings(Protocol):
    """All files of one shard, as far as a rule on one of them asks."""

    @property
    def versions(self) -> Collection[str]:
        """The versions that occur."""

    def has(self, filename: str) -> bool:
        """Whether there is a file of that name."""


class ShardSiblings:
    """Those of a shard at hand."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard

    @cached_property
    def versions(self) -> Collection[str]:
        """The versions that occur."""
        return frozenset({str(record.get("version")) for _, record in self._shard.records()})

    def has(self, filename: str) -> bool:
        """Whether there is a file of that name."""
        return self._shard.find(filename) is not None


@dataclass(frozen=True, slots=True)
class Case:
    """One record before the rules, whether or not its siblings pass; the moment is `now_ms`."""

    filename: str
    record: RecordView
    siblings: Siblings
    facts: Facts
    assessment: Assessment
    now_ms: int

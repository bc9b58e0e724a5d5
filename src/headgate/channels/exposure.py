"""How a channel stands with the advisories: what is affected, what was checked, what nobody can tell.

Each name is assessed once per shard and per digest of what is known of it; a later question only pays for changes.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from headgate.advisories.book import AdvisoryBook
from headgate.advisories.findings import HARMLESS, Coverage, Finding
from headgate.channels.maps import Maps
from headgate.channels.model import Channel, SubdirState
from headgate.channels.shards import read_shards
from headgate.conda.shards import decode_stored
from headgate.db.engine import Database

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Exposed:
    """A file with what affects it."""

    subdir: str
    name: str
    filename: str
    sha256: str | None
    findings: tuple[Finding, ...]

    @property
    def is_affected(self) -> bool:
        """Whether a finding stands."""
        return any(one.status not in HARMLESS for one in self.findings)


@dataclass(slots=True)
class SubdirCoverage:
    """Files of a subdir: affected, checked and not affected, not checked; and why they were not checked."""

    subdir: str
    affected: int = 0
    not_affected: int = 0
    not_checked: int = 0
    advisories: set[str] = field(default_factory=set)
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Known:
    shard: bytes
    digest: bytes
    affected: int
    checked: int
    unchecked: int
    reason: str
    exposed: tuple[Exposed, ...]


class Exposure:
    """Assesses channels."""

    def __init__(self, database: Database, maps: Maps, book: AdvisoryBook) -> None:
        self._database = database
        self._maps = maps
        self._book = book
        self._known: dict[int, dict[str, _Known]] = {}
        self._locks: dict[int, asyncio.Lock] = {}

    async def coverage(self, channel: Channel) -> list[SubdirCoverage]:
        """A row per subdir, by name."""
        found: list[SubdirCoverage] = []
        for name, state in sorted(channel.subdirs.items()):
            row = SubdirCoverage(name)
            for one in (await self._assess(state)).values():
                row.affected += one.affected
                row.not_affected += one.checked - one.affected
                row.not_checked += one.unchecked
                if one.reason:
                    row.reasons[_kind_of(one.reason)] += one.unchecked
                row.advisories.update(f.advisory for e in one.exposed if e.is_affected for f in e.findings)
            found.append(row)
        return found

    async def iter_affected(self, channel: Channel, subdir: str | None = None) -> AsyncIterator[Exposed]:
        """Files with findings, those that curations made harmless included; by subdir, name and file."""
        for name, state in sorted(channel.subdirs.items()):
            if subdir in {None, name}:
                known = await self._assess(state)
                for package in sorted(known):
                    for one in known[package].exposed:
                        yield one

    async def _assess(self, state: SubdirState) -> Mapping[str, _Known]:
        async with self._locks.setdefault(state.id, asyncio.Lock()):
            digests = (await self._maps.get(state)).digests
            known = self._known.get(state.id, {})
            fresh = {name: known[name] for name, shard in digests.items() if self._holds(known.get(name), name, shard)}
            stale = [name for name in digests if name not in fresh]
            for start in range(0, len(stale), _BATCH):
                some = {name: digests[name] for name in stale[start : start + _BATCH]}
                async with self._database.read() as connection:
                    bodies = await read_shards(connection, some.values())
                fresh |= await asyncio.to_thread(self._read, state.name, some, bodies)
            self._known[state.id] = fresh
            return fresh

    def _holds(self, known: _Known | None, name: str, shard: bytes) -> bool:
        return known is not None and known.shard == shard and known.digest == self._book.digest(name)

    def _read(self, subdir: str, names: Mapping[str, bytes], bodies: Mapping[bytes, bytes]) -> dict[str, _Known]:
        return {
            name: self._read_one(subdir, name, shard, bodies[shard]) for name, shard in names.items() if shard in bodies
        }

    def _read_one(self, subdir: str, name: str, shard: bytes, body: bytes) -> _Known:
        digest = self._book.digest(name)
        records = dict(decode_stored(body).records())
        assessments = self._book.assess(name, records)
        exposed = tuple(
            Exposed(subdir, name, filename, _hex(records[filename].get("sha256")), one.findings)
            for filename, one in sorted(assessments.items())
            if one.findings
        )
        unchecked = [one for one in assessments.values() if one.coverage is Coverage.NOT_CHECKED]
        return _Known(
            shard,
            digest,
            affected=sum(one.is_affected for one in exposed),
            checked=len(assessments) - len(unchecked),
            unchecked=len(unchecked),
            reason=unchecked[0].why if unchecked else "",
            exposed=exposed,
        )


_KINDS: Sequence[tuple[str, str]] = (
    ("No feed covers", "no feed covers its ecosystem"),
    ("It is not known", "its upstream is not known"),
    ("Version", "its version cannot be read"),
)


def _kind_of(reason: str) -> str:
    """A reason without the package it speaks of."""
    return next((kind for start, kind in _KINDS if reason.startswith(start)), "it is known to be in no such ecosystem")


def _hex(digest: object) -> str | None:
    return digest.hex() if isinstance(digest, bytes) else None

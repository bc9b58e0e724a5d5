"""What one feed says under one id, in one form whatever the feed's own was."""

from enum import StrEnum
from typing import Any

import msgspec

MALICIOUS = "MAL-"


class RangeKind(StrEnum):
    """In whose order a range counts (OSV schema, `ranges[].type`)."""

    ECOSYSTEM = "ECOSYSTEM"
    SEMVER = "SEMVER"


class Event(msgspec.Struct, frozen=True, array_like=True):
    """One event of a range: `introduced`, `fixed`, `last_affected` or `limit`, and the version."""

    kind: str
    version: str


class Range(msgspec.Struct, frozen=True, array_like=True):
    """A range of versions as OSV gives it."""

    kind: RangeKind
    events: tuple[Event, ...]


class Builds(msgspec.Struct, frozen=True, array_like=True):
    """Which builds of a conda package are meant; None: any."""

    version: str | None = None
    build: str | None = None
    build_number: int | None = None
    subdir: str | None = None
    sha256: str | None = None


class Affected(msgspec.Struct, frozen=True, array_like=True):
    """A package that is affected, in some of its versions. No range, no version, no build: in none that is known."""

    ecosystem: str
    name: str
    ranges: tuple[Range, ...] = ()
    versions: tuple[str, ...] = ()
    builds: Builds | None = None


class Score(msgspec.Struct, frozen=True, array_like=True):
    """A CVSS vector (`CVSS_V2`, `CVSS_V3`, `CVSS_V4`), and who gave it."""

    kind: str
    vector: str
    origin: str


class Exploited(msgspec.Struct, frozen=True):
    """What CISA's catalogue of known exploited vulnerabilities says."""

    added: str
    due: str | None = None
    action: str | None = None
    is_ransomware: bool = False


class Statement(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one feed says under one id. Moments are RFC 3339 texts, as they came."""

    id: str
    aliases: tuple[str, ...] = ()
    summary: str = ""
    details: str = ""
    published: str | None = None
    modified: str | None = None
    withdrawn: str | None = None
    severity: str | None = None
    scores: tuple[Score, ...] = ()
    references: tuple[str, ...] = ()
    cwes: tuple[str, ...] = ()
    affected: tuple[Affected, ...] = ()
    exploited: Exploited | None = None

    @property
    def is_malicious(self) -> bool:
        """Whether it says that the package itself is an attack (OpenSSF MAL)."""
        return self.id.startswith(MALICIOUS)


class Epss(msgspec.Struct, frozen=True, array_like=True):
    """How likely a CVE is to be exploited within 30 days, from 0 to 1, and its rank among all."""

    cve: str
    score: float
    percentile: float


class Claim(msgspec.Struct, frozen=True, omit_defaults=True):
    """What somebody says of an advisory and some records: a curation, or a VEX statement. `key` is its own within a feed."""

    key: str
    advisory: str
    status: str
    name: str | None = None
    version: str | None = None
    build: str | None = None
    sha256: str | None = None
    justification: str | None = None
    note: str | None = None
    author: str | None = None
    score: float | None = None
    stated: str | None = None
    expires: str | None = None


class Mapped(msgspec.Struct, frozen=True, array_like=True):
    """What the name mapping says: a conda name, and the PyPI names it is; none when it is known to be none."""

    name: str
    names: tuple[str, ...]


Item = Statement | Epss | Claim | Mapped

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Statement)
_affected_decoder = msgspec.msgpack.Decoder(tuple[Affected, ...])


def pack(value: Any) -> bytes:
    """A statement, or a tuple of Affected, as bytes."""
    return _encoder.encode(value)


def unpack_statement(data: bytes) -> Statement:
    """The statement again."""
    return _decoder.decode(data)


def unpack_affected(data: bytes) -> tuple[Affected, ...]:
    """The tuple of Affected again."""
    return _affected_decoder.decode(data)

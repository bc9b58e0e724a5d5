"""A quick look at a shard: the few members that most rules need, decoded in a fifth of the time of the whole."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import msgspec

from headgate.conda.records import Record
from headgate.conda.shards import decode_as, decode_stored


class LightRecord(msgspec.Struct, gc=False):
    """A record, as far as rules look at it before they look closer."""

    license: str | None = None
    license_family: str | None = None
    indexed_timestamp: int | None = None
    timestamp: float | None = None
    size: int | None = None


class _LightShard(msgspec.Struct, rename={"conda": "packages.conda"}):
    packages: dict[str, LightRecord] = {}
    conda: dict[str, LightRecord] = {}
    v3: dict[str, dict[str, LightRecord]] = {}


_decoder = msgspec.msgpack.Decoder(_LightShard)


class LazyRecords(Mapping[str, Record]):
    """The records of a stored shard by file name, decoded once somebody looks at one."""

    def __init__(self, filenames: Sequence[str], body: bytes) -> None:
        self._filenames = filenames
        self._body = body

    @cached_property
    def _records(self) -> dict[str, Record]:
        return dict(decode_stored(self._body).records())

    def __getitem__(self, filename: str) -> Record:
        return self._records[filename]

    def __iter__(self) -> Iterator[str]:
        return iter(self._filenames)

    def __len__(self) -> int:
        return len(self._filenames)


class Glance:
    """What a quick look at a stored shard shows."""

    def __init__(self, body: bytes) -> None:
        """Raises Invalid `shard-invalid` when a member is not what it should be: then only a close look will do."""
        self._body = body
        self._shard = decode_as(body, _decoder)

    @property
    def lazy_records(self) -> LazyRecords:
        """Every record, should anybody want it whole."""
        return LazyRecords(list(self.filenames()), self._body)

    def filenames(self) -> Iterator[str]:
        """Every file name."""
        yield from self._shard.packages
        yield from self._shard.conda
        for group, records in self._shard.v3.items():
            for stem in records:
                yield f"{stem}.{group}"

    def records(self) -> Iterator[LightRecord]:
        """Every record."""
        yield from self._shard.packages.values()
        yield from self._shard.conda.values()
        for records in self._shard.v3.values():
            yield from records.values()

    @cached_property
    def licenses(self) -> frozenset[tuple[str | None, str | None]]:
        """The pairs of licence and family that occur."""
        return frozenset({(one.license, one.license_family) for one in self.records()})

    @cached_property
    def ages_ms(self) -> tuple[int, int] | None:
        """The oldest and the newest `indexed_timestamp`; None when a record has none."""
        found = [one.indexed_timestamp for one in self.records()]
        moments = [one for one in found if one is not None and one > 0]
        return (min(moments), max(moments)) if moments and len(moments) == len(found) else None

    @cached_property
    def largest_bytes(self) -> int | None:
        """The largest size; None when a record has none."""
        sizes = [one.size for one in self.records()]
        return None if None in sizes else max((one for one in sizes if one is not None), default=0)

    @property
    def has_two_formats(self) -> bool:
        """True when there are files of the old format beside others."""
        return bool(self._shard.packages and (self._shard.conda or self._shard.v3))

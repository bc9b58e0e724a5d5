"""A quick look at a shard: the few members that most rules need, decoded in a fifth of the time of the whole."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from operator import attrgetter
from typing import Any

import msgspec

from headgate.conda.fragments import Fragments, decode_fragments, decode_record
from headgate.conda.records import Record
from headgate.conda.shards import unpack_shard
from headgate.kernel.errors import Invalid


class LightRecord(msgspec.Struct, gc=False):
    """A record, as far as rules look at it before they look closer."""

    version: str | None = None
    license: str | None = None
    license_family: str | None = None
    indexed_timestamp: int | None = None
    timestamp: float | None = None
    size: int | None = None
    purls: Any = None


class _LightShard(msgspec.Struct, rename={"conda": "packages.conda"}):
    packages: dict[str, LightRecord] = {}
    conda: dict[str, LightRecord] = {}
    v3: dict[str, dict[str, LightRecord]] = {}


_decoder = msgspec.msgpack.Decoder(_LightShard)
_LIGHT = frozenset(LightRecord.__struct_fields__)
_version, _indexed_ms, _size = attrgetter("version"), attrgetter("indexed_timestamp"), attrgetter("size")
_license, _purls = attrgetter("license", "license_family"), attrgetter("purls")


class LazyRecord(Mapping[str, Any]):
    """A record in wire form, whole once somebody asks for a member that a quick look does not show."""

    __slots__ = ("_light", "_whole", "_wholly")

    def __init__(self, light: LightRecord, wholly: Callable[[], Record]) -> None:
        self._light = light
        self._wholly = wholly
        self._whole: Record | None = None

    def get(self, key: str, default: Any = None) -> Any:
        """As of a dict; a member that is null counts as absent."""
        found = getattr(self._light, key) if key in _LIGHT else self.whole.get(key)
        return default if found is None else found

    @property
    def whole(self) -> Record:
        """All of it."""
        if self._whole is None:
            self._whole = self._wholly()
        return self._whole

    def __getitem__(self, key: str) -> Any:
        return self.whole[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.whole)

    def __len__(self) -> int:
        return len(self.whole)


class Glance:
    """What a quick look at a stored shard shows; `records` are in the order of `Shard.records`."""

    def __init__(self, body: bytes) -> None:
        """Raises Invalid `shard-invalid` when a member is not what it should be: then only a close look will do."""
        self.packed = unpack_shard(body)
        try:
            self._shard = _decoder.decode(self.packed)
        except (ValueError, RecursionError) as error:
            raise Invalid("shard-invalid", f"A quick look at this shard does not suffice: {error}.") from error
        shard = self._shard
        self.records: list[LightRecord] = [*shard.packages.values(), *shard.conda.values()]
        for group in shard.v3.values():
            self.records += group.values()

    @cached_property
    def fragments(self) -> Fragments:
        """Every record, packed."""
        return decode_fragments(self.packed)

    @cached_property
    def _raw(self) -> Sequence[msgspec.Raw]:
        return list(self.fragments.records())

    def lazy_record(self, number: int, light: LightRecord) -> LazyRecord:
        """The record at that place among `records`, whole should anybody want that."""
        return LazyRecord(light, lambda: decode_record(self._raw[number]))

    @property
    def lazy_records(self) -> dict[str, LazyRecord]:
        """Every record, should anybody want it whole; of two under one name, the later one."""
        return {
            filename: self.lazy_record(number, light)
            for number, (filename, light) in enumerate(zip(self.filenames, self.records, strict=True))
        }

    @cached_property
    def filenames(self) -> list[str]:
        """The file name of each of `records`."""
        shard = self._shard
        v3 = [f"{stem}.{group}" for group, records in shard.v3.items() for stem in records]
        return [*shard.packages, *shard.conda, *v3]

    def has(self, filename: str) -> bool:
        """Whether there is a file of that name."""
        return filename in self._names

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self.filenames)

    @cached_property
    def versions(self) -> frozenset[str]:
        """The versions that occur, as text."""
        return frozenset(map(str, map(_version, self.records)))

    @property
    def version_of(self) -> dict[str, str]:
        """The version of each file, as text."""
        return dict(zip(self.filenames, map(str, map(_version, self.records)), strict=True))

    @cached_property
    def has_purls(self) -> bool:
        """Whether a record says itself what upstream package it is."""
        return any(map(_purls, self.records))

    @cached_property
    def licenses(self) -> frozenset[tuple[str | None, str | None]]:
        """The pairs of licence and family that occur."""
        return frozenset(map(_license, self.records))

    @cached_property
    def ages_ms(self) -> tuple[int, int] | None:
        """The oldest and the newest `indexed_timestamp`; None when a record has none."""
        found = list(map(_indexed_ms, self.records))
        if not found or None in found or min(found) <= 0:
            return None
        return min(found), max(found)

    @cached_property
    def largest_bytes(self) -> int | None:
        """The largest size; None when a record has none."""
        sizes = set(map(_size, self.records))
        return None if None in sizes else max((one for one in sizes if one is not None), default=0)

    @property
    def has_two_formats(self) -> bool:
        """True when there are files of the old format beside others."""
        return bool(self._shard.packages and (self._shard.conda or self._shard.v3))

"""Shards (CEP 16): every record of one package name in one compressed msgpack map, stored under its own digest.

Encoding is deterministic, so equal content has equal bytes and two channels that agree on a name share the shard.
"""

import hashlib
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any, TypeVar

import msgspec
import zstandard

from headgate.conda.names import are_safe_filenames, is_package_name, is_safe_filename
from headgate.conda.records import Record
from headgate.kernel.errors import Invalid

MAX_SHARD_BYTES = 64 << 20
MAX_INDEX_BYTES = 128 << 20
_LEVEL = 3

T = TypeVar("T")


class Shard(msgspec.Struct, rename={"conda": "packages.conda"}):
    """The records of one package name, in wire form: `md5` and `sha256` are raw bytes.

    `packages` (.tar.bz2) and `conda` (.conda) are keyed by file name; `v3` (CEP 48) by group (`conda`, `tar.bz2`,
    `whl`) and then by stem; `removed` lists file names withdrawn from the channel.
    """

    packages: dict[str, Record] = {}
    conda: dict[str, Record] = {}
    v3: dict[str, dict[str, Record]] = {}
    removed: list[str] = []

    def records(self) -> Iterator[tuple[str, Record]]:
        """Every (file name, record); those of v3 get the extension of their group."""
        usual = chain(self.packages.items(), self.conda.items())
        return chain(usual, self._v3_records()) if self.v3 else usual

    def _v3_records(self) -> Iterator[tuple[str, Record]]:
        for group, records in self.v3.items():
            for stem, record in records.items():
                yield f"{stem}.{group}", record

    def find(self, filename: str) -> Record | None:
        """The record of a file, or None; one of v3 only when no older map has it."""
        for records in (self.packages, self.conda):
            if filename in records:
                return records[filename]
        for group, records in self.v3.items():
            stem = filename.removesuffix(f".{group}")
            if stem != filename and stem in records:
                return records[stem]
        return None

    @property
    def is_empty(self) -> bool:
        """Whether it holds no record and withdraws no file."""
        return not (self.packages or self.conda or self.removed or any(self.v3.values()))

    def only(self, filenames: Collection[str]) -> "Shard":
        """The shard with these files alone; shares the records."""
        return Shard(
            packages={filename: record for filename, record in self.packages.items() if filename in filenames},
            conda={filename: record for filename, record in self.conda.items() if filename in filenames},
            v3={
                group: {stem: record for stem, record in records.items() if f"{stem}.{group}" in filenames}
                for group, records in self.v3.items()
            },
            removed=self.removed,
        )

    def find_foreign(self, name: str) -> list[str]:
        """File names whose record, or whose own head, belongs to a package other than `name`.

        A source is trusted by name: a record that hides in the shard of another must not come through it.
        """
        head, start = f"{name}-", len(name) + 1
        foreign = [
            filename
            for filename, record in self.records()
            if record.get("name") != name
            or not filename.startswith(head)
            or (filename.count("-", start) != 1 and not filename.endswith(".whl"))
        ]
        return foreign + [filename for filename in self.removed if not filename.startswith(head)]


class ShardIndex(msgspec.Struct):
    """The index of a subdir's shards: `info`, and the 32-byte digest of the shard of every package name."""

    info: dict[str, Any]
    shards: dict[str, bytes]


class _Wire(msgspec.Struct):
    shards: dict[str, bytes]
    info: dict[str, Any] = {}
    version: int = 1


class _Codecs(threading.local):
    """One compressor and decompressor per thread: making them anew costs more than a small shard does."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self.decompressor = zstandard.ZstdDecompressor()


def refuse_extension(code: int, _data: memoryview) -> None:
    """Nothing in a shard is of a type of msgpack's own."""
    raise ValueError(f"msgpack extension type {code} is not allowed")


_codecs = _Codecs()
_encoder = msgspec.msgpack.Encoder(order="deterministic")
_shard_decoder = msgspec.msgpack.Decoder(Shard, ext_hook=refuse_extension)
_index_decoder = msgspec.msgpack.Decoder(_Wire, ext_hook=refuse_extension)


def encode_shard(shard: Shard) -> tuple[bytes, bytes]:
    """The shard's digest (sha256 of the compressed bytes, 32 raw bytes) and the compressed bytes.

    Keys are sorted at all levels and `v3` appears only when it holds something. Raises Invalid `shard-invalid` for
    values that msgpack cannot hold, such as integers beyond 64 bits.
    """
    return pack_shard(shard.packages, shard.conda, shard.v3, shard.removed)


def pack_shard(
    packages: Mapping[str, object],
    conda: Mapping[str, object],
    v3: Mapping[str, Mapping[str, object]],
    removed: Iterable[str],
) -> tuple[bytes, bytes]:
    """The same of a shard's members, whose records may be msgpack already (`msgspec.Raw`)."""
    wire: dict[str, object] = {"packages": packages, "packages.conda": conda, "removed": sorted(removed)}
    filled = {group: records for group, records in v3.items() if records}
    if filled:
        wire["v3"] = filled
    try:
        packed = _encoder.encode(wire)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Invalid("shard-invalid", f"A shard holds a value that msgpack cannot: {error}.") from error
    data = _codecs.compressor.compress(packed)
    return hashlib.sha256(data).digest(), data


def decode_shard(data: bytes, *, max_bytes: int = MAX_SHARD_BYTES) -> Shard:
    """Read a shard that unpacks to at most `max_bytes`. Absent maps are empty ones, as clients take them.

    Raises Invalid `shard-invalid` for anything else, and for file names that could leave their folder.
    """
    shard = _decode("shard", data, max_bytes, _shard_decoder.decode)
    check_filenames(shard)
    return shard


def decode_stored(data: bytes) -> Shard:
    """Decode a shard that `encode_shard` wrote: what passed its checks once needs no second look."""
    return _decode("shard", data, MAX_SHARD_BYTES, _shard_decoder.decode)


def decode_as(data: bytes, decoder: "msgspec.msgpack.Decoder[T]") -> T:
    """Decode a stored shard into a smaller type of one's own. Raises Invalid `shard-invalid` when it does not fit."""
    return _decode("shard", data, MAX_SHARD_BYTES, decoder.decode)


def unpack_shard(data: bytes) -> bytes:
    """The msgpack of a stored shard, for who decodes it more than once. Raises Invalid `shard-invalid`."""
    return _decode("shard", data, MAX_SHARD_BYTES, bytes)


def check_filenames(shard: Shard) -> None:
    """Raise Invalid `shard-invalid` when a key could do harm as part of a URL or path."""
    filenames = [*chain(shard.packages, shard.conda, shard.removed, *shard.v3.values())]
    if are_safe_filenames(filenames):
        return
    for filename in filenames:
        if not is_safe_filename(filename):
            raise Invalid("shard-invalid", f"{filename[:211]!r} cannot be the name of a package file.")


def _decode(noun: str, data: bytes, max_bytes: int, decode: Callable[[bytes], T]) -> T:
    code = f"{noun.replace(' ', '-')}-invalid"
    try:
        size = zstandard.get_frame_parameters(data).content_size
        if size > max_bytes and size != zstandard.CONTENTSIZE_UNKNOWN:
            raise Invalid(code, f"A {noun} would unpack to {size} bytes; at most {max_bytes} are read.")
        return decode(_codecs.decompressor.decompress(data, max_output_size=max_bytes))
    except (zstandard.ZstdError, ValueError, RecursionError) as error:
        raise Invalid(code, f"This is not a {noun}, or it is larger than {max_bytes} bytes: {error}.") from error


def merge_shards(shards: Sequence[Shard]) -> Shard:
    """One shard out of several of the same name, ordered by priority: what an earlier one says of a file wins.

    That holds for a withdrawal too, and a file counts as the same in its v3 map. Associative; shares the records.
    """
    merged = Shard(packages={}, conda={}, v3={}, removed=[])
    said: set[str] = set()
    for shard in shards:
        merged.packages.update({name: record for name, record in shard.packages.items() if name not in said})
        merged.conda.update({name: record for name, record in shard.conda.items() if name not in said})
        for group, records in shard.v3.items():
            fresh = {stem: record for stem, record in records.items() if f"{stem}.{group}" not in said}
            merged.v3.setdefault(group, {}).update(fresh)
        merged.removed.extend(name for name in shard.removed if name not in said)
        said.update(name for name, _ in shard.records())
        said.update(shard.removed)
    return merged


def encode_index(
    subdir: str, shards: Mapping[str, bytes], *, info: Mapping[str, Any] | None = None, created_at: datetime | None
) -> bytes:
    """The compressed shard index of a subdir (CEP 16, version 1); deterministic.

    `info` may add keys (`repodata_revisions`, `channel_relations`); `subdir`, `base_url` and `shards_base_url` are
    always ours, because clients need all three and mamba joins only relative paths.
    """
    full: dict[str, Any] = dict(info or {}) | {"subdir": str(subdir), "base_url": "", "shards_base_url": "./shards/"}
    if created_at is not None:
        full["created_at"] = created_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return _codecs.compressor.compress(_encoder.encode({"version": 1, "info": full, "shards": shards}))


def decode_index(data: bytes, *, max_bytes: int = MAX_INDEX_BYTES) -> ShardIndex:
    """Read a shard index that unpacks to at most `max_bytes`. Raises Invalid `shard-index-invalid`."""
    wire = _decode("shard index", data, max_bytes, _index_decoder.decode)
    if wire.version != 1:
        raise Invalid("shard-index-invalid", f"The shard index has version {wire.version}; only 1 is understood.")
    for name, digest in wire.shards.items():
        if len(digest) != 32 or not is_package_name(name):
            raise Invalid("shard-index-invalid", f"The shard index says {name[:64]!r} has digest {digest.hex()[:80]}.")
    return ShardIndex(info=wire.info, shards=wire.shards)

"""Stored shards whose records stay packed: leaving some out costs no decoding of the others."""

from collections.abc import Collection, Iterator

import msgspec

from headgate.conda.records import Record
from headgate.conda.shards import pack_shard, refuse_extension


class Fragments(msgspec.Struct, rename={"conda": "packages.conda"}):
    """The members of a `Shard`, each record as the msgpack that it is stored as."""

    packages: dict[str, msgspec.Raw] = {}
    conda: dict[str, msgspec.Raw] = {}
    v3: dict[str, dict[str, msgspec.Raw]] = {}
    removed: list[str] = []

    def records(self) -> Iterator[msgspec.Raw]:
        """Every record, in the order of `Shard.records`."""
        yield from self.packages.values()
        yield from self.conda.values()
        for records in self.v3.values():
            yield from records.values()

    def encode_without(self, filenames: Collection[str]) -> tuple[bytes, bytes] | None:
        """What `encode_shard` makes of the same shard without these files; None when nothing is left of it."""
        packages = {one: raw for one, raw in self.packages.items() if one not in filenames}
        conda = {one: raw for one, raw in self.conda.items() if one not in filenames}
        v3 = {
            group: {stem: raw for stem, raw in records.items() if f"{stem}.{group}" not in filenames}
            for group, records in self.v3.items()
        }
        if not (packages or conda or self.removed or any(v3.values())):
            return None
        return pack_shard(packages, conda, v3, self.removed)


_decoder = msgspec.msgpack.Decoder(Fragments)
_record_decoder = msgspec.msgpack.Decoder(Record, ext_hook=refuse_extension)


def decode_fragments(packed: bytes) -> Fragments:
    """The fragments of a shard's msgpack, as `unpack_shard` gives it."""
    return _decoder.decode(packed)


def decode_record(fragment: msgspec.Raw) -> Record:
    """One record in wire form."""
    return _record_decoder.decode(fragment)

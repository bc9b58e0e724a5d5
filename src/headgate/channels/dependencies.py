"""What shards depend on, by name: read once per shard and remembered by digest, for who has to go from a name to its users."""

import sys
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.channels.shards import read_shards
from headgate.conda.shards import decode_as

_BATCH = 1_000
_MOST_REMEMBERED = 150_000


class _Needing(msgspec.Struct, gc=False):
    depends: list[str] = []


class _NeedingShard(msgspec.Struct, rename={"conda": "packages.conda"}):
    packages: dict[str, _Needing] = {}
    conda: dict[str, _Needing] = {}
    v3: dict[str, dict[str, _Needing]] = {}


_decoder = msgspec.msgpack.Decoder(_NeedingShard)
# What a digest stands for never changes, so what was read of it is true for every database and transaction.
_heads: OrderedDict[bytes, frozenset[str]] = OrderedDict()


def head_of(spec: str) -> str:
    """The package that a dependency is on; nothing for one that is conditional (CEP 45's `when`) or virtual."""
    if "[when=" in spec or "; if " in spec or spec.startswith("__"):
        return ""
    return spec.partition(" ")[0].partition("[")[0].partition("=")[0].rstrip("<>!~").rpartition("::")[2].lower()


def iter_needs(body: bytes) -> Iterator[tuple[str, list[str]]]:
    """(file name, dependencies) of every record of a stored shard."""
    shard = decode_as(body, _decoder)
    for records in (shard.packages, shard.conda):
        for filename, record in records.items():
            yield filename, record.depends
    for group, stems in shard.v3.items():
        for stem, record in stems.items():
            yield f"{stem}.{group}", record.depends


def remember_heads(digest: bytes, body: bytes) -> frozenset[str]:
    """The packages that a stored shard depends on."""
    found = _heads.get(digest)
    if found is None:
        found = frozenset({sys.intern(head_of(one)) for _, depends in iter_needs(body) for one in depends} - {""})
        _heads[digest] = found
        while len(_heads) > _MOST_REMEMBERED:
            _heads.popitem(last=False)
    return found


async def read_heads(connection: AsyncConnection, digests: Collection[bytes]) -> Mapping[bytes, frozenset[str]]:
    """The packages that each of these shards depends on."""
    found = {digest: heads for digest in digests if (heads := _heads.get(digest)) is not None}
    missing = [digest for digest in digests if digest not in found]
    for start in range(0, len(missing), _BATCH):
        bodies = await read_shards(connection, missing[start : start + _BATCH])
        found.update({digest: remember_heads(digest, body) for digest, body in bodies.items()})
    return found

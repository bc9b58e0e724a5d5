"""run_exports.json (CEP 12): what each package asks of those built with it, for build tools."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack

from headgate.conda.records import Record
from headgate.conda.shards import Shard
from headgate.conda.streams import MapSpool, encode, encode_members, gather, join_members

_VERSION = 0


def render_run_exports(subdir: str, shards: Iterable[Shard]) -> Iterator[bytes]:
    """The JSON document in pieces, from shards in the order of their names; every file is in it, `{}` if it has none.

    Files of v3 are listed beside the others of their kind: CEP 12 has one map for each.
    """
    platform, _, arch = subdir.partition("-")
    info = {"platform": platform, "arch": arch or platform, "subdir": subdir, "version": _VERSION}
    with ExitStack() as stack:
        yield from gather(_stream(encode(info), shards, MapSpool(stack)))


def _stream(info: bytes, shards: Iterable[Shard], conda: MapSpool) -> Iterator[bytes]:
    yield b'{"info":' + info + b',"packages":{'
    yield from join_members(_take(shards, conda))
    yield b'},"packages.conda":{'
    yield from conda.iter_pieces()
    yield b"}}"


def _take(shards: Iterable[Shard], conda: MapSpool) -> Iterator[bytes]:
    for shard in shards:
        conda.add(_render(shard.conda, shard.v3.get("conda", {}), ".conda"))
        yield _render(shard.packages, shard.v3.get("tar.bz2", {}), ".tar.bz2")


def _render(records: Mapping[str, Record], v3: Mapping[str, Record], extension: str) -> bytes:
    listed = {filename: {"run_exports": record.get("run_exports") or {}} for filename, record in records.items()}
    for stem, record in v3.items():
        listed[stem + extension] = {"run_exports": record.get("run_exports") or {}}
    return encode_members(listed)

"""The eager document, put together from groups of names: only groups that changed are rendered and compressed again.

    {"info":…,"packages":{  group  ,  group  …  },"packages.conda":{  group  ,  group  …  },"removed":[…],…}

A group is a run of names in their order; it ends after a name whose checksum says so, so that a name that comes or goes
concerns its own group and a few that follow, until one ends where it did. The key of a group is a digest of its names and their shards. A layout says
for every key where its parts are in the document; it is kept beside the document, for the next one.
"""

import hashlib
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final, Self

import msgspec
import zstandard

from headgate.conda.blocks import END, BlockCompressor, raw_run
from headgate.conda.members import Members, render_members
from headgate.conda.streams import encode

# A group has at least so many names, and then ends with the first whose checksum the other number divides. Larger ones: fewer
# bytes, and more work for a change of one name. Measured on 33,903 names, of which 209 change: the document is 17.7 % larger
# than one run would be, and 15.5 % of it are made anew; with 16 and 16 15.0 % and 21.4 %; with 1 and 32 13.0 % and 30.9 %.
_LEAST_NAMES: Final = 16
_ENDS_OF_NAMES: Final = 8
# Another number, and every group is rendered anew: to be raised when a record is rendered in another way.
_RENDERING: Final = 1
_BATCH_NAMES: Final = 1_000

ReadBodies = Callable[[Sequence[bytes]], Mapping[bytes, bytes]]

PACKAGES, CONDA, _V3 = "packages", "packages.conda", "v3."


class Part(msgspec.Struct, array_like=True, frozen=True):
    """Where blocks stand in a document."""

    offset: int
    length: int


class Placed(msgspec.Struct, array_like=True, frozen=True):
    """One group of a document: its parts by section (`v3.<group>` for those of v3), and the file names it withdraws."""

    parts: dict[str, Part]
    removed: list[str]


class Layout(msgspec.Struct, array_like=True):
    """Where the groups of one document are, by key."""

    rendering: int = _RENDERING
    groups: dict[bytes, Placed] = {}

    def pack(self) -> bytes:
        """As it is kept."""
        return zstandard.compress(msgspec.msgpack.encode(self))

    @classmethod
    def unpack(cls, kept: bytes) -> Self:
        """As it was; empty when it is of another time."""
        try:
            layout = msgspec.msgpack.decode(zstandard.decompress(kept), type=cls)
        except (zstandard.ZstdError, msgspec.DecodeError):
            return cls()
        return layout if layout.rendering == _RENDERING else cls()


@dataclass(frozen=True, slots=True)
class Before:
    """An earlier document and its layout."""

    file: IO[bytes]
    layout: Layout

    def read(self, part: Part) -> bytes:
        """The blocks of a part."""
        self.file.seek(part.offset)
        return self.file.read(part.length)


@dataclass(slots=True)
class _Group:
    key: bytes
    digests: list[bytes]


_Section = dict[bytes, bytes]
"""One map of the document that waits for the maps before it: compressed blocks by the key of their group, in order."""


class EagerDocument:
    """Writes a document of `names` (name -> digest of its shard), copying what `before` has."""

    def __init__(self, info: Mapping[str, Any], names: Mapping[str, bytes], read_bodies: ReadBodies) -> None:
        self._info = info
        self._groups = list(_groups(names))
        self._read_bodies = read_bodies
        self._blocks = BlockCompressor()
        self._removed: dict[bytes, list[str]] = {}
        self._placed: dict[bytes, dict[str, Part]] = {group.key: {} for group in self._groups}
        self._offset = 0

    @property
    def layout(self) -> Layout:
        """Where everything is, once all was written."""
        return Layout(groups={key: Placed(parts, self._removed.get(key, [])) for key, parts in self._placed.items()})

    def pieces(self, before: Before | None) -> Iterator[bytes]:
        """The compressed document."""
        yield self._put(self._blocks.header + raw_run(b'{"info":' + encode(dict(self._info)) + b',"packages":{'))
        sections: defaultdict[str, _Section] = defaultdict(dict)
        comma = b""
        for key, parts in self._parts(before):
            if first := parts.pop(PACKAGES, b""):
                yield self._place(key, PACKAGES, comma, first)
                comma = _COMMA
            for name, blocks in parts.items():
                if blocks:
                    sections[name][key] = blocks
        yield self._put(raw_run(b'},"packages.conda":{'))
        yield from self._section(CONDA, sections.pop(CONDA, {}))
        removed = sorted({filename for some in self._removed.values() for filename in some})
        yield self._put(raw_run(b"}"))
        yield self._put(self._blocks.run(b',"removed":' + encode(removed) + b',"repodata_version":1'))
        opening = b',"v3":{'
        for group in sorted(sections):
            yield self._put(raw_run(opening + encode(group.removeprefix(_V3)) + b":{"))
            yield from self._section(group, sections[group])
            yield self._put(raw_run(b"}"))
            opening = b","
        yield self._put(raw_run(b"}}" if opening == b"," else b"}") + END)

    def _parts(self, before: Before | None) -> Iterator[tuple[bytes, dict[str, bytes]]]:
        """The key of every group in their order, and its blocks by section: copied, or compressed now."""
        known = {} if before is None else before.layout.groups
        fresh = self._rendered([group for group in self._groups if group.key not in known])
        for group in self._groups:
            if before is not None and (placed := known.get(group.key)) is not None:
                self._removed[group.key] = placed.removed
                yield group.key, {name: before.read(part) for name, part in placed.parts.items()}
            else:
                yield group.key, {name: self._blocks.run(plain) for name, plain in next(fresh).items()}

    def _rendered(self, groups: Sequence[_Group]) -> Iterator[dict[str, bytes]]:
        """Plain members of each group, by section."""
        for some in _batches(groups):
            bodies = self._read_bodies([digest for group in some for digest in group.digests])
            for group in some:
                yield self._joined(group, [render_members(bodies[digest]) for digest in group.digests])

    def _joined(self, group: _Group, members: Sequence[Members]) -> dict[str, bytes]:
        self._removed[group.key] = [filename for one in members for filename in one.removed]
        parts: dict[str, list[bytes]] = {PACKAGES: [], CONDA: []}
        for one in members:
            parts[PACKAGES].append(one.packages)
            parts[CONDA].append(one.conda)
            for name, plain in one.v3.items():
                parts.setdefault(_V3 + name, []).append(plain)
        return {name: b",".join(filter(None, some)) for name, some in parts.items()}

    def _section(self, name: str, section: _Section) -> Iterator[bytes]:
        """The blocks of one map, with commas between groups."""
        comma = b""
        for key, blocks in section.items():
            yield self._place(key, name, comma, blocks)
            comma = _COMMA

    def _place(self, key: bytes, name: str, comma: bytes, blocks: bytes) -> bytes:
        self._placed[key][name] = Part(self._offset + len(comma), len(blocks))
        return self._put(comma + blocks)

    def _put(self, blocks: bytes) -> bytes:
        self._offset += len(blocks)
        return blocks


_COMMA: Final = raw_run(b",")


def _batches(groups: Sequence[_Group]) -> Iterator[list[_Group]]:
    """Runs of groups with a thousand names or a few more."""
    batch, names = list[_Group](), 0
    for group in groups:
        batch.append(group)
        names += len(group.digests)
        if names >= _BATCH_NAMES:
            yield batch
            batch, names = [], 0
    if batch:
        yield batch


def _groups(names: Mapping[str, bytes]) -> Iterator[_Group]:
    key, digests = hashlib.blake2b(digest_size=16), list[bytes]()
    for name in sorted(names):
        encoded = name.encode()
        key.update(encoded + b"\n" + names[name])
        digests.append(names[name])
        if len(digests) >= _LEAST_NAMES and zlib.crc32(encoded) % _ENDS_OF_NAMES == 0:
            yield _Group(key.digest(), digests)
            key, digests = hashlib.blake2b(digest_size=16), []
    if digests:
        yield _Group(key.digest(), digests)

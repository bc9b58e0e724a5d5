"""After filtering: records that are published, but whose dependencies nothing published can satisfy any more.

A record that cannot be installed is no help to others, so the question is asked again without it, until nothing more
breaks. Conditional dependencies and virtual packages (`__glibc`) are left to the solver.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import msgspec
from sqlalchemy import select

from headgate.channels.model import Channel
from headgate.channels.shards import read_shards
from headgate.channels.sources import read_published
from headgate.conda.records import Record
from headgate.conda.shards import decode_as, decode_stored
from headgate.conda.specs import matches, parse_spec
from headgate.db import tables_gate
from headgate.db.engine import Database
from headgate.kernel.errors import Invalid

_BATCH = 1_000
_MOST_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Broken:
    """A published record, and the dependency of it that cannot be had."""

    subdir: str
    filename: str
    dependency: str


class _Needing(msgspec.Struct, gc=False):
    depends: list[str] = []


class _NeedingShard(msgspec.Struct, rename={"conda": "packages.conda"}):
    packages: dict[str, _Needing] = {}
    conda: dict[str, _Needing] = {}


_decoder = msgspec.msgpack.Decoder(_NeedingShard)


class _Place:
    """The published shards of a platform and of noarch, which are installed together."""

    def __init__(self, shards: Mapping[str, Mapping[str, bytes]]) -> None:
        self.shards = shards
        self.gone: set[tuple[str, str]] = set()
        self._satisfied: dict[str, bool] = {}

    def forget(self, names: Collection[str]) -> None:
        """What was found of specs on these names may be wrong now."""
        self._satisfied = {spec: yes for spec, yes in self._satisfied.items() if head_of(spec) not in names}

    def is_satisfied(self, spec: str) -> bool:
        """Whether something that is still there matches."""
        if spec not in self._satisfied:
            self._satisfied[spec] = self._look(spec)
        return self._satisfied[spec]

    def _look(self, spec: str) -> bool:
        try:
            wanted = parse_spec(spec)
        except Invalid:
            return True  # whatever it means, it is not the gate that broke it
        return any(matches(wanted, record) for record in self._records(head_of(spec)))

    def _records(self, name: str) -> Iterator[Record]:
        for subdir, bodies in self.shards.items():
            if name in bodies:
                for filename, record in decode_stored(bodies[name]).records():
                    if (subdir, filename) not in self.gone:
                        yield record

    def needing(self, names: Collection[str]) -> Iterator[tuple[str, str, str, str]]:
        """(subdir, package, file name, dependency) of every record that depends on one of these packages."""
        for subdir, bodies in self.shards.items():
            for package, body in bodies.items():
                shard = decode_as(body, _decoder)
                for records in (shard.packages, shard.conda):
                    for filename, record in records.items():
                        for dependency in record.depends:
                            if head_of(dependency) in names:
                                yield subdir, package, filename, dependency


def head_of(spec: str) -> str:
    """The package that a dependency is on; nothing for one that is conditional or virtual."""
    if "[when=" in spec or "; if " in spec or spec.startswith("__"):
        return ""
    return spec.partition(" ")[0].partition("[")[0].rstrip("=<>!~").lower()


def find_broken(shards: Mapping[str, Mapping[str, bytes]], filtered: Collection[str]) -> list[Broken]:
    """What breaks, given the stored shards of subdirs by package, when records of the packages `filtered` went missing."""
    place = _Place(shards)
    broken: list[Broken] = []
    names = set(filtered)
    for _ in range(_MOST_ROUNDS):
        place.forget(names)
        found = [
            (package, Broken(subdir, filename, dependency))
            for subdir, package, filename, dependency in place.needing(names)
            if (subdir, filename) not in place.gone and not place.is_satisfied(dependency)
        ]
        if not found:
            break
        for _, one in found:
            if (one.subdir, one.filename) not in place.gone:
                place.gone.add((one.subdir, one.filename))
                broken.append(one)
        names = {package for package, _ in found}
    return sorted(broken, key=lambda one: (one.subdir, one.filename))


async def check_channel(database: Database, channel: Channel, platform: str) -> list[Broken]:
    """The broken records of a platform and of noarch; only dependencies on packages that the gate filtered are looked at."""
    async with database.read() as connection:
        subdirs = [name for name in (platform, "noarch") if name in channel.subdirs]
        filtered: set[str] = set()
        notes = tables_gate.gate_name.c
        shards: dict[str, dict[str, bytes]] = {}
        for subdir in subdirs:
            chosen = select(notes.name).where(notes.subdir_id == channel.subdirs[subdir].id)
            filtered |= set((await connection.execute(chosen)).scalars())
        if not filtered:
            return []
        for subdir in subdirs:
            digests = await read_published(connection, channel.id, subdir, None)
            bodies = await read_shards(connection, digests.values())
            shards[subdir] = {name: bodies[digest] for name, digest in digests.items()}
    return await asyncio.to_thread(find_broken, shards, filtered)

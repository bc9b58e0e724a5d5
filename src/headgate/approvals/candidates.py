"""The part of a channel that a set of packages could possibly need: names, followed through every dependency."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from headgate.channels.maps import Maps
from headgate.channels.model import Channel
from headgate.channels.shards import ShardCache
from headgate.conda.records import Record
from headgate.conda.shards import Shard, decode_stored

NOARCH = "noarch"


@dataclass(frozen=True, slots=True)
class Candidates:
    """Shards by subdir and package name."""

    shards: Mapping[str, Mapping[str, Shard]] = field(default_factory=dict)

    def records(self, name: str) -> Iterable[tuple[str, str, Record]]:
        """(subdir, file name, record in wire form) of one package."""
        for subdir, shards in self.shards.items():
            if name in shards:
                for filename, record in shards[name].records():
                    yield subdir, filename, record

    def by_subdir(self) -> dict[str, list[Shard]]:
        """The shards of each subdir, in the order of their names."""
        return {subdir: [shards[name] for name in sorted(shards)] for subdir, shards in self.shards.items()}

    def with_more(self, other: "Candidates") -> "Candidates":
        """These, and those of other names."""
        return Candidates(
            {subdir: {**shards, **other.shards.get(subdir, {})} for subdir, shards in self.shards.items()}
        )

    def find(self, subdir: str, filename: str) -> Record | None:
        """One record, in wire form."""
        shard = self.shards.get(subdir, {}).get(filename.rsplit("-", 2)[0])
        return None if shard is None else shard.find(filename)


class Reader:
    """Reads published shards of channels."""

    def __init__(self, maps: Maps, shards: ShardCache) -> None:
        self._maps = maps
        self._shards = shards

    async def read(self, channel: Channel, subdir: str, names: Collection[str]) -> dict[str, Shard]:
        """The shards of those names that the subdir publishes."""
        state = channel.subdirs.get(subdir)
        if state is None:
            return {}
        digests = (await self._maps.get(state)).digests
        wanted = {name: digests[name] for name in names if name in digests}
        bodies = await self._shards.find_many(list(wanted.values()))
        return await asyncio.to_thread(_decoded, wanted, bodies)

    async def differing(self, one: Channel, other: Channel, subdir: str) -> set[str]:
        """The package names of `one` that `other` does not publish just so."""
        mine, state = one.subdirs.get(subdir), other.subdirs.get(subdir)
        digests = {} if mine is None else (await self._maps.get(mine)).digests
        known = {} if state is None else (await self._maps.get(state)).digests
        return {name for name, digest in digests.items() if known.get(name) != digest}

    async def names(self, channel: Channel, subdir: str) -> Collection[str]:
        """Every package name that the subdir publishes."""
        state = channel.subdirs.get(subdir)
        return () if state is None else (await self._maps.get(state)).digests.keys()

    async def reachable(self, channels: Collection[Channel], platform: str, names: Iterable[str]) -> list[Candidates]:
        """What installing `names` on a platform could need of each channel, at any depth and in any version."""
        return await self._collect(channels, platform, names, is_deep=True)

    async def of_names(self, channels: Collection[Channel], platform: str, names: Iterable[str]) -> list[Candidates]:
        """The packages of those names alone, in each channel."""
        return await self._collect(channels, platform, names, is_deep=False)

    async def _collect(
        self, channels: Collection[Channel], platform: str, names: Iterable[str], *, is_deep: bool
    ) -> list[Candidates]:
        subdirs = dict.fromkeys((platform, NOARCH))
        found: list[dict[str, dict[str, Shard]]] = [{subdir: {} for subdir in subdirs} for _ in channels]
        seen: set[str] = set()
        waiting = set(names)
        while waiting:
            seen |= waiting
            needed: set[str] = set()
            for channel, shards in zip(channels, found, strict=True):
                for subdir in subdirs:
                    new = await self.read(channel, subdir, waiting)
                    shards[subdir] |= new
                    needed |= await asyncio.to_thread(_needs, new.values()) if is_deep else set()
            waiting = needed - seen
        return [Candidates(shards) for shards in found]


def _decoded(wanted: Mapping[str, bytes], bodies: Mapping[bytes, bytes]) -> dict[str, Shard]:
    return {name: decode_stored(bodies[digest]) for name, digest in wanted.items() if digest in bodies}


def _needs(shards: Iterable[Shard]) -> set[str]:
    return {head_of(spec) for shard in shards for _, record in shard.records() for spec in record.get("depends", ())}


def head_of(spec: str) -> str:
    """The package name that a dependency begins with; its flags, version and build are left out."""
    for end, letter in enumerate(spec):
        if letter in " =<>!~[;":
            return spec[:end].lower()
    return spec.lower()

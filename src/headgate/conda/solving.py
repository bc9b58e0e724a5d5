"""Solving: py-rattler's own solver (the engine of pixi), on an index that is written for the question.

An index is written once and asked as often as one likes:

    shards by channel and subdir --opened_index--> Index --solve--> records of one solution
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from rattler import (
    BuildString,
    Channel,
    ChannelPriority,
    GenericVirtualPackage,
    PackageName,
    RepoDataRecord,
    SparseRepoData,
    Version,
    solve_with_sparse_repodata,
)
from rattler.exceptions import SolverError

from headgate.conda.repodata import render_repodata
from headgate.conda.shards import Shard
from headgate.conda.specs import parse_spec

_NOARCH = "noarch"
_PATIENCE = timedelta(seconds=60)
# What a current machine of each family has; a package that wants more says so by its own __cuda or __glibc.
_MACHINES: Mapping[str, Mapping[str, str]] = {
    "linux": {"__unix": "0", "__linux": "6.1", "__glibc": "2.28"},
    "osx": {"__unix": "0", "__osx": "13.0"},
    "win": {"__win": "10.0"},
    "emscripten": {"__unix": "0"},
    "wasi": {"__unix": "0"},
}
_ARCHITECTURES = {"64": "x86_64", "32": "x86", "arm64": "arm64"}


class Unsolvable(Exception):
    """There is no solution; why, in the solver's own words."""


@dataclass(frozen=True, slots=True)
class Solved:
    """What came of it: the file names that were chosen, or in the solver's words why there are none."""

    filenames: tuple[str, ...] = ()
    failure: str | None = None

    @property
    def is_solved(self) -> bool:
        """True when there is a solution."""
        return self.failure is None


class Index:
    """What the solver may choose from: the parts of some channels, by channel and subdir."""

    def __init__(self, parts: Mapping[tuple[str, str], SparseRepoData]) -> None:
        self._parts = parts

    async def solve(
        self,
        specs: Sequence[str],
        platform: str,
        machine: Mapping[str, str] | None = None,
        preferred: Sequence[RepoDataRecord] = (),
    ) -> list[RepoDataRecord]:
        """One solution of the specs for a platform, on a machine that has more than is usual.

        `preferred` records are kept where they fit. Raises Unsolvable, Invalid `match-spec-invalid`.
        """
        try:
            return await solve_with_sparse_repodata(
                [parse_spec(one) for one in specs],
                [part for (_, subdir), part in self._parts.items() if subdir in {platform, _NOARCH}],
                locked_packages=list(preferred),
                virtual_packages=virtual_packages(platform, machine),
                channel_priority=ChannelPriority.Disabled,
                timeout=_PATIENCE,
            )
        except (SolverError, ValueError) as error:
            raise Unsolvable(str(error)) from error

    def newest(self, channel: str, but: Iterable[str] = ()) -> list[RepoDataRecord]:
        """The newest record of every package of a channel, but for those names."""
        left_out = set(but)
        return [
            max(records, key=lambda one: (one.version, one.build_number))
            for (place, _), part in self._parts.items()
            if place == channel
            for name in part.package_names()
            if name not in left_out and (records := part.load_records(PackageName(name)))
        ]

    def close(self) -> None:
        """Let go of the files."""
        for part in self._parts.values():
            part.close()


@contextlib.asynccontextmanager
async def opened_index(
    channels: Mapping[str, Mapping[str, Iterable[Shard]]], scratch: Path | None = None
) -> AsyncIterator[Index]:
    """An index of shards by channel (any word) and subdir, written below `scratch`; gone at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="headgate-solve-", dir=scratch) as folder:
        index = Index(await asyncio.to_thread(_write, Path(folder), channels))
        try:
            yield index
        finally:
            index.close()


async def solve_shards(shards: Mapping[str, Sequence[Shard]], specs: Sequence[str], platform: str) -> Solved:
    """Solve specs for a platform with the shards of each subdir."""
    async with opened_index({"headgate": shards}) as index:
        try:
            records = await index.solve(specs, platform)
        except Unsolvable as error:
            return Solved(failure=str(error))
    return Solved(tuple(sorted(record.file_name for record in records)))


def virtual_packages(platform: str, more: Mapping[str, str] | None = None) -> list[GenericVirtualPackage]:
    """What a current machine of that platform has by itself; `more` adds to it, or says otherwise."""
    family, _, architecture = platform.partition("-")
    found = {**_MACHINES.get(family, {}), **(more or {})}
    packages = [_virtual(name, version, "0") for name, version in found.items()]
    if family in _MACHINES:
        packages.append(_virtual("__archspec", "1", _ARCHITECTURES.get(architecture, architecture or "any")))
    return packages


def _virtual(name: str, version: str, build: str) -> GenericVirtualPackage:
    return GenericVirtualPackage(PackageName(name), Version(version), BuildString(build))


def _write(
    folder: Path, channels: Mapping[str, Mapping[str, Iterable[Shard]]]
) -> dict[tuple[str, str], SparseRepoData]:
    parts = {}
    for number, (channel, subdirs) in enumerate(channels.items()):
        for subdir, shards in subdirs.items():
            path = folder / f"{number}-{subdir}.json"
            with path.open("wb") as file:
                file.writelines(render_repodata({"subdir": str(subdir)}, shards))
            parts[channel, subdir] = SparseRepoData(Channel(f"https://{channel}.invalid"), subdir, path)
    return parts

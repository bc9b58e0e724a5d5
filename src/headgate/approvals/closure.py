"""What a set of match specs needs to be installed, as py-rattler (the engine of pixi) would choose it."""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from rattler import Channel as RattlerChannel
from rattler import (
    ChannelPriority,
    GenericVirtualPackage,
    PackageName,
    RepoDataRecord,
    SparseRepoData,
    Version,
    solve_with_sparse_repodata,
)
from rattler.exceptions import SolverError
from rattler.package.build_string import BuildString

from headgate.approvals.candidates import Candidates, head_of
from headgate.conda.repodata import render_repodata
from headgate.kernel.errors import Conflict

_TARGET, _SOURCE = "https://target.invalid", "https://source.invalid"
_PATIENCE = timedelta(seconds=60)
# What a current machine of each family has; a package that wants more says so by its own __cuda or __glibc.
_MACHINES: dict[str, dict[str, str]] = {
    "linux": {"__unix": "0", "__linux": "6.1", "__glibc": "2.28"},
    "osx": {"__unix": "0", "__osx": "13.0"},
    "win": {"__win": "10.0"},
    "emscripten": {"__unix": "0"},
    "wasi": {"__unix": "0"},
}
_ARCHITECTURES = {"64": "x86_64", "32": "x86", "arm64": "arm64"}


@dataclass(frozen=True, slots=True, order=True)
class Chosen:
    """A file of a subdir; `is_new` when only the source has it."""

    subdir: str
    filename: str
    is_new: bool


async def close_over(
    specs: Sequence[str],
    platform: str,
    target: Candidates,
    source: Candidates,
    machine: Mapping[str, str] | None = None,
) -> list[Chosen]:
    """Files that install the specs on the platform, from the target where it has what fits, else from the source.

    What the target has of other packages than those asked for is preferred to anything newer, so that as little as
    possible passes. `machine` sets or adds virtual packages (`{"__cuda": "12"}`). Raises Conflict `closure-unsolvable`
    with the solver's own words.
    """
    with tempfile.TemporaryDirectory(prefix="headgate-closure-") as folder:
        known = await asyncio.to_thread(_write, Path(folder), {_TARGET: target, _SOURCE: source})
        asked = {head_of(spec) for spec in specs}
        try:
            records = await solve_with_sparse_repodata(
                list(specs),
                known,
                locked_packages=[
                    record
                    for repodata in known[: len(target.shards)]
                    for name in repodata.package_names()
                    if name not in asked
                    for record in _newest(repodata, name)
                ],
                virtual_packages=virtual_packages(platform, machine or {}),
                channel_priority=ChannelPriority.Disabled,
                timeout=_PATIENCE,
            )
        except SolverError as error:
            raise Conflict(
                "closure-unsolvable", f"Nothing on {platform} satisfies {', '.join(specs)} together: {error}"
            ) from error
        finally:
            for repodata in known:
                repodata.close()
    return sorted(
        Chosen(record.subdir, record.file_name, target.find(record.subdir, record.file_name) is None)
        for record in records
    )


def virtual_packages(platform: str, machine: Mapping[str, str]) -> list[GenericVirtualPackage]:
    """What a machine of that platform has by itself."""
    family, _, architecture = platform.partition("-")
    found = _MACHINES.get(family, {}) | dict(machine)
    packages = [_virtual(name, version, "0") for name, version in found.items()]
    if family in _MACHINES:
        packages.append(_virtual("__archspec", "1", _ARCHITECTURES.get(architecture, architecture)))
    return packages


def _virtual(name: str, version: str, build: str) -> GenericVirtualPackage:
    return GenericVirtualPackage(PackageName(name), Version(version), BuildString(build))


def _write(folder: Path, channels: dict[str, Candidates]) -> list[SparseRepoData]:
    known = []
    for number, (url, candidates) in enumerate(channels.items()):
        for subdir, shards in candidates.shards.items():
            path = folder / f"{number}-{subdir}.json"
            with path.open("wb") as file:
                file.writelines(render_repodata({"subdir": str(subdir)}, (shards[name] for name in sorted(shards))))
            known.append(SparseRepoData(RattlerChannel(url), subdir, path))
    return known


def _newest(repodata: SparseRepoData, name: str) -> list[RepoDataRecord]:
    records = repodata.load_records(PackageName(name))
    return [max(records, key=lambda one: (one.version, one.build_number))] if records else []

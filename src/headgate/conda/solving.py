"""Whether specs can be solved with given shards: py-rattler's own solver, on an index that is written for the question."""

import asyncio
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from rattler import (
    BuildString,
    Channel,
    GenericVirtualPackage,
    PackageName,
    SparseRepoData,
    Version,
    solve_with_sparse_repodata,
)
from rattler.exceptions import SolverError

from headgate.conda.records import from_wire
from headgate.conda.shards import Shard

_TIMEOUT = timedelta(seconds=30)
_VIRTUAL = {
    "linux": (("__unix", "0"), ("__linux", "6.0"), ("__glibc", "2.28")),
    "osx": (("__unix", "0"), ("__osx", "13.0")),
    "win": (("__win", "10.0"),),
}


@dataclass(frozen=True, slots=True)
class Solved:
    """What came of it: the file names that were chosen, or in the solver's words why there are none."""

    filenames: tuple[str, ...] = ()
    failure: str | None = None

    @property
    def is_solved(self) -> bool:
        """True when there is a solution."""
        return self.failure is None


async def solve_shards(shards: Mapping[str, Sequence[Shard]], specs: Sequence[str], platform: str) -> Solved:
    """Solve specs for a platform with the shards of each subdir."""
    with tempfile.TemporaryDirectory(prefix="headgate-solve-") as folder:
        channel = Channel("headgate")
        sources: list[SparseRepoData] = []
        for subdir, some in shards.items():
            path = Path(folder) / f"{subdir}.json"
            await asyncio.to_thread(_write, path, subdir, some)
            sources.append(SparseRepoData(channel, subdir, str(path)))
        try:
            records = await solve_with_sparse_repodata(
                list(specs), sources, virtual_packages=_virtual_packages(platform), timeout=_TIMEOUT
            )
        except (SolverError, ValueError) as error:
            return Solved(failure=str(error))
        finally:
            for source in sources:
                source.close()
        return Solved(tuple(sorted(record.file_name for record in records)))


def _write(path: Path, subdir: str, shards: Sequence[Shard]) -> None:
    document = {
        "info": {"subdir": subdir},
        "packages": {name: from_wire(record) for shard in shards for name, record in shard.packages.items()},
        "packages.conda": {name: from_wire(record) for shard in shards for name, record in shard.conda.items()},
        "repodata_version": 1,
    }
    path.write_text(json.dumps(document), encoding="utf-8")


def _virtual_packages(platform: str) -> list[GenericVirtualPackage]:
    system, _, machine = platform.partition("-")
    found = [
        GenericVirtualPackage(PackageName(name), Version(version), BuildString("0"))
        for name, version in _VIRTUAL.get(system, ())
    ]
    arch = {"64": "x86_64", "32": "x86", "arm64": "arm64"}.get(machine, machine or "any")
    return [*found, GenericVirtualPackage(PackageName("__archspec"), Version("1"), BuildString(arch))]

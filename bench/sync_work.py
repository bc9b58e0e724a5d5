"""The work of the `sync` benchmark, in a process of its own.

python -m bench.sync_work headgate DATA CHANNEL SUBDIR   what the jobs worker does for one subdir
python -m bench.sync_work policy DATA CHANNEL            a policy is attached beforehand
python -m bench.sync_work floor DOCUMENT                 what cannot be left out, and nothing in between
python -m bench.sync_work json DOCUMENT                  the obvious way
"""

import asyncio
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import zstandard

from bench.policy_work import attach_policy
from bench.timing import Clock, reset_peak, status_bytes
from headgate.bootstrap import build_core, open_place, open_routes
from headgate.channels.catalog import read_channels
from headgate.channels.documents import EAGER, Renderer
from headgate.conda.names import Subdir
from headgate.conda.repodata import split_repodata
from headgate.intake.budget import MemoryBudget
from headgate.intake.failover import MirrorReader
from headgate.intake.sync import sync_subdir
from headgate.intake.upstream import UpstreamReader
from headgate.jobs.progress import Amount, JobProgress
from headgate.kernel.memory import relax_collector
from headgate.logs import set_up_logs

_DOCUMENT_BYTES = 640 << 20  # as the jobs worker has it


async def _headgate(data: Path, channel_name: str, subdir: Subdir) -> dict[str, Any]:
    place = open_place(data)
    core, routes = build_core(place), open_routes(place)
    async with core.database.read() as connection:
        channel = next(one for one in await read_channels(connection) if one.name == channel_name)
    source = channel.sources[0]
    progress = JobProgress(core.database, "bench")

    async def report(step: str, done: int, total: int) -> None:
        await progress.report(subdir, step, Amount(done), Amount(total))

    with Clock.measured() as syncing:
        budget = MemoryBudget(_DOCUMENT_BYTES)
        route = routes.of(source)
        reader = MirrorReader(
            [
                UpstreamReader(route.outgoing, url, subdir, place.folder.scratch, concurrency=64, budget=budget)
                for url in route.urls
            ],
            route.keep_base,
        )
        outcome = await sync_subdir(core.database, channel, source, subdir, reader, report)
    sync_peak = status_bytes("VmHWM")
    reset_peak()
    with Clock.measured() as rendering:
        # jobs are asked for in plain JSON values
        await Renderer(core.database, core.store).render(channel_name, str(subdir), EAGER)
    await routes.close()
    await core.database.close()
    return {
        "changed": outcome.changed,
        "sync": _seconds(syncing),
        "render": _seconds(rendering),
        "sync_peak": sync_peak,
        "render_peak": status_bytes("VmHWM"),
    }


async def _attach(data: Path, channel: str) -> dict[str, Any]:
    core = build_core(open_place(data))
    await attach_policy(core, channel)
    await core.database.close()
    return {}


def _floor(path: Path) -> dict[str, Any]:
    with Clock.measured() as clock:
        document = unpacked(path)
        compressor = zstandard.ZstdCompressor(level=3)
        for fragments in split_repodata(document).names.values():
            packed = compressor.compress(b"".join([*fragments.packages.values(), *fragments.conda.values()]))
            hashlib.sha256(packed).digest()
        compressor.compress(document)
    return {"sum": _seconds(clock), "peak": status_bytes("VmHWM")}


def _json(path: Path) -> dict[str, Any]:
    with Clock.measured() as clock:
        document = json.loads(unpacked(path))
        zstandard.ZstdCompressor(level=3).compress(json.dumps(document).encode())
    return {"sum": _seconds(clock), "peak": status_bytes("VmHWM")}


def unpacked(path: Path) -> bytes:
    """A document as it is before it is compressed."""
    with path.open("rb") as file:
        return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()


def _seconds(clock: Clock) -> dict[str, float]:
    return {"wall": clock.wall_s, "cpu": clock.cpu_s}


def main() -> None:
    set_up_logs("info", "json")  # on standard error
    match sys.argv[1:]:
        case ["headgate", data, channel, subdir]:
            relax_collector()
            answer = asyncio.run(_headgate(Path(data), channel, Subdir.parse(subdir)))
        case ["policy", data, channel]:
            answer = asyncio.run(_attach(Path(data), channel))
        case ["floor", document]:
            relax_collector()
            answer = _floor(Path(document))
        case ["json", document]:
            answer = _json(Path(document))
        case words:
            raise SystemExit(f"{words} is not one of the ways in the docstring")
    print(json.dumps(answer))


if __name__ == "__main__":
    main()

"""The work of the `advisories` benchmark, in a process of its own: `python -m bench.advisory_work DATA CHANNEL SHARED`.

DATA holds a channel that was synced; SHARED the real advisories and names.
"""

import asyncio
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

from bench.timing import Clock, reset_peak, status_bytes
from headgate.advisories.room import AdvisoryRoom, open_room
from headgate.bootstrap import Core, build_core, open_place
from headgate.channels.catalog import Catalog
from headgate.channels.exposure import Exposure, SubdirCoverage
from headgate.channels.maps import Maps
from headgate.kernel.memory import relax_collector
from headgate.logs import set_up_logs

_DELTA = 10


async def _work(data: Path, channel: str, shared: Path) -> dict[str, Any]:
    core = build_core(open_place(data))
    room, catalog = open_room(core.database), Catalog()
    async with core.database.read() as connection:
        await catalog.load(connection)
    exposure = Exposure(core.database, Maps(core.database), room.book)
    archive = shared / "advisories" / "pypi-osv.zip"
    answer: dict[str, Any] = {}
    with Clock.measured() as clock:
        await room.feeds.take("bench", "names", shared / "names" / "conda-forge-to-pypi.json", is_whole=True)
    answer["names"] = clock.wall_s
    with Clock.measured() as clock:
        await room.feeds.take("bench", "pypi", archive, is_whole=True)
    answer["import"], answer["import_peak"] = clock.wall_s, status_bytes("VmHWM")
    reset_peak()
    with Clock.measured() as clock:
        await _load(core, room)
    answer["load"] = clock.wall_s
    with Clock.measured() as clock:
        rows = await exposure.coverage(catalog.get(channel))
    answer |= {"assess": clock.wall_s, "assess_peak": status_bytes("VmHWM"), "records": _files(rows)}
    answer["affected"] = sum(row.affected for row in rows)
    delta = _delta(archive, data / "delta.json")
    with Clock.measured() as clock:
        outcome = await room.feeds.take("bench", "pypi", delta)
        await _load(core, room)
    answer["delta"], answer["touched"] = clock.wall_s, outcome.touched
    with Clock.measured() as clock:
        await exposure.coverage(catalog.get(channel))
    answer["again"] = clock.wall_s
    await core.database.close()
    return answer


async def _load(core: Core, room: AdvisoryRoom) -> None:
    async with core.database.read() as connection:
        await room.book.load(connection)


def _files(rows: list[SubdirCoverage]) -> int:
    return sum(row.affected + row.not_affected + row.not_checked for row in rows)


def _delta(archive: Path, target: Path) -> Path:
    """Ten advisories whose ranges now reach further."""
    with zipfile.ZipFile(archive) as opened:
        records = [json.loads(opened.read(name)) for name in opened.namelist()[:_DELTA]]
    for one in records:
        one["affected"][0]["ranges"] = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]
    target.write_text(json.dumps(records), encoding="utf-8")
    return target


def main() -> None:
    set_up_logs("info", "json")  # on standard error
    relax_collector()
    data, channel, shared = sys.argv[1:]
    print(json.dumps(asyncio.run(_work(Path(data), channel, Path(shared)))))


if __name__ == "__main__":
    main()

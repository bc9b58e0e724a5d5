"""The work of the `bundle` benchmark, each step in a process of its own.

python -m bench.bundle_work fill DATA FILES              a hosted channel with so many tiny files
python -m bench.bundle_work export DATA BUNDLE KEY       what `headgate bundle export` does
python -m bench.bundle_work verify BUNDLE KEY            every byte held against the signed manifest
python -m bench.bundle_work import DATA BUNDLE KEY       what `headgate bundle import` does
"""

import asyncio
import hashlib
import json
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any
from uuid import uuid4

from bench.timing import Clock, status_bytes
from headgate.airgap.container import PartsWriter, opening
from headgate.airgap.exports import Exports
from headgate.airgap.keys import load_private_key, sign
from headgate.airgap.manifest import Selection
from headgate.airgap.reading import BundleReader
from headgate.bootstrap import Core, open_place, opened_core
from headgate.carrying import build_importer, opened_exporter
from headgate.channels.catalog import get_channel
from headgate.channels.model import ChannelKind
from headgate.channels.revisions import ensure_subdir, publish
from headgate.channels.shards import save_shards
from headgate.channels.sources import save_source_shards, source_subdir_id
from headgate.conda.names import ChannelName, Sha256
from headgate.conda.records import Record, to_wire
from headgate.conda.shards import Shard, encode_shard
from headgate.db import tables
from headgate.kernel import clock
from headgate.kernel.memory import relax_collector
from headgate.logs import set_up_logs

_CHANNEL, _SUBDIR = ChannelName("many"), "linux-64"
_PER_NAME = 100
_NAMES_AT_ONCE = 100


async def _quiet(step: str, done: int, total: int) -> None:
    pass


async def _fill(core: Core, files: int) -> None:
    await core.channels.create("bench", _CHANNEL, ChannelKind.HOSTED)
    names = [f"name{number}" for number in range(files // _PER_NAME)]
    for start in range(0, len(names), _NAMES_AT_ONCE):
        await _add(core, names[start : start + _NAMES_AT_ONCE])
    async with core.database.write() as connection:
        channel = await get_channel(connection, _CHANNEL)
        await publish(connection, channel.id, _SUBDIR, None, "bench")


async def _add(core: Core, names: list[str]) -> None:
    shards = {name: Shard(conda=dict(_file(core, name, number) for number in range(_PER_NAME))) for name in names}
    encoded = {name: encode_shard(shard) for name, shard in shards.items()}
    async with core.database.write() as connection:
        channel = await get_channel(connection, _CHANNEL)
        subdir = await ensure_subdir(connection, channel.id, _SUBDIR)
        number = await source_subdir_id(connection, channel.sources[0].id, _SUBDIR)
        await save_shards(connection, dict(encoded.values()))
        await save_source_shards(connection, number, {name: (digest, digest) for name, (digest, _) in encoded.items()})
        records = [(filename, record) for shard in shards.values() for filename, record in shard.records()]
        rows = [_row(subdir, filename, record) for filename, record in records]
        await connection.execute(tables.artifact.insert(), rows)
        kept = ("sha256", "size_bytes", "created_at")
        await connection.execute(tables.blob.insert(), [{key: row[key] for key in kept} for row in rows])


def _file(core: Core, name: str, number: int) -> tuple[str, Record]:
    body = f"{name} {number}".encode()
    sha256 = hashlib.sha256(body).hexdigest()
    path = core.store.path(Sha256(sha256))
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(body)
    record = {"name": name, "version": str(number), "build": "0", "build_number": 0, "depends": [], "subdir": _SUBDIR}
    return f"{name}-{number}-0.conda", to_wire(record | {"sha256": sha256, "size": len(body)})


def _row(subdir: int, filename: str, record: Record) -> dict[str, Any]:
    return {
        "subdir_id": subdir, "filename": filename, "package": record["name"], "status": "active", "origin": "upload",
        "sha256": record["sha256"].hex(), "size_bytes": record["size"], "record": b"{}", "created_at": clock.now(),
        "created_by": "bench",
    }  # fmt: skip


async def _export(core: Core, target: Path, key: Path) -> None:
    export_id = uuid4().hex
    async with opened_exporter(core) as exporter:
        await exporter.prepare("bench", export_id, _CHANNEL, Selection(), None, _quiet)
    exports = Exports(core.store)
    export = exports.open(export_id)
    with PartsWriter(target, None) as writer:
        writer.write(opening(export.data, sign(load_private_key(key), export.data)))
        async for piece in exports.iter_content(export):
            writer.write(piece)
        writer.commit()


def _trusted(key: Path) -> dict[str, str]:
    return {"bench": key.with_name(f"{key.name}.pub").read_text().split()[1]}


def _verify(bundle: Path, key: Path) -> None:
    with BundleReader([bundle]) as reader:
        for member in reader.members(reader.verify(_trusted(key))):
            for _ in member.pieces():
                pass


async def _import(core: Core, bundle: Path, key: Path) -> None:
    await build_importer(core).take("bench", [bundle], _trusted(key), None, _quiet)


async def _on(data: str, work: Any, *words: Any) -> None:
    async with opened_core(open_place(Path(data))) as core:
        await work(core, *words)


def main() -> None:
    set_up_logs("warning", "json")
    relax_collector()
    work: Awaitable[None] | None = None
    with Clock.measured() as measured:
        match sys.argv[1:]:
            case ["fill", data, files]:
                work = _on(data, _fill, int(files))
            case ["export", data, bundle, key]:
                work = _on(data, _export, Path(bundle), Path(key))
            case ["verify", bundle, key]:
                _verify(Path(bundle), Path(key))
            case ["import", data, bundle, key]:
                work = _on(data, _import, Path(bundle), Path(key))
            case words:
                raise SystemExit(f"{words} is not one of the ways in the docstring")
        if work is not None:
            asyncio.run(work)  # type: ignore[arg-type]
    print(json.dumps({"wall": measured.wall_s, "cpu": measured.cpu_s, "peak": status_bytes("VmHWM")}))


if __name__ == "__main__":
    main()

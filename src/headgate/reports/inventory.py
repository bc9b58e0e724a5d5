"""Reports of what channels hold: licences, storage, files that nobody downloads any more."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, select

from headgate.channels.maps import Maps
from headgate.channels.model import Channel, SubdirState
from headgate.channels.shards import read_shards
from headgate.conda.licences import expression_of, families_of
from headgate.conda.shards import decode_stored
from headgate.db import tables
from headgate.db.engine import Database, chunks
from headgate.kernel import clock
from headgate.reports.downloads import DownloadReports
from headgate.reports.report import Report, iterate

Row = Sequence[Any]
_BATCH = 500


class Inventory:
    """Reads what channels list and keep."""

    def __init__(self, database: Database, maps: Maps, downloads: DownloadReports) -> None:
        self._database = database
        self._maps = maps
        self._downloads = downloads

    async def licences(self, channel: Channel) -> Report:
        """A row per licence as records say it: its families, and how many packages and files have it."""
        packages: dict[str, set[str]] = defaultdict(set)
        files: Counter[str] = Counter()
        for state in channel.subdirs.values():
            async for name, said in self._iter_licences(state):
                for licence, number in said.items():
                    packages[licence].add(name)
                    files[licence] += number
        ordered = sorted(files, key=lambda one: (-files[one], one))
        rows = [
            (
                one or "none",
                ", ".join(sorted(families_of(one))),
                len(packages[one]),
                files[one],
                ", ".join(sorted(packages[one])[:5]),
            )
            for one in ordered
        ]
        return Report("licences", ("licence", "families", "packages", "files", "examples"), iterate(rows))

    async def storage(self, channels: Sequence[Channel]) -> Report:
        """A row per channel: files kept and their bytes, what no other channel keeps too, and its documents."""
        artifacts, subdirs, documents = tables.artifact.c, tables.subdir.c, tables.document.c
        size, owner = func.max(artifacts.size_bytes).label("size"), subdirs.channel_id
        first, last = func.min(owner).label("first"), func.max(owner).label("last")

        def held(*found: Any) -> Select[Any]:
            chosen = select(*found).join(tables.subdir, subdirs.id == artifacts.subdir_id)
            return chosen.where(artifacts.status != "deleted").group_by(artifacts.sha256)

        each = held(owner, size).group_by(owner).subquery("each").c
        kept = select(each.channel_id, func.count(), func.sum(each.size)).group_by(each.channel_id)
        blob = held(first, last, size).subquery("blob").c
        alone = select(blob.first, func.sum(blob.size)).where(blob.first == blob.last).group_by(blob.first)
        rendered = select(documents.channel_id, func.sum(documents.size_bytes)).group_by(documents.channel_id)
        async with self._database.read() as connection:
            only = {row[0]: int(row[1]) for row in await connection.execute(alone)}
            rows = await connection.execute(kept)
            files = {row[0]: (int(row[1]), int(row[2]), only.get(row[0], 0)) for row in rows}
            indexes = {row[0]: int(row[1]) for row in await connection.execute(rendered)}
        found = [
            (one.name, one.kind.value, *files.get(one.id, (0, 0, 0)), indexes.get(one.id, 0))
            for one in sorted(channels, key=lambda one: one.name)
        ]
        columns = ("channel", "kind", "files", "bytes", "bytes_only_here", "document_bytes")
        return Report("storage", columns, iterate(sorted(found, key=lambda row: (-row[3], row[0]))))

    async def stale(self, channel: Channel, age: timedelta) -> Report:
        """Files that are kept for a channel, and that nobody downloaded from it for so long; the longest first."""
        taken = await self._downloads.last_downloads(channel.name)
        artifacts, subdirs = tables.artifact.c, tables.subdir.c
        statement = (
            select(subdirs.name, artifacts.filename, artifacts.package, artifacts.size_bytes, artifacts.created_at)
            .join(tables.subdir, subdirs.id == artifacts.subdir_id)
            .where(subdirs.channel_id == channel.id, artifacts.status != "deleted")
        )
        oldest, rows = clock.now() - age, list[tuple[Any, ...]]()
        async with self._database.read() as connection:
            for row in await connection.execute(statement):
                last: datetime | None = taken.get((row[0], row[1]))
                if (last or row.created_at) < oldest:
                    rows.append((row[0], row[1], row.package, row.size_bytes, row.created_at, last))
        rows.sort(key=lambda row: (row[5] or row[4], row[:2]))
        return Report(
            "stale", ("subdir", "filename", "package", "bytes", "kept_since", "last_download_at"), iterate(rows)
        )

    async def _iter_licences(self, state: SubdirState) -> AsyncIterator[tuple[str, Mapping[str, int]]]:
        digests = (await self._maps.get(state)).digests
        for some in chunks(sorted(digests), _BATCH):
            async with self._database.read() as connection:
                bodies = await read_shards(connection, [digests[name] for name in some])
            named = {name: bodies[digests[name]] for name in some if digests[name] in bodies}
            for one in (await asyncio.to_thread(_said, named)).items():
                yield one


def _said(bodies: Mapping[str, bytes]) -> dict[str, Counter[str]]:
    return {
        name: Counter(expression_of(record) for _, record in decode_stored(body).records())
        for name, body in bodies.items()
    }

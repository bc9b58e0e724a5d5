"""How a mirror stands: per mirror and subdir, when it was looked at and what came of it."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from headgate.channels.model import Channel, ChannelKind, Source, SourceKind
from headgate.conda.names import Subdir
from headgate.db import tables
from headgate.db.engine import Database
from headgate.kernel.errors import Conflict


@dataclass(frozen=True, slots=True)
class SubdirStatus:
    """One subdir of an upstream; `names` counts the packages it offers, `failure` is the sentence of the last look."""

    subdir: Subdir
    checked_at: datetime | None
    synced_at: datetime | None
    failure: str | None
    names: int


@dataclass(frozen=True, slots=True)
class MirrorStatus:
    """One mirror, with the subdirs that were looked at."""

    source: Source
    subdirs: list[SubdirStatus]


def require_mirror(channel: Channel) -> None:
    """Raises Conflict `kind-unfit` for any other kind of channel."""
    if channel.kind is not ChannelKind.MIRROR:
        raise Conflict(
            "kind-unfit", f"Channel {channel.name} is {channel.kind}; only those of kind mirror follow anything."
        )


async def mirror_status(database: Database, channel: Channel) -> list[MirrorStatus]:
    """Every mirror of a channel in order of priority: one query. Raises Conflict `kind-unfit`."""
    require_mirror(channel)
    upstreams = [source for source in channel.sources if source.kind is SourceKind.UPSTREAM]
    columns = tables.source_subdir.c
    names = (
        select(func.count())
        .where(tables.source_shard.c.source_subdir_id == columns.id)
        .correlate(tables.source_subdir)
        .scalar_subquery()
    )
    statement = (
        select(
            columns.source_id,
            columns.name,
            columns.checked_at,
            columns.synced_at,
            columns.failure,
            names.label("names"),
        )
        .where(columns.source_id.in_([source.id for source in upstreams]))
        .order_by(columns.name)
    )
    found: dict[int, list[SubdirStatus]] = defaultdict(list)
    async with database.read() as connection:
        for row in await connection.execute(statement):
            status = SubdirStatus(Subdir(row.name), row.checked_at, row.synced_at, row.failure, row.names)
            found[row.source_id].append(status)
    return [MirrorStatus(source, found[source.id]) for source in upstreams]

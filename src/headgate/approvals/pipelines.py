"""Pipelines: channels in a fixed order, through which packages pass stage by stage.

A channel has at most one next stage. In a strict pipeline, a stage is promoted into from the one before it alone; the
first one, from anywhere.
"""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.names import is_name
from headgate.approvals.candidates import Reader
from headgate.audit.events import Action, record
from headgate.channels.catalog import get_channel
from headgate.channels.model import Channel, ChannelKind
from headgate.conda.names import ChannelName
from headgate.conda.shards import Shard
from headgate.db import tables
from headgate.db.engine import Database, chunks
from headgate.db.tables_life import pipeline as pipeline_table
from headgate.db.tables_life import pipeline_stage
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, Invalid, NotFound

_LEAST = 2
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Channels in their order; `is_strict`: no stage is skipped."""

    name: str
    stages: Sequence[ChannelName]
    is_strict: bool


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a stage is behind the one before it: packages and records that it lacks."""

    channel: ChannelName
    names: int
    records: int


class PipelineService:
    """Writes pipelines."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, actor: str, name: str, stages: Sequence[ChannelName], *, is_strict: bool = True) -> None:
        """Add a pipeline.

        Raises Conflict `pipeline-exists`, `stage-taken` when a channel has a next stage elsewhere, or `kind-unfit`; Invalid
        `pipeline-invalid`; NotFound `channel-unknown`.
        """
        if not is_name(name):
            raise Invalid("pipeline-invalid", f"{name[:128]!r} cannot be the name of a pipeline.")
        values = {"name": name, "is_strict": is_strict, "created_at": clock.now(), "created_by": actor}
        try:
            async with self._database.write() as connection:
                made = await connection.execute(pipeline_table.insert().values(values).returning(pipeline_table.c.id))
                await _set_stages(connection, made.scalar_one(), stages)
                detail: dict[str, Any] = {"stages": list(stages), "is_strict": is_strict}
                await record(connection, Action.PIPELINE_CREATE, actor, subject=name, **detail)
        except IntegrityError as error:
            raise Conflict("pipeline-exists", f"There is already a pipeline {name}.") from error

    async def set(
        self, actor: str, name: str, *, stages: Sequence[ChannelName] | None = None, is_strict: bool | None = None
    ) -> None:
        """Change what is given. Raises NotFound `pipeline-unknown`, and what `create` raises."""
        async with self._database.write() as connection:
            number = await _id_of(connection, name)
            if is_strict is not None:
                chosen = pipeline_table.c.id == number
                await connection.execute(update(pipeline_table).where(chosen).values(is_strict=is_strict))
            if stages is not None:
                await connection.execute(delete(pipeline_stage).where(pipeline_stage.c.pipeline_id == number))
                await _set_stages(connection, number, stages)
            found = await _get(connection, name)
            detail: dict[str, Any] = {"stages": list(found.stages), "is_strict": found.is_strict}
            await record(connection, Action.PIPELINE_SET, actor, subject=name, **detail)

    async def delete(self, actor: str, name: str) -> None:
        """Delete a pipeline; its channels stay. Raises NotFound `pipeline-unknown`."""
        async with self._database.write() as connection:
            number = await _id_of(connection, name)
            await connection.execute(delete(pipeline_table).where(pipeline_table.c.id == number))
            await record(connection, Action.PIPELINE_DELETE, actor, subject=name)

    async def list_pipelines(self) -> list[Pipeline]:
        """Every pipeline, by name."""
        async with self._database.read() as connection:
            return await read_pipelines(connection)

    async def get(self, name: str) -> Pipeline:
        """One pipeline. Raises NotFound `pipeline-unknown`."""
        async with self._database.read() as connection:
            return await _get(connection, name)

    async def next_of(self, channel: ChannelName) -> ChannelName:
        """The stage after a channel. Raises NotFound `stage-unknown` when there is none."""
        async with self._database.read() as connection:
            pipelines = await read_pipelines(connection)
        for one in pipelines:
            if channel in one.stages[:-1]:
                return one.stages[one.stages.index(channel) + 1]
        raise NotFound("stage-unknown", f"No pipeline says what comes after {channel}. Say where to promote to.")

    async def require_step(self, source: ChannelName, target: ChannelName) -> None:
        """Raises Conflict `stage-skipped` when a pipeline forbids that way."""
        async with self._database.read() as connection:
            await require_step(connection, source, target)


async def require_step(connection: AsyncConnection, source: ChannelName, target: ChannelName) -> None:
    """The same in an open transaction."""
    for one in await read_pipelines(connection):
        if one.is_strict and target in one.stages[1:]:
            before = one.stages[one.stages.index(target) - 1]
            if before != source:
                raise Conflict(
                    "stage-skipped",
                    f"In pipeline {one.name}, what comes into {target} comes from {before}, not from {source}.",
                )


async def read_pipelines(connection: AsyncConnection) -> list[Pipeline]:
    """Every pipeline as this connection sees it, by name; one that lost all channels but one leads nowhere."""
    columns = pipeline_table.c
    stages: dict[int, list[ChannelName]] = {}
    rows = await connection.execute(
        select(pipeline_stage.c.pipeline_id, tables.channel.c.name)
        .join(tables.channel, tables.channel.c.id == pipeline_stage.c.channel_id)
        .order_by(pipeline_stage.c.position)
    )
    for row in rows:
        stages.setdefault(row.pipeline_id, []).append(ChannelName(row.name))
    found = await connection.execute(select(columns.id, columns.name, columns.is_strict).order_by(columns.name))
    return [Pipeline(row.name, stages.get(row.id, []), row.is_strict) for row in found]


async def measure_lags(reader: Reader, stages: Sequence[Channel]) -> list[Lag]:
    """How far each stage but the first is behind the one before it."""
    return [await _lag(reader, before, stage) for before, stage in itertools.pairwise(stages)]


async def _lag(reader: Reader, before: Channel, stage: Channel) -> Lag:
    missing: set[str] = set()
    records = 0
    for subdir in before.subdirs:
        names = sorted(await reader.differing(before, stage, subdir))
        for some in chunks(names, _BATCH):
            theirs, ours = await reader.read(before, subdir, some), await reader.read(stage, subdir, some)
            lacking = await asyncio.to_thread(_lacking, theirs, ours)
            missing |= lacking.keys()
            records += sum(lacking.values())
    return Lag(stage.name, len(missing), records)


def _lacking(theirs: Mapping[str, Shard], ours: Mapping[str, Shard]) -> dict[str, int]:
    """How many records of each name the latter lack, where they lack any."""
    found: dict[str, int] = {}
    for name, shard in theirs.items():
        here = {filename for filename, _ in ours[name].records()} if name in ours else set()
        lacking = sum(1 for filename, _ in shard.records() if filename not in here)
        if lacking:
            found[name] = lacking
    return found


async def _set_stages(connection: AsyncConnection, number: int, stages: Sequence[ChannelName]) -> None:
    if len(stages) < _LEAST or len(set(stages)) < len(stages):
        raise Invalid("pipeline-invalid", "A pipeline needs at least two channels, each of them once.")
    others = await read_pipelines(connection)
    rows: list[dict[str, Any]] = []
    for position, name in enumerate(stages):
        channel = await get_channel(connection, name)
        if position and channel.kind is not ChannelKind.HOSTED:
            raise Conflict("kind-unfit", f"Channel {name} is {channel.kind}; promotions go into hosted channels.")
        elsewhere = next((one.name for one in others if name in one.stages[:-1] and name in stages[:-1]), None)
        if elsewhere is not None:
            raise Conflict("stage-taken", f"Channel {name} has its next stage in pipeline {elsewhere}.")
        rows.append({"pipeline_id": number, "position": position, "channel_id": channel.id})
    await connection.execute(pipeline_stage.insert(), rows)


async def _id_of(connection: AsyncConnection, name: str) -> int:
    columns = pipeline_table.c
    found = (await connection.execute(select(columns.id).where(columns.name == name))).scalar_one_or_none()
    if found is None:
        raise NotFound("pipeline-unknown", f"There is no pipeline {name[:128]}.")
    number: int = found
    return number


async def _get(connection: AsyncConnection, name: str) -> Pipeline:
    await _id_of(connection, name)
    return next(one for one in await read_pipelines(connection) if one.name == name)

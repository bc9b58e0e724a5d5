"""Publishing: sources, merged by priority, patched, past the gate, into the next revision of a subdir.

Everything happens in the caller's transaction, so readers see the old revision or the new one, never a mixture; and the
virtual channels that show this one are revised in the same transaction.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.channels.catalog import TOPIC, read_channels
from headgate.channels.info import published_info
from headgate.channels.model import Channel, ChannelKind
from headgate.channels.shards import read_shards, save_shards
from headgate.channels.sources import read_offers, read_published
from headgate.conda.patches import PatchInstructions, apply_patches
from headgate.conda.shards import Shard, decode_stored, encode_shard, merge_shards
from headgate.db import tables
from headgate.db.engine import advance_epoch, insert
from headgate.kernel import clock
from headgate.policy import gate

_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class _Subdir:
    id: int
    revision: int
    info: dict[str, Any]
    patch: PatchInstructions


async def publish(
    connection: AsyncConnection, channel_id: int, subdir: str, names: Collection[str] | None, cause: str
) -> None:
    """Bring the published map of a subdir up to what its sources say of `names` (None: of every name).

    Makes one revision when anything differs (or the subdir is new), and revises dependent virtual channels likewise.
    """
    channels = {channel.id: channel for channel in await read_channels(connection)}
    await _publish(connection, channels, channels[channel_id], subdir, names, cause)
    await advance_epoch(connection, TOPIC)


async def ensure_subdir(connection: AsyncConnection, channel_id: int, subdir: str) -> int:
    """The id of a channel's subdir; made, unpublished, at the first question."""
    statement = insert(connection, tables.subdir).values(
        channel_id=channel_id, name=subdir, revision=0, revised_at=clock.now(), info={}
    )
    await connection.execute(statement.on_conflict_do_nothing(index_elements=["channel_id", "name"]))
    return (await _locked_subdir(connection, channel_id, subdir)).id


async def _publish(
    connection: AsyncConnection,
    channels: Mapping[int, Channel],
    channel: Channel,
    subdir: str,
    names: Collection[str] | None,
    cause: str,
) -> None:
    await ensure_subdir(connection, channel.id, subdir)
    state = await _locked_subdir(connection, channel.id, subdir)
    wanted = await _derive(connection, channel, subdir, names, state.patch)
    current = await read_published(connection, channel.id, subdir, names)
    changes = {
        name: wanted.get(name) for name in wanted.keys() | current.keys() if wanted.get(name) != current.get(name)
    }
    info = await published_info(connection, channels, channel, subdir)
    if not changes and info == state.info and state.revision > 0:
        return
    await _append_revision(connection, channel.id, state, info, changes, cause)
    for dependent in channels.values():
        if any(source.member_id == channel.id for source in dependent.sources):
            await _publish(connection, channels, dependent, subdir, changes.keys(), f"{cause} in {channel.name}")


async def _locked_subdir(connection: AsyncConnection, channel_id: int, subdir: str) -> _Subdir:
    columns = tables.subdir.c
    statement = select(columns.id, columns.revision, columns.info, columns.patch).where(
        columns.channel_id == channel_id, columns.name == subdir
    )
    row = (await connection.execute(statement.with_for_update())).one()
    return _Subdir(row.id, row.revision, row.info, PatchInstructions.parse(row.patch or b"{}"))


async def _append_revision(
    connection: AsyncConnection,
    channel_id: int,
    state: _Subdir,
    info: Mapping[str, Any],
    changes: Mapping[str, bytes | None],
    cause: str,
) -> None:
    number, at = state.revision + 1, clock.now()
    rows = [
        {"subdir_id": state.id, "name": name, "revision": number, "digest": digest} for name, digest in changes.items()
    ]
    if rows:
        await connection.execute(tables.entry.insert(), rows)
    await connection.execute(
        tables.revision.insert().values(
            subdir_id=state.id, number=number, created_at=at, cause=cause, changed=len(changes)
        )
    )
    await connection.execute(
        update(tables.subdir).where(tables.subdir.c.id == state.id).values(revision=number, revised_at=at, info=info)
    )
    columns = tables.channel.c
    await connection.execute(
        update(tables.channel).where(columns.id == channel_id).values(revision=columns.revision + 1)
    )


async def _derive(
    connection: AsyncConnection, channel: Channel, subdir: str, names: Collection[str] | None, patch: PatchInstructions
) -> dict[str, bytes]:
    chains: dict[str, list[bytes]] = {}
    for source in channel.sources:
        for name, digest in (await read_offers(connection, source, subdir, names)).items():
            chains.setdefault(name, []).append(digest)
    if channel.kind is ChannelKind.VIRTUAL and channel.settings.is_hiding:
        chains = {name: chain[:1] for name, chain in chains.items()}
    patched = patch.names()
    is_gated = gate.has_rules(channel.name)
    as_is = {n: chain[0] for n, chain in chains.items() if len(chain) == 1 and n not in patched and not is_gated}
    composed = [name for name in chains if name not in as_is]
    for start in range(0, len(composed), _BATCH):
        some = {name: chains[name] for name in composed[start : start + _BATCH]}
        as_is |= await _compose(connection, channel, some, patch)
    return as_is


async def _compose(
    connection: AsyncConnection, channel: Channel, chains: Mapping[str, list[bytes]], patch: PatchInstructions
) -> dict[str, bytes]:
    """Merge, patch and gate the shards of each name; the digests of what is left, stored."""
    bodies = await read_shards(connection, (digest for chain in chains.values() for digest in chain))
    composed: dict[str, tuple[bytes, bytes]] = {}
    for name, chain in chains.items():
        shard = merge_shards([decode_stored(bodies[digest]) for digest in chain])
        published: Shard = gate.evaluate(channel.name, apply_patches(shard, patch)).published
        if not published.is_empty:
            composed[name] = encode_shard(published)
    await save_shards(connection, dict(composed.values()))
    return {name: digest for name, (digest, _) in composed.items()}


async def publish_all(connection: AsyncConnection, channel_id: int, cause: str) -> None:
    """Publish every subdir that the channel has or its members have, and `noarch`, which clients insist on.

    A mirror's `noarch` waits for its first sync: an empty one would be a lie.
    """
    channels = {channel.id: channel for channel in await read_channels(connection)}
    channel = channels[channel_id]
    subdirs = set(channel.subdirs) | (set() if channel.kind is ChannelKind.MIRROR else {"noarch"})
    for source in channel.sources:
        if source.member_id is not None:
            subdirs |= channels[source.member_id].subdirs.keys()
    for subdir in sorted(subdirs):
        await publish(connection, channel_id, subdir, None, cause)
    await advance_epoch(connection, TOPIC)  # there may have been nothing to publish

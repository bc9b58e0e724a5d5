"""The one transaction in which what was carried in becomes a channel's state: all subdirs, or nothing."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.airgap.listing import iter_files
from headgate.airgap.vouching import Vouched
from headgate.audit.events import Action, record
from headgate.channels.catalog import find_channel
from headgate.channels.model import Channel, ChannelKind
from headgate.channels.revisions import ensure_subdir, publish
from headgate.channels.service import create_channel
from headgate.channels.shards import read_shards
from headgate.channels.sources import drop_source_shards, read_source_shards, save_source_shards, source_subdir_id
from headgate.conda.names import ChannelName, Sha256
from headgate.conda.records import from_wire
from headgate.conda.shards import decode_stored
from headgate.db import tables, tables_bundles
from headgate.db.engine import chunks, insert
from headgate.kernel import clock
from headgate.kernel.errors import Conflict
from headgate.storage.local import BlobStore

_NAMES_AT_ONCE = 200
# What a row of a file that was here before takes from the new one.
_NEWEST = ("package", "status", "origin", "sha256", "size_bytes", "record")


@dataclass(frozen=True, slots=True)
class Cargo:
    """The state that a channel is to have: per subdir its `info` and name -> shard digest; the shards are stored.

    `bundle` is the id of what brought it, `number` its place in the chain, `key` who signed it (None: nobody).
    """

    bundle: str
    number: int
    revision: int
    key: str | None
    subdirs: Mapping[str, tuple[Mapping[str, Any], Mapping[str, bytes]]]
    cause: str
    vouched: Vouched = field(default_factory=Vouched)


@dataclass(frozen=True, slots=True)
class Head:
    """The newest of what a channel took in, and the ids of all before it."""

    bundle: str
    number: int
    revision: int
    key: str | None
    earlier: frozenset[str]


async def read_head(connection: AsyncConnection, channel: Channel | None) -> Head | None:
    """What the channel took in last; None when it took in nothing. Raises Conflict `kind-unfit`."""
    if channel is None:
        return None
    if channel.kind is not ChannelKind.BUNDLE:
        raise Conflict(
            "kind-unfit",
            f"Channel {channel.name} is {channel.kind}, and bundles go into channels of their own. Choose another name.",
        )
    statement = (
        select(tables_bundles.bundle)
        .where(tables_bundles.bundle.c.channel_id == channel.id)
        .order_by(tables_bundles.bundle.c.id)
    )
    rows = (await connection.execute(statement)).all()
    if not rows:
        return None
    last = rows[-1]
    return Head(last.bundle, last.number, last.revision, last.key, frozenset(row.bundle for row in rows[:-1]))


async def land(connection: AsyncConnection, store: BlobStore, actor: str, name: ChannelName, cargo: Cargo) -> int:
    """Give the channel its new state in the open transaction; how many names changed.

    Makes a private channel when there is none. Raises Conflict `bundle-incomplete` when bytes are missing.
    """
    channel = await find_channel(connection, name)
    if channel is None:
        await create_channel(connection, actor, name, ChannelKind.BUNDLE)
        channel = await find_channel(connection, name)
    assert channel is not None
    landing = _Landing(connection, store, actor, channel, cargo.cause, cargo.vouched)
    await cargo.vouched.save_trust(connection, channel.sources[0].id)
    touched = 0
    for subdir in sorted({"noarch", *channel.subdirs, *cargo.subdirs}):
        touched += await landing.bring(subdir, *cargo.subdirs.get(subdir, ({}, {})))
    await connection.execute(
        tables_bundles.bundle.insert().values(
            channel_id=channel.id,
            bundle=cargo.bundle,
            number=cargo.number,
            revision=cargo.revision,
            key=cargo.key,
            imported_at=clock.now(),
            imported_by=actor,
        )
    )
    vouched = {
        "attestations": cargo.vouched.attestations,
        "signatures": cargo.vouched.verified,
        "failed": cargo.vouched.failed,
    }
    detail = {"number": cargo.number, "key": cargo.key, "changed": touched, **vouched}
    await record(connection, Action.BUNDLE_IMPORT, actor, channel=name, subject=cargo.bundle, **detail)
    return touched


@dataclass(frozen=True, slots=True)
class _Landing:
    """Brings subdirs of a channel up to what was carried in."""

    connection: AsyncConnection
    store: BlobStore
    actor: str
    channel: Channel
    cause: str
    vouched: Vouched

    async def bring(self, subdir: str, info: Mapping[str, Any], wanted: Mapping[str, bytes]) -> int:
        """Give a subdir its new map (name -> digest), and publish; how many names differ."""
        connection, channel = self.connection, self.channel
        place = await source_subdir_id(connection, channel.sources[0].id, subdir)
        known = {name: digest for name, (_, digest) in (await read_source_shards(connection, place)).items()}
        changed = {name: digest for name, digest in wanted.items() if known.get(name) != digest}
        gone = known.keys() - wanted.keys()
        values = {"info": dict(info), "synced_at": clock.now()}
        chosen = tables.source_subdir.c.id == place
        await connection.execute(update(tables.source_subdir).where(chosen).values(values))
        await save_source_shards(connection, place, {name: (digest, digest) for name, digest in changed.items()})
        await drop_source_shards(connection, place, gone)
        files = _Files(connection, self.store, self.actor, await ensure_subdir(connection, channel.id, subdir))
        for some in chunks(sorted(changed), _NAMES_AT_ONCE):
            await files.replace({name: changed[name] for name in some})
        await files.withdraw(gone)
        signed = await self.vouched.save_signatures(connection, place, subdir)
        await publish(connection, channel.id, subdir, changed.keys() | gone | signed, self.cause)
        return len(changed) + len(gone)


class _Files:
    """Writes down which files a subdir holds, so that their bytes are kept and those of others are not."""

    def __init__(self, connection: AsyncConnection, store: BlobStore, actor: str, subdir_id: int) -> None:
        self._connection = connection
        self._store = store
        self._actor = actor
        self._subdir_id = subdir_id

    async def replace(self, digests: Mapping[str, bytes]) -> None:
        """Let these names (each with its shard) hold exactly what their shards list."""
        bodies = await read_shards(self._connection, digests.values())
        rows = [row for name, digest in digests.items() for row in self._rows(name, bodies[digest])]
        await self.withdraw(digests.keys())
        if not rows:
            return
        now = clock.now()
        blobs = [{"sha256": one["sha256"], "size_bytes": one["size_bytes"], "created_at": now} for one in rows]
        renewing = insert(self._connection, tables.blob)
        await self._connection.execute(
            renewing.on_conflict_do_update(
                index_elements=["sha256"], set_={"created_at": renewing.excluded.created_at}
            ),
            list({one["sha256"]: one for one in blobs}.values()),
        )
        statement = insert(self._connection, tables.artifact)
        columns = {key: statement.excluded[key] for key in _NEWEST}
        await self._connection.execute(
            statement.on_conflict_do_update(index_elements=["subdir_id", "filename"], set_=columns), rows
        )

    async def withdraw(self, names: Collection[str]) -> None:
        """Let these names hold nothing."""
        columns = tables.artifact.c
        for some in chunks(sorted(names)):
            await self._connection.execute(
                update(tables.artifact)
                .where(columns.subdir_id == self._subdir_id, columns.package.in_(some), columns.status != "deleted")
                .values(status="deleted")
            )

    def _rows(self, name: str, body: bytes) -> list[dict[str, Any]]:
        now = clock.now()
        return [
            {
                "subdir_id": self._subdir_id,
                "filename": artifact.filename,
                "package": name,
                "status": "active",
                "origin": "bundle",
                "sha256": sha256,
                "size_bytes": self._size(sha256, artifact.filename),
                "record": msgspec.json.encode(from_wire(listed)),
                "created_at": now,
                "created_by": self._actor,
            }
            for artifact, sha256, listed in iter_files(decode_stored(body))
        ]

    def _size(self, sha256: Sha256, filename: str) -> int:
        path = self._store.find(sha256)
        if path is None:
            raise Conflict(
                "bundle-incomplete",
                f"The bytes of {filename} (sha256 {sha256}) are neither in the bundle nor here. "
                "Take in the full bundle that this one builds on.",
            )
        return path.stat().st_size

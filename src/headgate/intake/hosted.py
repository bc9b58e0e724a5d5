"""Changes to hosted channels: uploads, yanks, deletions; those that come together become one revision.

An artifact's life:

    (absent) --add--> active --yank--> yanked --unyank--> active
                        |                |
                        +-----lapse------+--> lapsed    (its approval has ended; added again, it is active)
                        +----delete------+--> deleted   (its file name is not given to other bytes again)
"""

import asyncio
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.advisories.identities import purls_of, urls_of
from headgate.advisories.names import learn
from headgate.audit.events import Action, record
from headgate.channels.artifacts import LAPSED
from headgate.channels.catalog import require_channel
from headgate.channels.foreseeing import shard_of
from headgate.channels.freezing import require_thawed
from headgate.channels.model import Channel, SourceKind
from headgate.channels.proofs import Checked, add_attestation
from headgate.channels.revisions import ensure_subdir, publish
from headgate.channels.shards import save_shards
from headgate.channels.sources import drop_source_shards, save_source_shards, source_subdir_id
from headgate.channels.states import note_states
from headgate.conda.names import ArtifactName, Sha256, Subdir
from headgate.conda.records import Record
from headgate.conda.shards import Shard, encode_shard
from headgate.db import tables
from headgate.db.engine import Database, insert, savepoint
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, Invalid, NotFound, Unavailable
from headgate.storage.local import BlobStore

_MOST_AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(ABC):
    """One wish for one file of a hosted channel."""

    actor: str
    subdir: Subdir
    artifact: ArtifactName

    @abstractmethod
    async def apply(self, connection: AsyncConnection, channel: Channel, subdir_id: int) -> bool:
        """Write it into the open transaction; True when the index changes. Raises before writing, or not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(Change):
    """Give the channel a file whose bytes are already in the blob store."""

    sha256: Sha256
    size_bytes: int
    record: Record
    about: dict[str, Any] | None
    store: BlobStore
    origin: str = "upload"
    action: Action = Action.ARTIFACT_UPLOAD
    may_replace_deleted: bool = False
    ends_at: datetime | None = None
    """Until when it may stay."""
    attested: Checked | None = None

    async def apply(self, connection: AsyncConnection, channel: Channel, subdir_id: int) -> bool:
        """Raises Conflict `artifact-exists` or `artifact-deleted`; the same bytes again bring at most an attestation."""
        found = await _find(connection, subdir_id, self.artifact)
        if found is not None and found.status != "deleted":
            if found.sha256 == self.sha256 and found.status != LAPSED:
                return await self._attest(connection, channel, subdir_id)
            if found.sha256 != self.sha256:
                raise Conflict(
                    "artifact-exists",
                    f"{channel.name}/{self.subdir}/{self.artifact} exists with other bytes (sha256 {found.sha256}). "
                    "Give the package a new build number.",
                )
        if found is not None and found.sha256 != self.sha256 and not self.may_replace_deleted:
            raise Conflict(
                "artifact-deleted",
                f"{self.artifact} was deleted from {channel.name}/{self.subdir}, and its name is not given to other "
                "bytes. Give the package a new build number, or ask an administrator to replace it.",
            )
        await remember_blob(connection, self.store, self.sha256, self.size_bytes)
        values = {
            "package": self.artifact.name,
            "status": "active",
            "origin": self.origin,
            "sha256": self.sha256,
            "size_bytes": self.size_bytes,
            "record": msgspec.json.encode(self.record),
            "about": self.about,
            "created_at": clock.now(),
            "created_by": self.actor,
            "ends_at": self.ends_at,
        }
        statement = insert(connection, tables.artifact).values(
            subdir_id=subdir_id, filename=self.artifact.filename, **values
        )
        await connection.execute(statement.on_conflict_do_update(index_elements=["subdir_id", "filename"], set_=values))
        name = self.artifact.name
        await learn(connection, {name: purls_of(self.record)}, {name: urls_of(self.about or {})})
        await _audit(connection, self.action, self, channel, sha256=self.sha256, size_bytes=self.size_bytes)
        await self._attest(connection, channel, subdir_id)
        return True

    async def _attest(self, connection: AsyncConnection, channel: Channel, subdir_id: int) -> bool:
        """Let the record name the attestation, beside those that it named; False when there is no news."""
        columns = tables.artifact.c
        chosen = (columns.subdir_id == subdir_id, columns.filename == self.artifact.filename)
        known: Record = msgspec.json.decode(
            (await connection.execute(select(columns.record).where(*chosen))).scalar_one()
        )
        added = None if self.attested is None else await add_attestation(connection, known, self.attested)
        if added is None:
            return False
        record = known | {"attestations_sha256": added.sidecar}
        await connection.execute(update(tables.artifact).where(*chosen).values(record=msgspec.json.encode(record)))
        publishers = [one.identity for one in added.attested.publishers]
        await _audit(
            connection, Action.ARTIFACT_ATTEST, self, channel, attestations=added.sidecar, publishers=publishers
        )
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class SetStatus(Change):
    """Yank, undo a yank, or delete."""

    action: Action
    status: str
    allowed_from: frozenset[str]

    async def apply(self, connection: AsyncConnection, channel: Channel, subdir_id: int) -> bool:
        """Raises NotFound `artifact-unknown`, Conflict `artifact-status`, and `channel-frozen` for a deletion.

        A deleted file is out of reach at once, so a frozen index would name what nobody can have.
        """
        found = await _find(connection, subdir_id, self.artifact)
        if found is None or found.status == "deleted":
            raise NotFound("artifact-unknown", f"There is no {self.artifact} in {channel.name}/{self.subdir}.")
        if found.status == self.status:
            return False
        if found.status not in self.allowed_from:
            raise Conflict("artifact-status", f"{self.artifact} is {found.status}; it cannot become {self.status}.")
        if self.status == "deleted":
            await require_thawed(connection, channel.name)
        chosen = tables.artifact.c.id == found.id
        await connection.execute(update(tables.artifact).where(chosen).values(status=self.status))
        await _audit(connection, self.action, self, channel, sha256=found.sha256)
        return True


def yank(actor: str, subdir: Subdir, artifact: ArtifactName) -> SetStatus:
    """Take a file out of the index; whoever names it can still download it."""
    return SetStatus(
        actor=actor, subdir=subdir, artifact=artifact,
        action=Action.ARTIFACT_YANK, status="yanked", allowed_from=frozenset({"active"}),
    )  # fmt: skip


def unyank(actor: str, subdir: Subdir, artifact: ArtifactName) -> SetStatus:
    """Put a yanked file back into the index."""
    return SetStatus(
        actor=actor, subdir=subdir, artifact=artifact,
        action=Action.ARTIFACT_UNYANK, status="active", allowed_from=frozenset({"yanked"}),
    )  # fmt: skip


def lapse(actor: str, subdir: Subdir, artifact: ArtifactName) -> SetStatus:
    """Take a file whose approval has ended out of the index and out of reach, until it is approved again."""
    return SetStatus(
        actor=actor, subdir=subdir, artifact=artifact,
        action=Action.ARTIFACT_LAPSE, status=LAPSED, allowed_from=frozenset({"active", "yanked"}),
    )  # fmt: skip


def delete(actor: str, subdir: Subdir, artifact: ArtifactName) -> SetStatus:
    """Take a file out of the index and out of reach, for good."""
    return SetStatus(
        actor=actor, subdir=subdir, artifact=artifact,
        action=Action.ARTIFACT_DELETE, status="deleted", allowed_from=frozenset({"active", "yanked", LAPSED}),
    )  # fmt: skip


def require_hosted(channel: Channel) -> None:
    """Raises Conflict `kind-unfit` for any other kind of channel."""
    if not any(source.kind is SourceKind.HOSTED for source in channel.sources):
        raise Conflict(
            "kind-unfit", f"Channel {channel.name} is {channel.kind}; files are uploaded to hosted channels."
        )


class HostedWriter:
    """Applies changes to hosted channels: while one transaction commits, the next changes gather into one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[int, list[tuple[Change, asyncio.Future[bool]]]] = defaultdict(list)
        self._drains: dict[int, asyncio.Task[None]] = {}

    async def submit(self, channel: Channel, change: Change) -> bool:
        """Apply the change; when this returns it is in the index. False when there was nothing to do.

        Raises Conflict `kind-unfit` for a channel that is not hosted, NotFound `channel-unknown` for one that was
        deleted meanwhile, and what the change raises.
        """
        require_hosted(channel)
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[channel.id].append((change, future))
        if channel.id not in self._drains:
            self._drains[channel.id] = asyncio.create_task(self._drain(channel))
        return await future

    async def _drain(self, channel: Channel) -> None:
        waiting = self._waiting[channel.id]
        try:
            while waiting:
                batch = waiting[:_MOST_AT_ONCE]
                del waiting[:_MOST_AT_ONCE]
                await self._commit(channel, batch)
        finally:
            del self._drains[channel.id]

    async def _commit(self, channel: Channel, batch: list[tuple[Change, asyncio.Future[bool]]]) -> None:
        outcomes: list[bool | Exception] = []
        try:
            async with self._database.write() as connection:
                await require_channel(connection, channel)
                for change, _ in batch:
                    outcomes.append(await _applied(connection, channel, change))
                changed = [change for (change, _), outcome in zip(batch, outcomes, strict=True) if outcome is True]
                await _reindex(connection, channel, changed)
        except Exception as error:  # noqa: BLE001 - the transaction is undone: everyone who waited learns why
            outcomes = [error] * len(batch)
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)


async def apply_together(connection: AsyncConnection, channel: Channel, changes: Sequence[Change], cause: str) -> None:
    """All changes in the open transaction, one revision per subdir; raises what the first refused one raises."""
    await require_channel(connection, channel)
    changed = []
    for change in changes:
        subdir_id = await ensure_subdir(connection, channel.id, change.subdir)
        if await change.apply(connection, channel, subdir_id):
            changed.append(change)
    await _reindex(connection, channel, changed, cause)


async def _applied(connection: AsyncConnection, channel: Channel, change: Change) -> bool | Exception:
    try:
        async with savepoint(connection):  # a refused change leaves nothing behind, not even its subdir
            subdir_id = await ensure_subdir(connection, channel.id, change.subdir)
            return await change.apply(connection, channel, subdir_id)
    except (Conflict, Invalid, NotFound, Unavailable) as error:
        return error


async def _reindex(
    connection: AsyncConnection, channel: Channel, changes: list[Change], cause: str = "artifacts changed"
) -> None:
    touched: dict[Subdir, set[ArtifactName]] = defaultdict(set)
    for change in changes:
        touched[change.subdir].add(change.artifact)
    for subdir, artifacts in touched.items():
        subdir_id = await ensure_subdir(connection, channel.id, subdir)
        await note_states(connection, subdir_id, {artifact.filename for artifact in artifacts})
        names = {artifact.name for artifact in artifacts}
        await reindex_names(connection, channel, subdir, names, cause)


async def reindex_names(
    connection: AsyncConnection, channel: Channel, subdir: Subdir, names: Collection[str], cause: str
) -> None:
    """Make the raw shards of these packages anew, of the files that are active, and publish what that changes."""
    source = next(source for source in channel.sources if source.kind is SourceKind.HOSTED)
    subdir_id = await ensure_subdir(connection, channel.id, subdir)
    place = await source_subdir_id(connection, source.id, subdir)
    for name in sorted(names):
        shard = await _hosted_shard(connection, subdir_id, name)
        if shard.is_empty:
            await drop_source_shards(connection, place, [name])
            continue
        digest, body = encode_shard(shard)
        await save_shards(connection, {digest: body})
        await save_source_shards(connection, place, {name: (digest, digest)})
    await publish(connection, channel.id, subdir, names, cause)


async def _hosted_shard(connection: AsyncConnection, subdir_id: int, package: str) -> Shard:
    columns = tables.artifact.c
    rows = await connection.execute(
        select(columns.filename, columns.record).where(
            columns.subdir_id == subdir_id, columns.package == package, columns.status == "active"
        )
    )
    return shard_of({row.filename: msgspec.json.decode(row.record) for row in rows})


async def remember_blob(connection: AsyncConnection, store: BlobStore, sha256: Sha256, size_bytes: int) -> None:
    """Name a blob in the open transaction, which keeps it from being collected. Raises Unavailable `blob-vanished`."""
    statement = insert(connection, tables.blob).values(sha256=sha256, size_bytes=size_bytes, created_at=clock.now())
    renewed = {"created_at": statement.excluded.created_at}
    await connection.execute(statement.on_conflict_do_update(index_elements=["sha256"], set_=renewed))
    if store.find(sha256) is None:
        raise Unavailable("blob-vanished", "The file was collected while it was being added. Send it again.")


async def _find(connection: AsyncConnection, subdir_id: int, artifact: ArtifactName) -> Any:
    columns = tables.artifact.c
    found = await connection.execute(
        select(columns.id, columns.status, columns.sha256).where(
            columns.subdir_id == subdir_id, columns.filename == artifact.filename
        )
    )
    return found.one_or_none()


async def _audit(connection: AsyncConnection, action: Action, change: Change, channel: Channel, **detail: Any) -> None:
    subject = f"{change.subdir}/{change.artifact}"
    await record(connection, action, change.actor, channel=channel.name, subject=subject, **detail)

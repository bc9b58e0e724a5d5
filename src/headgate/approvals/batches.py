"""Batches: files of a hosted channel that are changed together, all of them or none.

copy     given to another hosted channel as well
move     given to another hosted channel, and taken out of this one
yank     taken out of the index; who names them can still download them
unyank   put back into the index
delete   taken out of reach, for good

Bytes do not move: every channel names them by their digest. The revisions of both channels are of one transaction.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.approvals.pipelines import require_step
from headgate.approvals.wants import Want, parse_wants
from headgate.audit.events import Action, record
from headgate.channels.catalog import get_channel, require_channel
from headgate.channels.foreseeing import foresee, sentences
from headgate.channels.model import Channel
from headgate.channels.revisions import read_world
from headgate.conda.names import EXTENSIONS, ArtifactName, ChannelName, Sha256, Subdir
from headgate.conda.records import Record
from headgate.conda.specs import matches, parse_spec
from headgate.db import tables
from headgate.db.engine import Database, chunks
from headgate.intake.hosted import Add, Change, apply_together, delete, require_hosted, unyank, yank
from headgate.kernel.errors import Conflict, Invalid, NotFound
from headgate.storage.local import BlobStore


class BatchAction(StrEnum):
    """What is done to the files. Stored."""

    COPY = "copy"
    MOVE = "move"
    YANK = "yank"
    UNYANK = "unyank"
    DELETE = "delete"

    @property
    def has_target(self) -> bool:
        """Whether another channel gets them."""
        return self in {BatchAction.COPY, BatchAction.MOVE}

    @property
    def takes(self) -> frozenset[str]:
        """The status of files that it can be done to."""
        if self is BatchAction.UNYANK:
            return frozenset({"yanked"})
        return frozenset({"active", "yanked"}) if self is BatchAction.DELETE else frozenset({"active"})


class FileFate(StrEnum):
    """How a file of a batch stands."""

    CHANGED = "changed"
    PRESENT = "present"
    """The target has it already."""
    CONFLICT = "conflict"
    """The target has, or had, that name with other bytes."""
    HELD = "held"
    """Policies hold it back here, or would in the target."""


@dataclass(frozen=True, slots=True)
class BatchWish:
    """What somebody wants done: to which files (match specs, file names, purls, digests) of a channel, in which subdirs.

    Without `subdirs`, in all of them.
    """

    action: BatchAction
    channel: ChannelName
    texts: Sequence[str]
    target: ChannelName | None = None
    subdirs: Sequence[Subdir] = ()


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One file of a batch; `record` is in JSON form."""

    subdir: Subdir
    filename: str
    sha256: Sha256
    size_bytes: int
    record: Record
    about: dict[str, Any] | None
    fate: FileFate = FileFate.CHANGED
    reason: str = ""

    @property
    def artifact(self) -> ArtifactName:
        """Its name, parsed."""
        return ArtifactName.parse(self.filename)


@dataclass(frozen=True, slots=True)
class Batch:
    """What would be done; `digest` changes with everything that a decision could rest on."""

    wish: BatchWish
    items: Sequence[BatchItem]

    @property
    def hindrances(self) -> list[str]:
        """A sentence for each file that keeps the batch from being carried out."""
        return [f"{one.subdir}/{one.filename}: {one.reason}" for one in self.items if one.reason]

    @property
    def packages(self) -> set[str]:
        """The packages that are touched."""
        return {str(one.artifact.name) for one in self.items}

    @property
    def digest(self) -> str:
        """SHA-256, as hexadecimal digits."""
        facts = [(str(one.subdir), one.filename, str(one.sha256), one.fate.value) for one in self.items]
        return hashlib.sha256(
            msgspec.json.encode((self.wish.action.value, self.wish.target, facts), enc_hook=str)
        ).hexdigest()


class BatchService:
    """Works batches out, and carries them out."""

    def __init__(self, database: Database, store: BlobStore) -> None:
        self._database = database
        self._store = store

    async def plan(self, wish: BatchWish) -> Batch:
        """What would be done; changes nothing.

        Raises Conflict `kind-unfit`, Invalid `batch-aimless`, `want-invalid` or `match-spec-invalid`, NotFound
        `channel-unknown` or `want-unknown`.
        """
        async with self._database.read() as connection:
            return await self._plan(connection, wish)

    async def carry_out(
        self, actor: str, wish: BatchWish, *, digest: str | None = None, comment: str = "", key: str | None = None
    ) -> Batch | None:
        """Do it: one revision per subdir and channel, all or nothing. None: it was done before under that `key`.

        Raises what `plan` raises, and Conflict `batch-outdated`, `batch-hindered` with a reason for each file,
        `batch-empty`, `stage-skipped`, or what a single change raises.
        """
        async with self._database.write() as connection:
            if key is not None and await _was_done(connection, key):
                return None
            source = await get_channel(connection, wish.channel)
            target = None if wish.target is None else await get_channel(connection, wish.target)
            for channel in sorted(filter(None, (source, target)), key=lambda one: one.id):
                await require_channel(connection, channel)
            if target is not None:
                await require_step(connection, source.name, target.name)
            batch = await self._plan(connection, wish)
            _require_feasible(batch, digest)
            if target is not None:
                changes = self._adds(actor, batch)
                await apply_together(connection, target, changes, f"{_DONE[wish.action]} from {source.name}")
            if wish.action is not BatchAction.COPY:
                await apply_together(connection, source, _removals(actor, batch), f"files {_DONE[wish.action]}")
            detail = {"change": wish.action, "target": wish.target, "wants": list(wish.texts), "comment": comment}
            await record(
                connection,
                Action.ARTIFACT_BATCH,
                actor,
                channel=source.name,
                subject=key,
                files=len(batch.items),
                **detail,
            )
        return batch

    async def _plan(self, connection: AsyncConnection, wish: BatchWish) -> Batch:
        if wish.action.has_target != (wish.target is not None) or wish.target == wish.channel:
            raise Invalid("batch-aimless", "Copying and moving need another channel to go to; nothing else has one.")
        source = await get_channel(connection, wish.channel)
        require_hosted(source)
        wants = parse_wants(wish.texts)
        items = await _select(connection, source, wish, wants)
        if wish.target is not None:
            target = await get_channel(connection, wish.target)
            require_hosted(target)
            items = await _compared(connection, source, target, items)
        return Batch(wish, items)

    def _adds(self, actor: str, batch: Batch) -> list[Change]:
        action = Action.ARTIFACT_COPY if batch.wish.action is BatchAction.COPY else Action.ARTIFACT_MOVE
        return [
            Add(
                actor=actor,
                subdir=item.subdir,
                artifact=item.artifact,
                sha256=item.sha256,
                size_bytes=item.size_bytes,
                record=item.record,
                about=item.about,
                store=self._store,
                origin=f"{batch.wish.action} from {batch.wish.channel}",
                action=action,
            )
            for item in batch.items
            if item.fate is FileFate.CHANGED
        ]


_DONE = {
    BatchAction.COPY: "copied",
    BatchAction.MOVE: "moved",
    BatchAction.YANK: "yanked",
    BatchAction.UNYANK: "listed again",
    BatchAction.DELETE: "deleted",
}
_CHANGES = {
    BatchAction.MOVE: delete,
    BatchAction.DELETE: delete,
    BatchAction.YANK: yank,
    BatchAction.UNYANK: unyank,
}


def _removals(actor: str, batch: Batch) -> list[Change]:
    make = _CHANGES[batch.wish.action]
    return [make(actor, item.subdir, item.artifact) for item in batch.items]


def _require_feasible(batch: Batch, digest: str | None) -> None:
    if digest is not None and digest != batch.digest:
        raise Conflict("batch-outdated", "Something changed since the preview. Look at a new one, and decide again.")
    if batch.hindrances:
        raise Conflict("batch-hindered", "Some files cannot be changed so.", batch.hindrances)
    is_copy = batch.wish.action is BatchAction.COPY
    if is_copy and all(item.fate is FileFate.PRESENT for item in batch.items):
        raise Conflict("batch-empty", f"Channel {batch.wish.target} has all of it already.")


async def _was_done(connection: AsyncConnection, key: str) -> bool:
    columns = tables.audit_event.c
    chosen = select(columns.id).where(columns.action == Action.ARTIFACT_BATCH, columns.subject == key)
    return (await connection.execute(chosen.limit(1))).first() is not None


async def _select(
    connection: AsyncConnection, channel: Channel, wish: BatchWish, wants: Sequence[Want]
) -> list[BatchItem]:
    """The files that the wants mean. Raises NotFound `want-unknown` for one that means none."""
    found: dict[tuple[Subdir, str], BatchItem] = {}
    rows = await _rows(connection, channel, wish, wants)
    for want in wants:
        meant = {(one.subdir, one.filename): one for one in rows if _is_meant(want, one)}
        if not meant:
            state = " or ".join(sorted(wish.action.takes))
            raise NotFound("want-unknown", f"Channel {channel.name} holds no {state} file that is {want.text}.")
        found |= meant
    return [found[key] for key in sorted(found)]


def _is_meant(want: Want, item: BatchItem) -> bool:
    if want.sha256 is not None:
        return want.sha256 == item.sha256
    if want.subdir not in {None, item.subdir}:
        return False
    if want.text.endswith(EXTENSIONS):
        return want.text.rpartition("/")[2] == item.filename
    return matches(parse_spec(want.spec), item.record)


async def _rows(
    connection: AsyncConnection, channel: Channel, wish: BatchWish, wants: Iterable[Want]
) -> list[BatchItem]:
    columns = tables.artifact.c
    statement = (
        select(
            tables.subdir.c.name, columns.filename, columns.sha256, columns.size_bytes, columns.record, columns.about
        )
        .join(tables.subdir, tables.subdir.c.id == columns.subdir_id)
        .where(tables.subdir.c.channel_id == channel.id, columns.status.in_(sorted(wish.action.takes)))
    )
    names = {want.name for want in wants if want.sha256 is None}
    if all(want.sha256 is None for want in wants):
        statement = statement.where(columns.package.in_(sorted(names)))
    if wish.subdirs:
        statement = statement.where(tables.subdir.c.name.in_(wish.subdirs))
    return [
        BatchItem(
            Subdir(row.name),
            row.filename,
            Sha256(row.sha256),
            row.size_bytes,
            msgspec.json.decode(row.record, type=dict),
            row.about,
        )
        for row in await connection.execute(statement)
    ]


async def _compared(
    connection: AsyncConnection, source: Channel, target: Channel, items: Sequence[BatchItem]
) -> list[BatchItem]:
    """The items as they stand in the target; what policies hold back on either side does not pass."""
    by_subdir: dict[Subdir, list[BatchItem]] = defaultdict(list)
    for item in items:
        by_subdir[item.subdir].append(item)
    world = await read_world(connection)
    found: list[BatchItem] = []
    for subdir, some in by_subdir.items():
        held = await _held(connection, target, subdir, some)
        records = {one.filename: one.record for one in some}
        barred = {
            **await foresee(connection, world, target, subdir, records),
            **await foresee(connection, world, source, subdir, records),
        }
        for item in some:
            status, sha256 = held.get(item.filename, ("", item.sha256))
            if sha256 != item.sha256:
                reason = f"{target.name} has or had other bytes under that name."
                found.append(replace(item, fate=FileFate.CONFLICT, reason=reason))
            elif item.filename in barred:
                reason = " ".join(sentences([barred[item.filename]]))
                found.append(replace(item, fate=FileFate.HELD, reason=reason))
            else:
                is_there = status in {"active", "yanked"}
                found.append(replace(item, fate=FileFate.PRESENT if is_there else FileFate.CHANGED))
    return found


async def _held(
    connection: AsyncConnection, target: Channel, subdir: Subdir, items: Sequence[BatchItem]
) -> Mapping[str, tuple[str, str]]:
    """(status, sha256) of the target's files of those names."""
    columns = tables.artifact.c
    held: dict[str, tuple[str, str]] = {}
    for some in chunks([item.filename for item in items]):
        rows = await connection.execute(
            select(columns.filename, columns.status, columns.sha256)
            .join(tables.subdir, tables.subdir.c.id == columns.subdir_id)
            .where(tables.subdir.c.channel_id == target.id, tables.subdir.c.name == subdir, columns.filename.in_(some))
        )
        held |= {row.filename: (row.status, row.sha256) for row in rows}
    return held

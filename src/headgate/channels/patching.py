"""Patch instructions of channels: looked at before, put in force as one revision per subdir, undone.

Each state of a subdir's instructions is kept. Undoing puts the one before in force again, and is a state of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.audit.events import Action, record
from headgate.channels.catalog import get_channel
from headgate.channels.corrections import Corrections, corrections_of, read_avoided, read_corrections
from headgate.channels.model import Channel
from headgate.channels.revisions import ensure_subdir, publish, read_chains
from headgate.channels.shards import read_shards
from headgate.conda.names import Subdir
from headgate.conda.patches import PatchInstructions
from headgate.conda.records import Record, from_wire
from headgate.conda.shards import decode_stored, merge_shards
from headgate.db import tables
from headgate.db.engine import Database, chunks
from headgate.db.tables_life import patch_edit
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, NotFound

NOTHING = b'{"patch_instructions_version":1}'
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class RecordChange:
    """A record that a patch changes: each field that differs, as (before, after); None stands for an absent one."""

    subdir: str
    filename: str
    fields: Mapping[str, tuple[Any, Any]]
    is_removed: bool = False
    is_restored: bool = False


@dataclass(frozen=True, slots=True)
class PatchEdit:
    """That a subdir's instructions became others; `revision` is the first that shows it."""

    id: int
    subdir: Subdir
    revision: int
    origin: str | None
    comment: str
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class Edit:
    """Who edits, why, and with what package; all subdirs that one edit touches have its moment."""

    actor: str
    comment: str = ""
    origin: str | None = None
    at: datetime = field(default_factory=clock.now)


class PatchService:
    """Writes patch instructions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, channel: Channel, subdir: Subdir) -> bytes:
        """A subdir's instructions as they were given."""
        columns = tables.subdir.c
        async with self._database.read() as connection:
            found = await connection.execute(
                select(columns.patch).where(columns.channel_id == channel.id, columns.name == subdir)
            )
            return found.scalar_one_or_none() or NOTHING

    async def preview(self, channel: Channel, documents: Mapping[Subdir, bytes]) -> list[RecordChange]:
        """What these instructions, in the place of those in force, would make of the records. Raises Invalid `patch-invalid`."""
        found: list[RecordChange] = []
        async with self._database.read() as connection:
            avoided = await read_avoided(connection, channel.id)
            for subdir, document in sorted(documents.items()):
                old, new = await read_corrections(connection, channel.id, subdir), corrections_of(document, avoided)
                found.extend(await compare(connection, channel, subdir, old, new))
        return found

    async def apply(
        self, actor: str, name: str, documents: Mapping[Subdir, bytes], *, origin: str | None = None, comment: str = ""
    ) -> None:
        """Replace the instructions of these subdirs (`{}`: none) and publish what that changes.

        Raises NotFound `channel-unknown`, Invalid `patch-invalid`.
        """
        for document in documents.values():
            PatchInstructions.parse(document)
        edit = Edit(actor, comment, origin)
        async with self._database.write() as connection:
            channel = await get_channel(connection, name)
            for subdir, document in sorted(documents.items()):
                number = await ensure_subdir(connection, channel.id, subdir)
                touched = await put_in_force(connection, number, document, edit)
                detail = {"names": len(touched), "origin": origin, "comment": comment}
                await record(connection, Action.CHANNEL_PATCH, actor, channel=name, subject=subdir, **detail)
                await publish(connection, channel.id, subdir, touched, "patch instructions changed")

    async def undo(self, actor: str, name: str, number: int, comment: str = "") -> list[Subdir]:
        """Put in force what was before an edit, in every subdir that the same package edited; the subdirs.

        Raises NotFound `channel-unknown` or `patch-unknown`, Conflict `patch-superseded` unless it is the newest there.
        """
        async with self._database.write() as connection:
            channel = await get_channel(connection, name)
            edits = [_edit(row) for row in await connection.execute(_of(channel).order_by(patch_edit.c.id.desc()))]
            undone = _together(edits, number, name)
            for edit in undone:
                newest, *older = (one for one in edits if one.subdir == edit.subdir)
                if newest.id != edit.id:
                    raise Conflict(
                        "patch-superseded",
                        f"{name}/{edit.subdir} was patched again since. Undo edit {newest.id} first.",
                    )
                state = await ensure_subdir(connection, channel.id, edit.subdir)
                document = await _document(connection, older[0].id) if older else b"{}"
                touched = await put_in_force(connection, state, document, Edit(actor, f"undo of edit {edit.id}"))
                detail = {"names": len(touched), "undone": edit.id, "comment": comment}
                await record(connection, Action.CHANNEL_PATCH, actor, channel=name, subject=edit.subdir, **detail)
                await publish(connection, channel.id, edit.subdir, touched, f"patch {edit.id} undone")
        return [edit.subdir for edit in undone]

    async def history(self, channel: Channel, *, before: int | None, limit: int) -> list[PatchEdit]:
        """The edits of a channel's instructions, the newest first; those with a smaller id than `before`."""
        statement = _of(channel).order_by(patch_edit.c.id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(patch_edit.c.id < before)
        async with self._database.read() as connection:
            return [_edit(row) for row in await connection.execute(statement)]


async def put_in_force(connection: AsyncConnection, subdir_id: int, document: bytes, edit: Edit) -> set[str]:
    """Replace a subdir's instructions in the open transaction; the packages that the old or the new ones touch."""
    columns = tables.subdir.c
    old = (await connection.execute(select(columns.patch, columns.revision).where(columns.id == subdir_id))).one()
    await connection.execute(update(tables.subdir).where(columns.id == subdir_id).values(patch=document))
    await connection.execute(
        patch_edit.insert().values(
            subdir_id=subdir_id,
            revision=old.revision + 1,
            document=document,
            origin=edit.origin,
            comment=edit.comment,
            created_at=edit.at,
            created_by=edit.actor,
        )
    )
    return PatchInstructions.parse(document).names() | PatchInstructions.parse(old.patch or b"{}").names()


async def patch_at(connection: AsyncConnection, subdir_id: int, revision: int) -> bytes:
    """The instructions in force at a revision."""
    columns = patch_edit.c
    statement = select(columns.document).where(columns.subdir_id == subdir_id, columns.revision <= revision)
    found = await connection.execute(statement.order_by(columns.id.desc()).limit(1))
    return found.scalar_one_or_none() or b"{}"


async def compare(
    connection: AsyncConnection, channel: Channel, subdir: str, old: Corrections, new: Corrections
) -> list[RecordChange]:
    """The records of a subdir that differ by the corrections alone."""
    chains = await read_chains(connection, channel, subdir, old.names() | new.names())
    found: list[RecordChange] = []
    for some in chunks(sorted(chains), _BATCH):
        bodies = await read_shards(connection, (digest for name in some for _, digest in chains[name]))
        for name in some:
            raw = merge_shards([decode_stored(bodies[digest]) for _, digest in chains[name]])
            before, after = dict(old.apply(raw).records()), dict(new.apply(raw).records())
            found.extend(_changes(subdir, before, after))
    return found


def _changes(subdir: str, before: Mapping[str, Record], after: Mapping[str, Record]) -> Iterator[RecordChange]:
    for filename in sorted(before.keys() | after.keys()):
        if filename not in after or filename not in before:
            is_removed = filename not in after
            yield RecordChange(subdir, filename, {}, is_removed=is_removed, is_restored=not is_removed)
            continue
        old, new = from_wire(before[filename]), from_wire(after[filename])
        differing = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
        if differing:
            yield RecordChange(subdir, filename, {key: (old.get(key), new.get(key)) for key in differing})


def _together(edits: Sequence[PatchEdit], number: int, name: str) -> list[PatchEdit]:
    """The edit, and those that the same package brought with it."""
    found = next((edit for edit in edits if edit.id == number), None)
    if found is None:
        raise NotFound("patch-unknown", f"Channel {name} has no patch edit {number}.")
    if found.origin is None:
        return [found]
    return [edit for edit in edits if (edit.origin, edit.created_at) == (found.origin, found.created_at)]


async def _document(connection: AsyncConnection, number: int) -> bytes:
    found = await connection.execute(select(patch_edit.c.document).where(patch_edit.c.id == number))
    document: bytes = found.scalar_one()
    return document


def _of(channel: Channel) -> Select[Any]:
    """The edits of a channel; without the documents, which may be as large as an index."""
    columns = [column for column in patch_edit.c if column.name != "document"]
    return (
        select(*columns, tables.subdir.c.name.label("subdir"))
        .join(tables.subdir, tables.subdir.c.id == patch_edit.c.subdir_id)
        .where(tables.subdir.c.channel_id == channel.id)
    )


def _edit(row: Any) -> PatchEdit:
    return PatchEdit(
        id=row.id,
        subdir=Subdir(row.subdir),
        revision=row.revision,
        origin=row.origin,
        comment=row.comment,
        created_at=row.created_at,
        created_by=row.created_by,
    )

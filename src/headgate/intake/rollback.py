"""Rollback: a hosted channel's subdirs as they were at an earlier revision, published as their next one.

Files that came since are yanked: out of the index, and still there for who names them. Files that were yanked or
deleted since come back, as far as their bytes are here. The patch instructions of then are in force again. What is
published passes the gate as it is now. Nothing is forgotten, so a rollback is undone by another one.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.audit.events import Action, record
from headgate.channels.artifacts import LAPSED
from headgate.channels.catalog import get_channel, require_channel
from headgate.channels.corrections import corrections_of, read_avoided, read_corrections
from headgate.channels.foreseeing import foresee, sentences
from headgate.channels.freezing import require_thawed
from headgate.channels.model import Channel, SubdirState
from headgate.channels.patching import Edit, RecordChange, compare, patch_at, put_in_force
from headgate.channels.revisions import World, read_world
from headgate.channels.states import FileState, note_states, read_states
from headgate.conda.names import Sha256, Subdir, package_of
from headgate.conda.patches import PatchInstructions
from headgate.conda.records import Record
from headgate.db import tables
from headgate.db.engine import Database, chunks
from headgate.intake.hosted import reindex_names, remember_blob, require_hosted
from headgate.kernel.errors import Conflict, Invalid, NotFound
from headgate.storage.local import BlobStore

_MOST_NAMED = 200
"""Files that the audit trail names; of more it has the number."""


class Fate(StrEnum):
    """What a rollback makes of a file."""

    APPEARS = "appears"
    DISAPPEARS = "disappears"
    LOST = "lost"
    """It was there, and cannot come back."""


@dataclass(frozen=True, slots=True)
class FileFate:
    """A file whose place in the index changes; `reason` says what stands in the way, or what was done to it since."""

    subdir: Subdir
    filename: str
    fate: Fate
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What a rollback does to one subdir; `patch` are the instructions to put in force, None when they stay."""

    subdir: Subdir
    subdir_id: int
    current: int
    to: int
    files: Sequence[FileFate]
    patch: bytes | None
    records: Sequence[RecordChange]

    def of(self, fate: Fate) -> list[str]:
        """The file names with that fate."""
        return [one.filename for one in self.files if one.fate is fate]

    @property
    def is_empty(self) -> bool:
        """Whether nothing would differ."""
        return self.patch is None and not any(one.fate is not Fate.LOST for one in self.files)


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """What a rollback would do; `digest` changes with everything that a decision could rest on."""

    channel: Channel
    steps: Sequence[Step]

    @property
    def digest(self) -> str:
        """SHA-256, as hexadecimal digits."""
        facts = [
            (str(one.subdir), one.current, one.to, [(file.filename, file.fate) for file in one.files])
            for one in self.steps
        ]
        return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()


class RollbackService:
    """Rolls hosted channels back."""

    def __init__(self, database: Database, store: BlobStore) -> None:
        self._database = database
        self._store = store

    async def revisions_at(self, channel: Channel, moment: datetime, subdirs: Sequence[Subdir]) -> dict[Subdir, int]:
        """The revision that each subdir (all, when none is named) showed at a moment; 0 before its first one."""
        columns = tables.revision.c
        found: dict[Subdir, int] = {}
        async with self._database.read() as connection:
            for subdir in subdirs or [state.name for state in channel.subdirs.values()]:
                chosen = select(func.max(columns.number)).where(
                    columns.subdir_id == _state_of(channel, subdir).id, columns.created_at <= moment
                )
                found[subdir] = (await connection.execute(chosen)).scalar_one() or 0
        return found

    async def plan(self, channel: Channel, targets: Mapping[Subdir, int]) -> RollbackPlan:
        """What rolling these subdirs back to these revisions would do; changes nothing.

        Raises Conflict `kind-unfit` or `revision-forgotten`, NotFound `subdir-unknown` or `revision-unknown`.
        """
        async with self._database.read() as connection:
            return await self._plan(connection, await get_channel(connection, channel.name), targets)

    async def roll_back(
        self, actor: str, name: str, targets: Mapping[Subdir, int], *, digest: str | None = None, comment: str
    ) -> RollbackPlan:
        """Do it, as one revision per subdir, all or nothing; what was done.

        `digest` is that of the plan which the person saw. Raises what `plan` raises, and Conflict `channel-frozen`,
        `rollback-outdated` or `rollback-empty`.
        """
        async with self._database.write() as connection:
            channel = await get_channel(connection, name)
            await require_channel(connection, channel)
            await require_thawed(connection, name)
            plan = await self._plan(connection, channel, targets)
            if digest is not None and digest != plan.digest:
                raise Conflict("rollback-outdated", "Something changed since the preview. Look at a new one.")
            if all(step.is_empty for step in plan.steps):
                raise Conflict("rollback-empty", f"Channel {name} is as it was then: there is nothing to roll back.")
            for step in plan.steps:
                await self._take(connection, actor, channel, step, comment)
            await record(connection, Action.CHANNEL_ROLLBACK, actor, channel=name, comment=comment, **_detail(plan))
        return plan

    async def _plan(self, connection: AsyncConnection, channel: Channel, targets: Mapping[Subdir, int]) -> RollbackPlan:
        require_hosted(channel)
        if not targets:
            raise Invalid("rollback-aimless", "Say which subdir is to go back to which revision.")
        world = await read_world(connection)
        steps = [await self._step(connection, world, channel, subdir, to) for subdir, to in sorted(targets.items())]
        return RollbackPlan(channel, steps)

    async def _step(self, connection: AsyncConnection, world: World, channel: Channel, subdir: Subdir, to: int) -> Step:
        state = _state_of(channel, subdir)
        await _require_known(connection, channel, state, to)
        then, held = await read_states(connection, state.id, to), await _read_held(connection, state.id)
        files = self._fates(subdir, then, held)
        appearing = {one.filename: held[one.filename].record for one in files if one.fate is Fate.APPEARS}
        barred = await foresee(connection, world, channel, subdir, appearing)
        files = [
            FileFate(subdir, one.filename, one.fate, " ".join(sentences([barred[one.filename]])))
            if one.filename in barred
            else one
            for one in files
        ]
        old, document = await read_corrections(connection, channel.id, subdir), await patch_at(connection, state.id, to)
        is_patched = PatchInstructions.parse(document) != old.patch
        new = corrections_of(document, await read_avoided(connection, channel.id))
        records = await compare(connection, channel, subdir, old, new) if is_patched else []
        return Step(subdir, state.id, state.revision, to, files, document if is_patched else None, records)

    def _fates(self, subdir: Subdir, then: Mapping[str, FileState], held: Mapping[str, "_Held"]) -> list[FileFate]:
        found = []
        for filename, now in sorted(held.items()):
            before = then.get(filename)
            was_active = before is not None and before.status == "active"
            has_same = before is not None and before.sha256 == now.sha256
            if was_active and not has_same:
                found.append(FileFate(subdir, filename, Fate.LOST, "Its name has other bytes since then."))
            if now.status == "active" and not (was_active and has_same):
                found.append(FileFate(subdir, filename, Fate.DISAPPEARS))
            elif was_active and has_same and now.status != "active":
                is_here = self._store.find(now.sha256) is not None
                fate = Fate.APPEARS if is_here and now.status != LAPSED else Fate.LOST
                if now.status == LAPSED:
                    found.append(FileFate(subdir, filename, fate, "Its approval has ended since then."))
                    continue
                why = f"It was {now.status} since then{'' if is_here else ', and its bytes are gone'}."
                found.append(FileFate(subdir, filename, fate, why))
        return found

    async def _take(self, connection: AsyncConnection, actor: str, channel: Channel, step: Step, comment: str) -> None:
        held = await _read_held(connection, step.subdir_id)
        for filename in step.of(Fate.APPEARS):
            await remember_blob(connection, self._store, held[filename].sha256, held[filename].size_bytes)
        await _set_status(connection, step.subdir_id, step.of(Fate.APPEARS), "active")
        await _set_status(connection, step.subdir_id, step.of(Fate.DISAPPEARS), "yanked")
        moved = {*step.of(Fate.APPEARS), *step.of(Fate.DISAPPEARS)}
        await note_states(connection, step.subdir_id, moved)
        names = {package_of(filename) for filename in moved}
        if step.patch is not None:
            said = f"rollback to revision {step.to}{f': {comment}' if comment else ''}"
            names |= await put_in_force(connection, step.subdir_id, step.patch, Edit(actor, said))
        await reindex_names(connection, channel, step.subdir, names, f"rolled back to revision {step.to}")


@dataclass(frozen=True, slots=True)
class _Held:
    status: str
    sha256: Sha256
    size_bytes: int
    record: Record


async def _read_held(connection: AsyncConnection, subdir_id: int) -> dict[str, _Held]:
    columns = tables.artifact.c
    rows = await connection.execute(
        select(columns.filename, columns.status, columns.sha256, columns.size_bytes, columns.record).where(
            columns.subdir_id == subdir_id
        )
    )
    return {
        row.filename: _Held(row.status, Sha256(row.sha256), row.size_bytes, msgspec.json.decode(row.record, type=dict))
        for row in rows
    }


async def _set_status(connection: AsyncConnection, subdir_id: int, filenames: Sequence[str], status: str) -> None:
    columns = tables.artifact.c
    for some in chunks(filenames):
        chosen = (columns.subdir_id == subdir_id) & columns.filename.in_(some)
        await connection.execute(update(tables.artifact).where(chosen).values(status=status))


def _state_of(channel: Channel, subdir: Subdir) -> SubdirState:
    if subdir not in channel.subdirs:
        raise NotFound("subdir-unknown", f"Channel {channel.name} has no {subdir}.")
    return channel.subdirs[subdir]


async def _require_known(connection: AsyncConnection, channel: Channel, state: SubdirState, to: int) -> None:
    if not 0 <= to < state.revision:
        raise NotFound(
            "revision-unknown",
            f"{channel.name}/{state.name} is at revision {state.revision}; {to} is none of those before it.",
        )
    columns = tables.subdir.c
    since = (await connection.execute(select(columns.known_since).where(columns.id == state.id))).scalar_one()
    if to < since:
        raise Conflict(
            "revision-forgotten",
            f"The files of {channel.name}/{state.name} are remembered from revision {since} on; {to} was before that.",
        )


def _detail(plan: RollbackPlan) -> dict[str, Any]:
    """What the audit trail says of it, by subdir."""
    return {
        "subdirs": {
            str(step.subdir): {
                "from": step.current,
                "to": step.to,
                "is_patch_changed": step.patch is not None,
                **{fate.value: len(step.of(fate)) for fate in Fate},
                "files": [f"{one.fate}: {one.filename}" for one in step.files[:_MOST_NAMED]],
            }
            for step in plan.steps
        }
    }

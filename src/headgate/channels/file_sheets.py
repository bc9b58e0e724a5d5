"""What there is to say of one file: its verdict, its record, what is in it, and what changed since the build before."""

import asyncio
import difflib
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from headgate.channels.model import Channel
from headgate.channels.revisions import World
from headgate.channels.why import Explanation, explain_spec
from headgate.conda.archive_insides import Insides, look_inside
from headgate.conda.archive_members import ArchiveLimits
from headgate.conda.names import ArtifactName, Sha256, Subdir
from headgate.conda.records import from_wire
from headgate.conda.specs import age_key
from headgate.db import tables
from headgate.db.engine import Database
from headgate.kernel.errors import HeadgateError, NotFound
from headgate.storage.local import BlobStore

_MOST_BYTES = 48 << 20
_REMEMBERED = 32
_LIMITS = ArchiveLimits(max_bytes=_MOST_BYTES, max_unpacked_bytes=1 << 30)


@dataclass(frozen=True, slots=True)
class Script:
    """An install script; `diff` is what changed since the build before, None where that had none or is not here."""

    path: str
    text: str
    diff: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """The copy that is here."""

    status: str
    origin: str
    created_at: Any
    created_by: str


@dataclass(frozen=True, slots=True)
class FileSheet:
    """One file of a channel. `why_unseen` says why nothing is known of its insides."""

    channel: Channel
    subdir: str
    name: ArtifactName
    explanation: Explanation
    record: dict[str, Any]
    before: Explanation | None
    kept: Kept | None
    insides: Insides | None
    why_unseen: str = ""
    scripts: tuple[Script, ...] = ()
    changes: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)
    """What the record has come to say and no longer says since the build before: `depends`, `constrains`, `license`."""


class FileSheets:
    """Reads sheets, and remembers what was in the last archives that it looked into."""

    def __init__(self, database: Database, store: BlobStore) -> None:
        self._database = database
        self._store = store
        self._seen: OrderedDict[str, Insides] = OrderedDict()

    async def read(self, world: World, channel: Channel, subdir: Subdir, name: ArtifactName) -> FileSheet:
        """The sheet of a file. Raises NotFound `artifact-unknown`."""
        found = [one for one in await explain_spec(self._database, world, channel, name.name) if one.subdir == subdir]
        own = next((one for one in found if one.filename == name.filename), None)
        if own is None:
            raise NotFound("artifact-unknown", f"There is no {name} in {channel.name}/{subdir}.")
        older = [one for one in found if age_key(one.record) < age_key(own.record)]
        before = max(older, key=lambda one: age_key(one.record), default=None)
        record = from_wire(dict(own.record))
        insides, why = await self._look(record, name)
        return FileSheet(
            channel=channel,
            subdir=subdir,
            name=name,
            explanation=own,
            record=record,
            before=before,
            kept=await self._kept(channel, subdir, name),
            insides=insides,
            why_unseen=why,
            scripts=await self._scripts(insides, before),
            changes={} if before is None else _changes(dict(before.record), record),
        )

    async def _scripts(self, insides: Insides | None, before: Explanation | None) -> tuple[Script, ...]:
        if insides is None or not insides.scripts:
            return ()
        old: Insides | None = None
        if before is not None:
            old, _ = await self._look(from_wire(dict(before.record)), ArtifactName.parse(before.filename))
        return tuple(
            Script(path, text, None if old is None else _diff(old.scripts.get(_alike(path, old), ""), text))
            for path, text in sorted(insides.scripts.items())
        )

    async def _look(self, record: dict[str, Any], name: ArtifactName) -> tuple[Insides | None, str]:
        digest = record.get("sha256")
        if not isinstance(digest, str):
            return None, "Its record has no sha256."
        known = self._seen.get(digest)
        if known is not None:
            self._seen.move_to_end(digest)
            return known, ""
        path = self._store.find(Sha256.parse(digest))
        if path is None:
            return None, "The file is not here yet: nobody has downloaded it."
        if path.stat().st_size > _MOST_BYTES:
            return None, f"The file is larger than {_MOST_BYTES >> 20} MiB; download it to look into it."
        try:
            insides = await asyncio.to_thread(_look_into, path, name)
        except HeadgateError as error:
            return None, error.message
        self._seen[digest] = insides
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return insides, ""

    async def _kept(self, channel: Channel, subdir: Subdir, name: ArtifactName) -> Kept | None:
        state, columns = channel.subdirs.get(subdir), tables.artifact.c
        if state is None:
            return None
        statement = select(columns.status, columns.origin, columns.created_at, columns.created_by)
        statement = statement.where(columns.subdir_id == state.id, columns.filename == name.filename)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else Kept(*row)


def _look_into(path: Path, name: ArtifactName) -> Insides:
    with path.open("rb") as file:
        return look_inside(file, name, _LIMITS)


def _alike(path: str, old: Insides) -> str:
    """The script of the build before that stands in its place."""
    return path if path in old.scripts else next((one for one in old.scripts if one.endswith(path[-12:])), path)


def _diff(old: str, new: str) -> str:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), "before", "now", lineterm="")
    return "\n".join(lines)


def _changes(old: dict[str, Any], new: dict[str, Any]) -> dict[str, tuple[list[str], list[str]]]:
    found = {}
    for key in ("depends", "constrains", "license"):
        before, now = _said(old.get(key)), _said(new.get(key))
        if before != now:
            found[key] = (sorted(now - before), sorted(before - now))
    return found


def _said(value: object) -> set[str]:
    if isinstance(value, list | tuple):
        return {str(one) for one in value}
    return {str(value)} if value else set()

"""Which packages bring install scripts: as their upstream says, and, surer, as the archives that are here show.

Both are looked into only while a policy asks. What is found out is kept, and what it concerns is judged again, in one
transaction.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import structlog
from sqlalchemy import select, update

from headgate.channels.model import Source
from headgate.channels.revising import does_any_gate_ask_about, revise_told
from headgate.channels.scripts import NOTHING_SAID, Said, read_said, save_said
from headgate.conda.archives import ArchiveInfo, ArchiveLimits, read_archive
from headgate.conda.channeldata import TEXTS, read_scripts
from headgate.conda.names import ArtifactName, Sha256
from headgate.db import tables
from headgate.db.engine import Database
from headgate.intake.listings import naming
from headgate.intake.upstream import Missing, Unchanged, UpstreamDocument
from headgate.kernel.errors import Invalid
from headgate.storage.local import BlobStore

# CEP 38's flags, and what in the path of an install script sets each.
_SCRIPT_FLAGS = {
    "activate.d": "etc/conda/activate.d/",
    "deactivate.d": "etc/conda/deactivate.d/",
    "post_link": "-post-link.",
    "pre_link": "-pre-link.",
    "pre_unlink": "-pre-unlink.",
}

log = structlog.get_logger(__name__)


class ChanneldataReader(Protocol):
    """Reads a mirror's channeldata.json."""

    async def read_channeldata(self, etag: str | None) -> UpstreamDocument | Unchanged | Missing:
        """As `UpstreamReader.read_channeldata`."""


def script_flags(info: ArchiveInfo) -> dict[str, bool]:
    """What the members of an archive show, as channeldata.json (CEP 38) says it."""
    found = {flag: any(mark in path for path in info.install_scripts) for flag, mark in _SCRIPT_FLAGS.items()}
    return found | {"binary_prefix": info.has_binary_prefix, "text_prefix": info.has_text_prefix}


async def learn_scripts(database: Database, source: Source, reader: ChanneldataReader) -> int:
    """Read what an upstream says of its packages; of how many it says something new.

    Does nothing while no policy asks. Raises Unavailable or Invalid when the upstream cannot be read.
    """
    async with database.read() as connection:
        if not await does_any_gate_ask_about(connection):
            return 0
        known = (await read_said(connection, [source.id])).get(source.id, NOTHING_SAID)
    found = await reader.read_channeldata(known.etag)
    if isinstance(found, Unchanged):
        return 0
    said = Said({}, None) if isinstance(found, Missing) else Said(await _scripts_of(found), found.etag)
    changed = {
        name for name in said.scripts.keys() | known.scripts.keys() if said.scripts.get(name) != known.scripts.get(name)
    }
    async with database.write() as connection:
        await save_said(connection, source.id, said)
        if changed:
            await revise_told(connection, changed, "an upstream told of install scripts")
    return len(changed)


async def _scripts_of(found: UpstreamDocument) -> dict[str, frozenset[str]]:
    with naming(found.url):
        return await asyncio.to_thread(read_scripts, found.body)


@dataclass(frozen=True, slots=True)
class _Cached:
    """A cached file that nobody has looked into."""

    id: int
    artifact: ArtifactName
    path: Path | None


async def look_into_cached(database: Database, store: BlobStore, limits: ArchiveLimits, most: int) -> int:
    """Read the archives of at most so many cached files that nobody has looked into; how many were read.

    Does nothing while no policy asks. What cannot be read stays unknown, and is not tried again.
    """
    async with database.read() as connection:
        rows = (await connection.execute(_unread().limit(most))).all()
        if not rows or not await does_any_gate_ask_about(connection):
            return 0
    files = [_Cached(row.id, ArtifactName.parse(row.filename), store.find(Sha256(row.sha256))) for row in rows]
    shown = await asyncio.to_thread(lambda: [_shown(one, limits) for one in files])
    columns = tables.artifact.c
    async with database.write() as connection:
        for one, about in zip(files, shown, strict=True):
            await connection.execute(update(tables.artifact).where(columns.id == one.id).values(about=about))
        await revise_told(connection, _names(files), "archives were looked into")
    return len(files)


def _unread() -> Any:
    columns = tables.artifact.c
    wanted = (columns.origin == "upstream") & (columns.status == "active") & columns.about.is_(None)
    return select(columns.id, columns.filename, columns.sha256).where(wanted).order_by(columns.id)


def _shown(one: _Cached, limits: ArchiveLimits) -> dict[str, Any]:
    if one.path is None:
        return {}
    try:
        with one.path.open("rb") as file:
            info = read_archive(file, one.artifact, limits)
    except (Invalid, OSError) as error:
        log.warning("archive_unread", artifact=str(one.artifact), reason=str(error))
        return {}
    return {key: info.about[key] for key in TEXTS if key in info.about} | script_flags(info)


def _names(files: Iterable[_Cached]) -> set[str]:
    return {one.artifact.name for one in files}

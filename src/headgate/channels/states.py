"""What became of the files of hosted channels, revision by revision: the memory that a rollback goes by."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.db import tables
from headgate.db.engine import chunks, insert
from headgate.db.tables_life import artifact_state


@dataclass(frozen=True, slots=True)
class FileState:
    """A file's status, and the bytes that it had."""

    status: str
    sha256: str


async def note_states(connection: AsyncConnection, subdir_id: int, filenames: Collection[str]) -> None:
    """Write down how these files are from the next revision on; before that is published."""
    subdirs, columns = tables.subdir.c, tables.artifact.c
    newest = (await connection.execute(select(subdirs.revision).where(subdirs.id == subdir_id))).scalar_one()
    for some in chunks(sorted(filenames)):
        found = await connection.execute(
            select(columns.filename, columns.status, columns.sha256).where(
                columns.subdir_id == subdir_id, columns.filename.in_(some)
            )
        )
        rows = [{"subdir_id": subdir_id, "revision": newest + 1, **row} for row in found.mappings()]
        statement = insert(connection, artifact_state)
        statement = statement.on_conflict_do_update(
            index_elements=["subdir_id", "filename", "revision"],
            set_={"status": statement.excluded.status, "sha256": statement.excluded.sha256},
        )
        if rows:
            await connection.execute(statement, rows)


async def read_states(connection: AsyncConnection, subdir_id: int, revision: int) -> Mapping[str, FileState]:
    """Every file that there had been by a revision, by name."""
    columns = artifact_state.c
    rows = await connection.execute(
        select(columns.filename, columns.status, columns.sha256)
        .where(columns.subdir_id == subdir_id, columns.revision <= revision)
        .order_by(columns.revision)
    )
    return {row.filename: FileState(row.status, row.sha256) for row in rows}

"""The tables of a hosted channel's life.

subdir 1─* waiting_name      names whose publishing waits until the channel is unfrozen ("": every name)
subdir 1─* artifact_state    what became of a file, and at which revision
subdir 1─* patch_edit        every state of a subdir's patch instructions
channel 1─* deprecation      channel 1─* package_note      channel 1─* package_owner
pipeline 1─* pipeline_stage ──> channel
"""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, UniqueConstraint

from headgate.db.columns import Bytes, Moment
from headgate.db.tables import Key, metadata


def _id() -> Column[int]:
    return Column("id", Key, primary_key=True, autoincrement=True)


def _of(table: str, *, is_key: bool = False) -> Column[int]:
    """A row of `table` that this one goes with."""
    return Column(f"{table}_id", Key, ForeignKey(f"{table}.id", ondelete="CASCADE"), primary_key=is_key, nullable=False)


waiting_name = Table("waiting_name", metadata, _of("subdir", is_key=True), Column("name", String, primary_key=True))

# The state holds from `revision` on; the revision may be one that is yet to come.
artifact_state = Table(
    "artifact_state",
    metadata,
    _of("subdir", is_key=True),
    Column("filename", String, primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("status", String, nullable=False),
    Column("sha256", String, nullable=False),
)

# `origin`: the package that brought the instructions; NULL when they were edited in place.
patch_edit = Table(
    "patch_edit",
    metadata,
    _id(),
    _of("subdir"),
    Column("revision", BigInteger, nullable=False),
    Column("document", Bytes, nullable=False),
    Column("origin", String, nullable=True),
    Column("comment", String, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String, nullable=False),
    Index(None, "subdir_id"),
    sqlite_autoincrement=True,
)

deprecation = Table(
    "deprecation",
    metadata,
    _id(),
    _of("channel"),
    Column("package", String, nullable=False),
    Column("spec", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("is_avoided", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String, nullable=False),
    UniqueConstraint("channel_id", "spec"),
    sqlite_autoincrement=True,
)

package_note = Table(
    "package_note",
    metadata,
    _of("channel", is_key=True),
    Column("package", String, primary_key=True),
    Column("text", String, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String, nullable=False),
)

# `grant_id`: the grant that came with it, and goes with it.
package_owner = Table(
    "package_owner",
    metadata,
    _of("channel", is_key=True),
    Column("package", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("principal", String, primary_key=True),
    Column("grant_id", Key, nullable=True),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String, nullable=False),
)

pipeline = Table(
    "pipeline",
    metadata,
    _id(),
    Column("name", String, nullable=False, unique=True),
    Column("is_strict", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String, nullable=False),
    sqlite_autoincrement=True,
)

pipeline_stage = Table(
    "pipeline_stage",
    metadata,
    _of("pipeline", is_key=True),
    Column("position", Integer, primary_key=True),
    _of("channel"),
    UniqueConstraint("pipeline_id", "channel_id"),
    Index(None, "channel_id"),
)

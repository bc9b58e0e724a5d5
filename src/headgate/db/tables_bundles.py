"""The tables of bundles: what was carried in, and whose keys are trusted."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table

from headgate.db.columns import Moment
from headgate.db.tables import Key, metadata

# The bundles a channel took in, oldest first; without a key, a plain zip from the drop folder.
bundle = Table(
    "bundle",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("channel_id", Key, ForeignKey("channel.id", ondelete="CASCADE"), nullable=False),
    Column("bundle", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("key", String, nullable=True),
    Column("imported_at", Moment, nullable=False),
    Column("imported_by", String, nullable=False),
    Index(None, "channel_id"),
    sqlite_autoincrement=True,
)

bundle_key = Table(
    "bundle_key",
    metadata,
    Column("name", String, primary_key=True),
    Column("key", String, nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String, nullable=False),
)

# What came by the drop folder, and what became of it.
dropped = Table(
    "dropped",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("filename", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("channel", String, nullable=True),
    Column("sha256", String, nullable=True),
    Column("said", String, nullable=False),
    Column("at", Moment, nullable=False),
    sqlite_autoincrement=True,
)

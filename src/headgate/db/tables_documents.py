"""What is kept beside documents: beside rendered ones, and of those that were read."""

from sqlalchemy import Column, ForeignKey, PrimaryKeyConstraint, String, Table

from headgate.db.columns import Bytes
from headgate.db.tables import Key, metadata

# Where the groups of a subdir's eager document are in it; of another document than `sha256` it says nothing.
document_layout = Table(
    "document_layout",
    metadata,
    Column("channel_id", Key, ForeignKey("channel.id", ondelete="CASCADE"), nullable=False),
    Column("subdir", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("body", Bytes, nullable=False),
    PrimaryKeyConstraint("channel_id", "subdir"),
)

# By what the next document of an upstream is read; it saves work, and may go at any time.
source_outline = Table(
    "source_outline",
    metadata,
    Column("source_subdir_id", Key, ForeignKey("source_subdir.id", ondelete="CASCADE"), primary_key=True),
    Column("body", Bytes, nullable=False),
)

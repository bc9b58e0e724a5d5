"""What is kept beside rendered documents."""

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

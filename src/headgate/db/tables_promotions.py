"""The tables of promotions."""

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, PrimaryKeyConstraint, String, Table

from headgate.db.columns import Bytes, Moment
from headgate.db.tables import Key, metadata

# What was decided, with the records, verdicts and advisories as they were then; `items` of state `new` are what the target gets.
# `ends_at`: until when; `ended_at` of an item: when an earlier approval of it would have ended.
promotion = Table(
    "promotion",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("source", String, nullable=False),
    Column("target", String, nullable=False),
    Column("wants", JSON, nullable=False),
    Column("platforms", JSON, nullable=False),
    Column("comment", String, nullable=False),
    Column("state", String, nullable=False),
    Column("failure", String, nullable=True),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String, nullable=False),
    Column("applied_at", Moment, nullable=True),
    Column("undone_at", Moment, nullable=True),
    Column("undone_by", String, nullable=True),
    Column("request_id", Key, nullable=True),
    Column("approvers", JSON, nullable=True),
    Column("ends_at", Moment, nullable=True),
    Index(None, "source"),
    Index(None, "target"),
    sqlite_autoincrement=True,
)

promotion_item = Table(
    "promotion_item",
    metadata,
    Column("promotion_id", Key, ForeignKey("promotion.id", ondelete="CASCADE"), nullable=False),
    Column("subdir", String, nullable=False),
    Column("filename", String, nullable=False),
    Column("state", String, nullable=False),
    Column("is_asked", Boolean, nullable=False),
    Column("record", Bytes, nullable=False),
    Column("opinion", Bytes, nullable=True),
    Column("ended_at", Moment, nullable=True),
    PrimaryKeyConstraint("promotion_id", "subdir", "filename"),
)

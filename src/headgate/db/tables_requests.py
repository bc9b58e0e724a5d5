"""The tables of requests.

request 1─* request_person   who asked, each with why
        1─* request_vote     who approved, on which facts
        1─* request_remark   what was said and done, in order
        ──> promotion        what carries it out
channel 1─1 request_rules    how requests into it are decided
"""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ForeignKey,
    Index,
    PrimaryKeyConstraint,
    String,
    Table,
)

from headgate.db.columns import Moment
from headgate.db.tables import Key, metadata

# `open_key` names what is wanted while the request is open, and so keeps a second one of the same wants out.
# `summary` is what the last look at it showed, for lists. `left_out` are wants that an approval left to the request
# `rest_id`, which is `part_of` this one. `ends_at`: until when it was approved.
request = Table(
    "request",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("open_key", String, nullable=True, unique=True),
    Column("source", String, nullable=False),
    Column("target", String, nullable=False),
    Column("wants", JSON, nullable=False),
    Column("platforms", JSON, nullable=False),
    Column("has_closure", Boolean, nullable=False),
    Column("machine", JSON, nullable=False),
    Column("notes", JSON, nullable=False),
    Column("state", String, nullable=False),
    Column("summary", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=True),
    Column("promotion_id", Key, nullable=True),
    Column("left_out", JSON(none_as_null=True), nullable=True),
    Column("left_out_why", String, nullable=True),
    Column("rest_id", Key, nullable=True),
    Column("part_of", Key, nullable=True),
    Column("ends_at", Moment, nullable=True),
    Index(None, "target"),
    Index(None, "state", "expires_at"),
    sqlite_autoincrement=True,
)

request_person = Table(
    "request_person",
    metadata,
    Column("request_id", Key, ForeignKey("request.id", ondelete="CASCADE"), nullable=False),
    Column("name", String, nullable=False),
    Column("at", Moment, nullable=False),
    Column("why", String, nullable=False),
    PrimaryKeyConstraint("request_id", "name"),
)

request_vote = Table(
    "request_vote",
    metadata,
    Column("request_id", Key, ForeignKey("request.id", ondelete="CASCADE"), nullable=False),
    Column("name", String, nullable=False),
    Column("at", Moment, nullable=False),
    Column("digest", String, nullable=False),
    Column("comment", String, nullable=False),
    Column("left_out", JSON(none_as_null=True), nullable=True),
    Column("left_out_why", String, nullable=True),
    Column("ends_at", Moment, nullable=True),
    PrimaryKeyConstraint("request_id", "name"),
)

request_remark = Table(
    "request_remark",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("request_id", Key, ForeignKey("request.id", ondelete="CASCADE"), nullable=False),
    Column("at", Moment, nullable=False),
    Column("author", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("text", String, nullable=False),
    Index(None, "request_id"),
    sqlite_autoincrement=True,
)

request_rules = Table(
    "request_rules",
    metadata,
    Column("channel_id", Key, ForeignKey("channel.id", ondelete="CASCADE"), primary_key=True),
    Column("document", JSON, nullable=False),
    Column("set_at", Moment, nullable=False),
    Column("set_by", String, nullable=False),
)

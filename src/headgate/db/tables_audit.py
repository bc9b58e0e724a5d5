"""The tables beside audit events: the head of their chain, checkpoints, streams; and incidents."""

from sqlalchemy import JSON, BigInteger, Column, Integer, String, Table

from headgate.db.columns import Bytes, Moment
from headgate.db.tables import Key, metadata

# One row: whoever records an event holds it until the end of the transaction.
audit_chain = Table(
    "audit_chain",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    Column("hash", Bytes, nullable=False),
)

# The last events that were forgotten, signed; the newest row counts.
audit_checkpoint = Table(
    "audit_checkpoint",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", Bytes, nullable=False),
    Column("at", Moment, nullable=False),
    Column("public_key", String, nullable=False),
    Column("signature", String, nullable=False),
)

# Where events are sent on to; `settings` holds no secret, `sealed` does.
audit_stream = Table(
    "audit_stream",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("name", String, nullable=False, unique=True),
    Column("kind", String, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("sealed", String, nullable=True),
    Column("sent_number", BigInteger, nullable=False),
    Column("sent_at", Moment, nullable=True),
    Column("failures", Integer, nullable=False),
    Column("failure", String, nullable=True),
    Column("next_try_at", Moment, nullable=True),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String, nullable=False),
    sqlite_autoincrement=True,
)

# What is blocked everywhere at once, or was.
incident = Table(
    "incident",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("kind", String, nullable=False),
    Column("target", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("declared_at", Moment, nullable=False),
    Column("declared_by", String, nullable=False),
    Column("lifted_at", Moment, nullable=True),
    Column("lifted_by", String, nullable=True),
    Column("lifted_because", String, nullable=True),
    sqlite_autoincrement=True,
)

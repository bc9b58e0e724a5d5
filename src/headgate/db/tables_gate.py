"""The tables of the gate.

policy 1─* policy_version        policy 1─* policy_attachment ──> channel, source
exemption
subdir 1─* gate_name             what the gate held back of a name, and until when that holds
source 1─1 source_scripts        what an upstream says of the install scripts of its packages
"""

from sqlalchemy import JSON, Column, ForeignKey, Integer, String, Table, UniqueConstraint

from headgate.db.columns import Bytes, Moment
from headgate.db.tables import Key, metadata


def _id() -> Column[int]:
    return Column("id", Key, primary_key=True, autoincrement=True)


# The newest version of a policy is the one that counts; the others are its history.
policy = Table(
    "policy",
    metadata,
    _id(),
    Column("name", String, nullable=False, unique=True),
    Column("version", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    sqlite_autoincrement=True,
)

policy_version = Table(
    "policy_version",
    metadata,
    Column("policy_id", Key, ForeignKey("policy.id", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("document", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String, nullable=False),
)

# To everything (`*`), what is below a prefix (`team/*`), a channel, or one of its mirrors.
policy_attachment = Table(
    "policy_attachment",
    metadata,
    _id(),
    Column("policy_id", Key, ForeignKey("policy.id", ondelete="CASCADE"), nullable=False),
    Column("scope", String, nullable=False),
    Column("channel_id", Key, ForeignKey("channel.id", ondelete="CASCADE"), nullable=True),
    Column("source_id", Key, ForeignKey("source.id", ondelete="CASCADE"), nullable=True),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String, nullable=False),
    UniqueConstraint("policy_id", "scope"),
    sqlite_autoincrement=True,
)

exemption = Table(
    "exemption",
    metadata,
    _id(),
    Column("kind", String, nullable=False),
    Column("target", String, nullable=False),
    Column("spec", String, nullable=True),
    Column("channel", String, nullable=True),
    Column("owner", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String, nullable=False),
    Column("expires_at", Moment, nullable=True),
    Column("revoked_at", Moment, nullable=True),
    Column("revoked_by", String, nullable=True),
    sqlite_autoincrement=True,
)

gate_name = Table(
    "gate_name",
    metadata,
    Column("subdir_id", Key, ForeignKey("subdir.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String, primary_key=True),
    Column("valid_until", Moment, nullable=True, index=True),
    Column("held", JSON, nullable=False),
)

source_scripts = Table(
    "source_scripts",
    metadata,
    Column("source_id", Key, ForeignKey("source.id", ondelete="CASCADE"), primary_key=True),
    Column("etag", String, nullable=True),
    Column("body", Bytes, nullable=False),
    Column("read_at", Moment, nullable=False),
)

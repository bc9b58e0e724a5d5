"""The tables of signatures and attestations, of others and our own.

sidecar (attestations, byte for byte, by sha256) <── attestation: what one proves of one file
source 1─* source_trust (roots and key manager of a mirror's upstream)
source_subdir 1─* source_signature (signatures of the records of one name, with what they came to)
signing_key, signing_document: our own; shard 1─* signed_shard (our signatures of its records)
"""

from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, PrimaryKeyConstraint, String, Table

from headgate.db.columns import Bytes, Moment
from headgate.db.tables import Key, metadata

sidecar = Table(
    "sidecar",
    metadata,
    Column("sha256", String, primary_key=True),
    Column("body", Bytes, nullable=False),
    Column("created_at", Moment, nullable=False),
)

# `root` tells the trust root that it was checked against. Without a row nobody has looked.
attestation = Table(
    "attestation",
    metadata,
    Column("sha256", String, nullable=False),
    Column("filename", String, nullable=False),
    Column("sidecar", String, nullable=False),
    Column("package", String, nullable=False),
    Column("subdir", String, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("publishers", JSON, nullable=False),
    Column("root", String, nullable=False),
    Column("checked_at", Moment, nullable=False),
    PrimaryKeyConstraint("sha256", "filename", "sidecar"),
    Index(None, "package"),
)

source_trust = Table(
    "source_trust",
    metadata,
    Column("source_id", Key, ForeignKey("source.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("body", Bytes, nullable=False),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("source_id", "kind", "version"),
)

# `inputs` changes when records, signatures or trusted keys do; only then are they verified again.
source_signature = Table(
    "source_signature",
    metadata,
    Column("source_subdir_id", Key, ForeignKey("source_subdir.id", ondelete="CASCADE"), nullable=False),
    Column("name", String, nullable=False),
    Column("inputs", Bytes, nullable=False),
    Column("body", Bytes, nullable=False),
    PrimaryKeyConstraint("source_subdir_id", "name"),
)

# Sealed, unless the private half is kept elsewhere.
signing_key = Table(
    "signing_key",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("role", String, nullable=False),
    Column("public", String, nullable=False, unique=True),
    Column("sealed", String, nullable=True),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String, nullable=False),
    Column("retired_at", Moment, nullable=True),
    sqlite_autoincrement=True,
)

signing_document = Table(
    "signing_document",
    metadata,
    Column("kind", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("body", Bytes, nullable=False),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("kind", "version"),
)

signed_shard = Table(
    "signed_shard",
    metadata,
    Column("digest", Bytes, ForeignKey("shard.digest", ondelete="CASCADE"), nullable=False),
    Column("key", String, nullable=False),
    Column("body", Bytes, nullable=False),
    PrimaryKeyConstraint("digest", "key"),
)

"""Every table, in one place; those of signing in stand in `tables_sign_in.py`, those beside audit events in `tables_audit.py`.

    channel 1─* source 1─* source_subdir 1─* source_shard ──┐ raw shards, as each source has them
    channel 1─* subdir 1─* revision                          ├─> shard (bytes by digest)
                subdir 1─* entry  (published map, a log) ────┘
                subdir 1─* artifact ──> blob (bytes on disk, by sha256)
    channel 1─* document ──> blob (rendered repodata.json.zst ...)
    channel 1─* bundle  (what was carried in, in order)

`entry` is a log: the published map of revision R is, for every name, its last row with `revision <= R`; a NULL digest
says that the name left. Moments are stored as milliseconds since 1970 and are aware UTC datetimes in Python.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    false,
)

from headgate.db.columns import Bytes, Moment

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite counts rows of INTEGER keys only; PostgreSQL wants the wide one.
Key = BigInteger().with_variant(Integer, "sqlite")


# Processes remember things by id; without `sqlite_autoincrement` SQLite gives the id of a deleted row to the next one.
def _id() -> Column[int]:
    return Column("id", Key, primary_key=True, autoincrement=True)


def _to(target: str, *, nullable: bool = False) -> Column[int]:
    name = target.partition(".")[0] + "_id"
    return Column(name, Key, ForeignKey(target, ondelete="CASCADE"), nullable=nullable)


epoch = Table(
    "epoch",
    metadata,
    Column("topic", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

user = Table(
    "user_account",
    metadata,
    _id(),
    Column("name", String, nullable=False, unique=True),
    Column("password_hash", String, nullable=True),
    Column("must_change_password", Boolean, nullable=False, server_default=false()),
    Column("kind", String, nullable=False, server_default="user"),
    Column("is_administrator", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("disabled_at", Moment, nullable=True),
    Column("disabled_by", String, nullable=True),
    Column("provider", String, nullable=True),
    Column("external_id", String, nullable=True),
    Index(None, "provider", "external_id", unique=True),
    sqlite_autoincrement=True,
)

group = Table(
    "principal_group",
    metadata,
    _id(),
    Column("name", String, nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
    sqlite_autoincrement=True,
)

# A member is a user (or service account) or another group. Of memberships and grants, those that an identity provider
# gave bear its name, and go when it no longer gives them.
group_member = Table(
    "group_member",
    metadata,
    _id(),
    Column("group_id", Key, ForeignKey("principal_group.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", Key, ForeignKey("user_account.id", ondelete="CASCADE"), nullable=True),
    Column("member_group_id", Key, ForeignKey("principal_group.id", ondelete="CASCADE"), nullable=True),
    Column("provider", String, nullable=True),
    UniqueConstraint("group_id", "user_id", "member_group_id"),
    sqlite_autoincrement=True,
)

role = Table(
    "role",
    metadata,
    Column("name", String, primary_key=True),
    Column("permissions", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
)

# To a user, a group, or one of the pseudo-groups.
grant = Table(
    "access_grant",
    metadata,
    _id(),
    Column("user_id", Key, ForeignKey("user_account.id", ondelete="CASCADE"), nullable=True),
    Column("group_id", Key, ForeignKey("principal_group.id", ondelete="CASCADE"), nullable=True),
    Column("pseudo", String, nullable=True),
    Column("role", String, nullable=False),
    Column("channel", String, nullable=True),
    Column("package", String, nullable=True),
    Column("is_deny", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String, nullable=False),
    Column("provider", String, nullable=True),
    sqlite_autoincrement=True,
)

# Asked in the order of `position`. `settings` holds no secret; the bind password is sealed.
ldap_directory = Table(
    "ldap_directory",
    metadata,
    _id(),
    Column("name", String, nullable=False, unique=True),
    Column("position", Integer, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("bind_password", String, nullable=True),
    Column("created_at", Moment, nullable=False),
    Column("checked_at", Moment, nullable=True),
    Column("synced_at", Moment, nullable=True),
    Column("failure", String, nullable=True),
    sqlite_autoincrement=True,
)

token = Table(
    "token",
    metadata,
    _id(),
    Column("user_id", Key, ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False),
    Column("name", String, nullable=False),
    Column("prefix", String, nullable=False, unique=True),
    Column("digest", Bytes, nullable=False),
    Column("permissions", JSON(none_as_null=True), nullable=True),
    Column("channels", JSON(none_as_null=True), nullable=True),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=True),
    Column("revoked_at", Moment, nullable=True),
    Column("addresses", JSON(none_as_null=True), nullable=True),
    Column("rotated_at", Moment, nullable=True),
    Column("previous_prefix", String, nullable=True),
    Column("previous_digest", Bytes, nullable=True),
    Column("previous_ends_at", Moment, nullable=True),
    Column("used_at", Moment, nullable=True),
    Column("used_from", String, nullable=True),
    UniqueConstraint("user_id", "name"),
    Index(None, "previous_prefix", unique=True),
    sqlite_autoincrement=True,
)

channel = Table(
    "channel",
    metadata,
    _id(),
    Column("name", String, nullable=False, unique=True),
    Column("kind", String, nullable=False),
    Column("privacy", String, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("frozen_at", Moment, nullable=True),
    Column("frozen_by", String, nullable=True),
    Column("frozen_why", String, nullable=True),
    sqlite_autoincrement=True,
)

source = Table(
    "source",
    metadata,
    _id(),
    _to("channel.id"),
    Column("position", Integer, nullable=False),
    Column("kind", String, nullable=False),
    Column("name", String, nullable=True),
    Column("urls", JSON, nullable=False, server_default="[]"),
    Column("settings", JSON, nullable=False, server_default="{}"),
    Column("sealed", String, nullable=True),
    Column("member_id", Key, ForeignKey("channel.id", ondelete="CASCADE"), nullable=True),
    Column("subdirs", JSON(none_as_null=True), nullable=True),
    Column("next_run_at", Moment, nullable=True),
    Column("created_at", Moment, nullable=False),
    Index(None, "channel_id", "position"),
    Index(None, "member_id"),
    sqlite_autoincrement=True,
)

# Certificates, in PEM, that are trusted where a mirror names the bundle, or everywhere.
ca_bundle = Table(
    "ca_bundle",
    metadata,
    Column("name", String, primary_key=True),
    Column("pem", String, nullable=False),
    Column("is_everywhere", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String, nullable=False),
)

source_subdir = Table(
    "source_subdir",
    metadata,
    _id(),
    _to("source.id"),
    Column("name", String, nullable=False),
    Column("state", JSON(none_as_null=True), nullable=True),
    Column("base_url", String, nullable=True),
    Column("info", JSON, nullable=False),
    Column("checked_at", Moment, nullable=True),
    Column("synced_at", Moment, nullable=True),
    Column("failure", String, nullable=True),
    # What `source_shard.filtered` came of: a digest of the filters; the files their solver added; those with signatures.
    Column("filter_key", String, nullable=True),
    Column("closure", Bytes, nullable=True),
    Column("signed", Bytes, nullable=True),
    # What its signatures were verified with: the mirror's settings, and the keys that are trusted.
    Column("trust_key", String, nullable=True),
    UniqueConstraint("source_id", "name"),
    sqlite_autoincrement=True,
)

source_shard = Table(
    "source_shard",
    metadata,
    Column("source_subdir_id", Key, ForeignKey("source_subdir.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String, primary_key=True),
    Column("fingerprint", Bytes, nullable=False),
    Column("digest", Bytes, nullable=False),
    # What the mirror's filters left of it: NULL is all of it, an empty value nothing.
    Column("filtered", Bytes, nullable=True),
)

# An ordinary rowid table on SQLite: measured three times faster to fill than WITHOUT ROWID.
shard = Table(
    "shard",
    metadata,
    Column("digest", Bytes, primary_key=True),
    Column("body", Bytes, nullable=False),
    Column("created_at", Moment, nullable=False),
)

subdir = Table(
    "subdir",
    metadata,
    _id(),
    _to("channel.id"),
    Column("name", String, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("revised_at", Moment, nullable=False),
    Column("info", JSON, nullable=False, server_default="{}"),
    Column("patch", Bytes, nullable=True),
    Column("gate", Bytes, nullable=True),
    # The first revision whose files are told by `artifact_state`.
    Column("known_since", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("channel_id", "name"),
    sqlite_autoincrement=True,
)

revision = Table(
    "revision",
    metadata,
    Column("subdir_id", Key, ForeignKey("subdir.id", ondelete="CASCADE"), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("created_at", Moment, nullable=False),
    Column("cause", String, nullable=False),
    Column("changed", Integer, nullable=False),
)

entry = Table(
    "entry",
    metadata,
    Column("subdir_id", Key, ForeignKey("subdir.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String, primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("digest", Bytes, nullable=True),
    Index(None, "subdir_id", "revision"),
    Index(None, "digest"),
)

document = Table(
    "document",
    metadata,
    Column("channel_id", Key, ForeignKey("channel.id", ondelete="CASCADE"), primary_key=True),
    Column("subdir", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("sha256", String, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    Index(None, "sha256"),
)

artifact = Table(
    "artifact",
    metadata,
    _id(),
    _to("subdir.id"),
    Column("filename", String, nullable=False),
    Column("package", String, nullable=False),
    Column("status", String, nullable=False),
    Column("origin", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("record", Bytes, nullable=False),
    Column("about", JSON(none_as_null=True), nullable=True),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String, nullable=False),
    Column("ends_at", Moment, nullable=True),
    UniqueConstraint("subdir_id", "filename"),
    Index(None, "subdir_id", "package"),
    Index(None, "subdir_id", "status", "size_bytes"),
    Index(None, "sha256", "subdir_id", "status", "size_bytes"),
    Index(None, "ends_at"),
    sqlite_autoincrement=True,
)

blob = Table(
    "blob",
    metadata,
    Column("sha256", String, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
)

# Numbered without gaps, each with a hash of itself and of the one before: see audit/chain.py.
audit_event = Table(
    "audit_event",
    metadata,
    _id(),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("hash", Bytes, nullable=False),
    Column("at", Moment, nullable=False, index=True),
    Column("action", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("channel", String, nullable=True),
    Column("subject", String, nullable=True),
    Column("detail", JSON, nullable=False),
    Index(None, "subject", "number"),
    Index(None, "action", "number"),
    sqlite_autoincrement=True,
)

job_progress = Table(
    "job_progress",
    metadata,
    Column("job_id", String, primary_key=True),
    Column("body", JSON, nullable=False),
    Column("at", Moment, nullable=False),
    Column("paused_at", Moment, nullable=True),
)

# What jobs said, the last lines of each.
job_line = Table(
    "job_line",
    metadata,
    _id(),
    Column("job_id", String, nullable=False),
    Column("at", Moment, nullable=False),
    Column("text", String, nullable=False),
    Index(None, "job_id"),
    sqlite_autoincrement=True,
)

# Jobs workers on PostgreSQL say here that they live; on SQLite the lock in the data folder says it.
job_executor = Table(
    "job_executor",
    metadata,
    Column("name", String, primary_key=True),
    Column("boot", String, nullable=False),
    Column("beat_at", Moment, nullable=False),
    Column("ended_at", Moment, nullable=True),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("key", String, primary_key=True),
    Column("request", String, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", Bytes, nullable=False),
    Column("created_at", Moment, nullable=False),
)

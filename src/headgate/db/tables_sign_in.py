"""The tables of signing in: providers, sessions, devices that wait, and what may be used only once."""

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, String, Table, UniqueConstraint

from headgate.db.columns import Bytes, Moment
from headgate.db.tables import Key, metadata

# `client_secret` and `id_token` are sealed (db/sealing.py).
oidc_provider = Table(
    "oidc_provider",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("name", String, nullable=False, unique=True),
    Column("issuer", String, nullable=False),
    Column("client_id", String, nullable=False),
    Column("client_secret", String, nullable=True),
    Column("settings", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    sqlite_autoincrement=True,
)

# `digest` is of the cookie's text, under the server's key. `provider_sid` and `id_token` are for logging out.
session = Table(
    "session",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("digest", Bytes, nullable=False, unique=True),
    Column("user_id", Key, ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", Moment, nullable=False),
    Column("used_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("address", String, nullable=False),
    Column("agent", String, nullable=False),
    Column("method", String, nullable=False),
    Column("provider_sid", String, nullable=True),
    Column("id_token", String, nullable=True),
    Index(None, "method", "provider_sid"),
    sqlite_autoincrement=True,
)

# A person's answer fills `user_id`; until then, and after a no, there is none.
device_sign_in = Table(
    "device_sign_in",
    metadata,
    Column("device_digest", Bytes, primary_key=True),
    Column("user_code", String, nullable=False, unique=True),
    Column("machine", String, nullable=False),
    Column("address", String, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("is_denied", Boolean, nullable=False),
    Column("user_id", Key, ForeignKey("user_account.id", ondelete="CASCADE"), nullable=True),
)

# Kept until it would be refused anyway.
spent = Table(
    "spent",
    metadata,
    Column("digest", Bytes, primary_key=True),
    Column("expires_at", Moment, nullable=False, index=True),
)

# Filters of pages that somebody keeps under a name.
saved_view = Table(
    "saved_view",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("user_id", Key, ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False),
    Column("place", String, nullable=False),
    Column("name", String, nullable=False),
    Column("query", String, nullable=False),
    Column("is_shared", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("user_id", "place", "name"),
    sqlite_autoincrement=True,
)

"""The tables of the advisories; those of everything else are in `tables.py`.

    advisory_feed 1─* advisory_statement ─merge─> advisory 1─* advisory_alias
                                                          1─* advisory_affected ──> advisory_name (conda names)

`revision` is the value of the epoch `advisories` at a row's last change: processes read what is newer.
"""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, String, Table

from headgate.db.columns import Bytes, Moment
from headgate.db.tables import Key, metadata

advisory_feed = Table(
    "advisory_feed",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("name", String, nullable=False, unique=True),
    Column("url", String, nullable=True),
    Column("interval_minutes", Integer, nullable=False),
    Column("is_whole", Boolean, nullable=False),
    Column("ecosystems", JSON, nullable=False),
    Column("etag", String, nullable=True),
    Column("checked_at", Moment, nullable=True),
    Column("read_at", Moment, nullable=True),
    Column("failure", String, nullable=True),
    Column("note", String, nullable=True),
    Column("items", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    sqlite_autoincrement=True,
)

# What each feed says under each id; `digest` tells whether it says anything new.
advisory_statement = Table(
    "advisory_statement",
    metadata,
    Column("feed_id", Key, ForeignKey("advisory_feed.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String, primary_key=True),
    Column("digest", Bytes, nullable=False),
    Column("body", Bytes, nullable=False),
    Index(None, "key"),
)

# All feeds' statements about one vulnerability. `state`: live, withdrawn, or merged into another.
advisory = Table(
    "advisory",
    metadata,
    Column("id", String, primary_key=True),
    Column("revision", BigInteger, nullable=False, index=True),
    Column("state", String, nullable=False),
    Column("digest", Bytes, nullable=False),
    Column("severity", String, nullable=True),
    Column("cvss", Float, nullable=True),
    Column("epss", Float, nullable=True),
    Column("is_known_exploited", Boolean, nullable=False),
    Column("is_malicious", Boolean, nullable=False),
    Column("modified", String, nullable=True),
    Column("summary", String, nullable=False),
    Column("body", Bytes, nullable=False),
)

advisory_alias = Table(
    "advisory_alias",
    metadata,
    Column("alias", String, primary_key=True),
    Column("advisory", String, nullable=False, index=True),
)

advisory_affected = Table(
    "advisory_affected",
    metadata,
    Column("advisory", String, primary_key=True),
    Column("ecosystem", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("body", Bytes, nullable=False),
    Index(None, "ecosystem", "name"),
)

advisory_score = Table(
    "advisory_score",
    metadata,
    Column("cve", String, primary_key=True),
    Column("epss", Float, nullable=False),
    Column("percentile", Float, nullable=False),
)

# Which upstream package a conda name is, by origin. `identity` "": known to be none of that ecosystem.
advisory_name = Table(
    "advisory_name",
    metadata,
    Column("name", String, primary_key=True),
    Column("origin", String, primary_key=True),
    Column("ecosystem", String, primary_key=True),
    Column("identity", String, primary_key=True),
    Column("is_gone", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False, index=True),
    Index(None, "ecosystem", "identity"),
)

# Rows are ended, never deleted: they are the history.
curation = Table(
    "curation",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("advisory", String, nullable=False, index=True),
    Column("name", String, nullable=True, index=True),
    Column("version", String, nullable=True),
    Column("build", String, nullable=True),
    Column("sha256", String, nullable=True),
    Column("status", String, nullable=False),
    Column("justification", String, nullable=True),
    Column("note", String, nullable=True),
    Column("score", Float, nullable=True),
    Column("author", String, nullable=False),
    Column("feed", String, nullable=True),
    Column("key", String, nullable=False, index=True),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=True),
    Column("ended_at", Moment, nullable=True),
    Column("ended_by", String, nullable=True),
    Column("revision", BigInteger, nullable=False, index=True),
    sqlite_autoincrement=True,
)

# Package names whose assessment changed, until they have been evaluated again. `*`: all of them.
advisory_change = Table(
    "advisory_change",
    metadata,
    Column("name", String, primary_key=True),
    Column("at", Moment, nullable=False),
)

# How it stood on each UTC day (since 1970); under the channel "" for all of them together, where no day lacks.
advisory_day = Table(
    "advisory_day",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("channel", String, primary_key=True),
    Column("severity", String, primary_key=True),
    Column("open", Integer, nullable=False),
    Column("closed", Integer, nullable=False),
)

"""The tables of the access log: a part for each month, and the days that it is folded into.

access_part 1─1 access_2026_11 ...      requests as they were answered; `folded_id`: up to where `access_day` has them
access_day                              per day: who took which file of which channel, with what client, how often

They have a metadata of their own: on SQLite they lie in a file of their own, where nobody waits for the database's one
writer, and whose commits are no news to anybody; on PostgreSQL in a schema of their own. Moments are whole milliseconds, days whole days, since 1970.
"""

from functools import lru_cache

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table

from headgate.db.tables import Key

SCHEMA = "headgate_access"
"""Where they lie on PostgreSQL."""
_CONVENTION = {"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"}
metadata = MetaData(naming_convention=_CONVENTION)

access_part = Table(
    "access_part",
    metadata,
    Column("name", String, primary_key=True),
    Column("folded_id", BigInteger, nullable=False),
)

access_day = Table(
    "access_day",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("channel", String, primary_key=True),
    Column("subdir", String, primary_key=True),
    Column("filename", String, primary_key=True),
    Column("sha256", String, primary_key=True),
    Column("who", String, primary_key=True),
    Column("client", String, primary_key=True),
    Column("package", String, nullable=False),
    Column("downloads", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Index(None, "channel", "package", "day"),
    Index(None, "day", "channel", "downloads"),
    Index(None, "sha256"),
    Index(None, "package"),
)


@lru_cache(maxsize=1_000)
def part_table(name: str) -> Table:
    """The part of that name. Requests that agree in everything but their moment are one row; `times` says how many."""
    return Table(
        name,
        MetaData(naming_convention=_CONVENTION),
        Column("id", Key, primary_key=True, autoincrement=True),
        Column("at", BigInteger, nullable=False, index=True),
        Column("times", Integer, nullable=False),
        Column("kind", String, nullable=False),
        Column("method", String, nullable=False),
        Column("channel", String, nullable=False),
        Column("subdir", String, nullable=False),
        Column("filename", String, nullable=False),
        Column("package", String, nullable=False),
        Column("sha256", String, nullable=False),
        Column("who", String, nullable=False),
        Column("token", String, nullable=False),
        Column("address", String, nullable=False),
        Column("client", String, nullable=False),
        Column("client_version", String, nullable=False),
        Column("agent", String, nullable=False),
        Column("verdict", String, nullable=False),
        Column("status", Integer, nullable=False),
        Column("bytes", BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )

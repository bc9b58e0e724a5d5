"""The tables of search.

subdir 1─1 search_subdir     up to which revision its cards are made
subdir 1─* search_card       what search knows of a name there; one without files says that the name left
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table

from headgate.db.columns import Bytes, Moment
from headgate.db.tables import Key, metadata

search_subdir = Table(
    "search_subdir",
    metadata,
    Column("subdir_id", Key, ForeignKey("subdir.id", ondelete="CASCADE"), primary_key=True),
    Column("revision", BigInteger, nullable=False),
)

# `revision` is that of the subdir at which the card was made; `depends` has the names that its newest
# files need, each between line ends; `heads` are the first bytes of the sha256 of each file.
search_card = Table(
    "search_card",
    metadata,
    Column("subdir_id", Key, ForeignKey("subdir.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("files", Integer, nullable=False),
    Column("version", String, nullable=False),
    Column("newest_at", Moment, nullable=True),
    Column("licences", String, nullable=False),
    Column("summary", String, nullable=False),
    Column("depends", String, nullable=False),
    Column("heads", Bytes, nullable=False),
    Index(None, "subdir_id", "revision"),
)

"""Bringing the schema to this version: run at every start, refused when the schema is newer than the code."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from headgate.db.engine import Database
from headgate.db.schema import read_revision
from headgate.kernel.errors import Unavailable


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def known_revisions() -> list[str]:
    """Every schema that this version knows, its own first."""
    return [one.revision for one in ScriptDirectory.from_config(_config()).walk_revisions()]


def _upgrade(connection: Connection) -> None:
    config = _config()
    current = read_revision(connection)
    if current is not None and current not in known_revisions():
        raise Unavailable(
            "schema-newer",
            f"The database has schema {current}, which this version of Headgate does not know. "
            "Start the version that wrote it, or a later one.",
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def migrate(database: Database) -> None:
    """Upgrade the schema to this version's head, in one transaction.

    Raises Unavailable `schema-newer` when a later version of Headgate has already changed it.
    """
    async with database.write() as connection:
        await connection.run_sync(_upgrade)

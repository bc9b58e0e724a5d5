"""The migrations make the tables that the code knows, on both databases."""

from importlib import import_module
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from headgate.bootstrap import Services
from headgate.db import tables


def _differences(connection: Connection) -> list[object]:
    for path in Path(str(tables.__file__)).parent.glob("tables_*.py"):
        import_module(f"headgate.db.{path.stem}")
    return [
        one
        for one in compare_metadata(MigrationContext.configure(connection), tables.metadata)
        if "dbos" not in str(one) and "alembic" not in str(one)
    ]


async def test_a_migrated_database_has_the_tables_of_the_code(services: Services) -> None:
    async with services.core.database.read() as connection:
        assert await connection.run_sync(_differences) == []

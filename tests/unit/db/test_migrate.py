"""The migrations make the tables that the code knows, on both databases."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from headgate.bootstrap import Services
from headgate.db import tables


def _differences(connection: Connection) -> list[object]:
    return [
        one
        for one in compare_metadata(MigrationContext.configure(connection), tables.metadata)
        if "dbos" not in str(one) and "alembic" not in str(one)
    ]


async def test_a_migrated_database_has_the_tables_of_the_code(services: Services) -> None:
    async with services.core.database.read() as connection:
        assert await connection.run_sync(_differences) == []

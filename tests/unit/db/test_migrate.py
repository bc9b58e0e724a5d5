"""The migrations make the tables that the code knows, on both databases."""

from importlib import import_module
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, column, insert, table

from headgate.bootstrap import Services
from headgate.db import tables
from headgate.db.migrate import _config


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


def _chained_again(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.downgrade(config, "0015")
    event = table("audit_event", *map(column, ("at", "action", "actor", "channel", "subject", "detail")))
    said = {"channel": None, "subject": None, "action": "channel:set", "detail": '{"é": [1, null, "x"]}'}
    connection.execute(insert(event), [{"at": number, "actor": f"ada {number}", **said} for number in range(5)])
    command.upgrade(config, "head")


async def test_events_of_older_versions_are_chained(services: Services) -> None:
    async with services.core.database.write() as connection:
        await connection.run_sync(_chained_again)
    proof = await services.audit.trail.verify()
    assert (proof.complaints, proof.checked) == ((), 5)

"""Which schema a database has; apart from the migrations, for who only asks need not load what makes them."""

from sqlalchemy import Connection, column, inspect, select, table

_VERSIONS = "alembic_version"


def read_revision(connection: Connection) -> str | None:
    """The schema that the database has; None before the first migration."""
    if not inspect(connection).has_table(_VERSIONS):
        return None
    return connection.execute(select(column("version_num")).select_from(table(_VERSIONS))).scalar_one_or_none()

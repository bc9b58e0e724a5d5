"""The client of the jobs leaves no connection behind, whenever its calls end."""

import sqlite3

import psycopg
import pytest

from headgate.bootstrap import Place, Services
from headgate.jobs.engine import open_client


@pytest.mark.parametrize("is_late", [False, True])
async def test_connection_that_comes_back_after_the_end_is_closed(
    services: Services, place: Place, is_late: bool
) -> None:
    client = open_client(place.jobs_url)
    engine = client._engine  # type: ignore[attr-defined]
    if is_late:
        client.destroy()
    held = engine.connect()
    driver = held.connection.dbapi_connection
    client.destroy()
    held.close()
    with pytest.raises((sqlite3.ProgrammingError, psycopg.OperationalError)):
        driver.execute("SELECT 1")

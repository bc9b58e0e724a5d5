"""Statements on SQLite: one hop each, with the rows that the driver would have given."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.db.engine import Database
from headgate.db.hops import OneHopConnection

MANY = 2_500


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[AsyncConnection]:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'some.db'}")
    async with database.write() as connection:
        await connection.execute(text("CREATE TABLE one (id INTEGER PRIMARY KEY, word TEXT)"))
        made = await connection.execute(
            text("INSERT INTO one (word) VALUES (:word)"), [{"word": str(number)} for number in range(MANY)]
        )
        assert made.rowcount == MANY
        yield connection
    await database.close()


async def test_a_statement_and_its_rows_are_one_hop(
    connection: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    hops: list[Any] = []
    whole = OneHopConnection.hop

    async def noted(self: OneHopConnection, work: Any, *given: Any) -> Any:
        hops.append(work)
        return await whole(self, work, *given)

    monkeypatch.setattr(OneHopConnection, "hop", noted)
    assert (await connection.execute(text("SELECT id FROM one LIMIT 3"))).scalars().all() == [1, 2, 3]
    assert len(hops) == 1
    changed = await connection.execute(text("UPDATE one SET word = '' WHERE id <= 5"))
    assert (changed.rowcount, len(hops)) == (5, 2)
    returned = await connection.execute(text("INSERT INTO one (word) VALUES ('new') RETURNING id"))
    assert (returned.scalar_one(), len(hops)) == (MANY + 1, 3)


async def test_all_rows_come_however_many(connection: AsyncConnection) -> None:
    rows = (await connection.execute(text("SELECT id FROM one ORDER BY id"))).scalars().all()
    assert rows == list(range(1, MANY + 1))


@pytest.mark.parametrize("most", [10, 1_000, 1_700, MANY])
async def test_streamed_rows_come_in_their_order_and_may_be_left(connection: AsyncConnection, most: int) -> None:
    seen = []
    async with connection.stream(text("SELECT id FROM one ORDER BY id")) as rows:
        async for row in rows:
            seen.append(row.id)
            if len(seen) == most:
                break
    assert seen == list(range(1, most + 1))
    assert (await connection.execute(text("SELECT count(*) FROM one"))).scalar_one() == MANY


async def test_a_statement_that_fails_says_why_and_the_connection_goes_on(connection: AsyncConnection) -> None:
    with pytest.raises(OperationalError, match="no such table"):
        await connection.execute(text("SELECT * FROM none"))
    assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1


async def test_what_is_cancelled_comes_to_its_end_in_the_thread_first(connection: AsyncConnection) -> None:
    raw: Any = (await connection.get_raw_connection()).driver_connection
    has_begun, may_end, has_ended = (threading.Event() for _ in range(3))

    def work() -> None:
        has_begun.set()
        may_end.wait(10)
        has_ended.set()

    task = asyncio.create_task(raw.hop(work))
    assert await asyncio.to_thread(has_begun.wait, 10)
    task.cancel()
    await asyncio.wait([task], timeout=0.05)
    assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert has_ended.is_set()

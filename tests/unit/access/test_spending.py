"""What counts once counts once, on both databases, also for two who come at the same time."""

import asyncio
from datetime import timedelta

from sqlalchemy import func, select

from headgate.access.spending import Spending
from headgate.bootstrap import Services
from headgate.db.tables_sign_in import spent
from headgate.kernel import clock


async def test_the_first_alone_spends(services: Services) -> None:
    spending = Spending(services.core.database, b"secret")
    until = clock.now() + timedelta(minutes=1)
    assert await spending.spend("a", until)
    assert not await spending.spend("a", until)
    assert await spending.spend("b", until)
    outcomes = await asyncio.gather(*(spending.spend("c", until) for _ in range(5)))
    assert sorted(outcomes) == [False, False, False, False, True]


async def test_what_is_over_is_forgotten(services: Services) -> None:
    spending = Spending(services.core.database, b"secret")
    await spending.spend("old", clock.now() - timedelta(minutes=1))
    await spending.spend("new", clock.now() + timedelta(minutes=1))
    async with services.core.database.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(spent))).scalar_one() == 1

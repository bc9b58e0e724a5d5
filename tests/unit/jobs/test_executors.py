"""A worker is alive while it holds its lock or renews its row, and its name is never another's."""

from datetime import timedelta

import pytest

from headgate.bootstrap import Services
from headgate.db import tables
from headgate.jobs import executors
from headgate.jobs.executors import Executors
from headgate.kernel import clock


async def test_the_living_are_not_buried(services: Services) -> None:
    folder = services.core.place.folder.workers
    first, second = Executors(services.core.database, folder), Executors(services.core.database, folder)
    await first.claim()
    await second.claim()
    assert await first.bury([first.name, second.name]) == []
    assert await first.beat()
    await first.let_go()
    await second.let_go()


async def test_who_let_go_is_dead_at_once(services: Services) -> None:
    folder = services.core.place.folder.workers
    first, second = Executors(services.core.database, folder), Executors(services.core.database, folder)
    await first.claim()
    await second.claim()
    await first.let_go()
    assert await second.bury([first.name, "worker-unheard-of"]) == [first.name, "worker-unheard-of"]
    await second.let_go()


async def test_another_machine_goes_by_the_row_alone(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    database = services.core.database
    if database.is_sqlite:
        pytest.skip("on SQLite all workers share a machine")
    looker = Executors(database, services.core.place.folder.workers)
    await looker.claim()
    elsewhere = {"name": "worker-elsewhere", "boot": "other", "beat_at": clock.now() + timedelta(hours=1)}
    async with database.write() as connection:
        await connection.execute(tables.job_executor.insert().values(elsewhere))
    assert await looker.bury(["worker-elsewhere"]) == [], "its clock may be wrong: only change counts"
    monkeypatch.setattr(executors, "LEASE_S", -1.0)
    assert await looker.bury(["worker-elsewhere"]) == ["worker-elsewhere"]
    await looker.let_go()


async def test_who_was_taken_for_dead_learns_it(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    database = services.core.database
    if database.is_sqlite:
        pytest.skip("on SQLite the lock decides, and a living process holds it")
    monkeypatch.setattr(executors, "_BEAT_S", -1.0)
    slow = Executors(database, services.core.place.folder.workers)
    await slow.claim()
    assert await slow.beat()
    async with database.write() as connection:
        await connection.execute(tables.job_executor.delete())
    assert not await slow.beat()
    await slow.let_go()

"""Of those who want the same turn, one after the other; others do not wait."""

import asyncio
from pathlib import Path

from headgate.bootstrap import Services
from headgate.db.turns import Turns


async def test_turns_exclude_each_other_across_processes(services: Services, tmp_path: Path) -> None:
    one, other = (Turns(services.core.database, tmp_path) for _ in range(2))
    inside, seen = 0, []

    async def work(turns: Turns) -> None:
        nonlocal inside
        async with turns.take("sync-1-noarch"):
            inside += 1
            seen.append(inside)
            await asyncio.sleep(0)
            inside -= 1

    async with one.take("sync-2-noarch"):
        await asyncio.gather(*(work(turns) for turns in (one, other, one, other)))
    assert seen == [1, 1, 1, 1]

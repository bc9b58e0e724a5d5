"""`kill -9` while a channel is rolled back, unfrozen, or gives files away: all of it happened, or nothing."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func, select

from headgate.approvals.batches import BatchAction, BatchWish
from headgate.bootstrap import Place, Services
from headgate.channels.model import ChannelKind
from headgate.conda.names import ChannelName, Subdir
from headgate.db import tables
from headgate.db.tables_life import waiting_name
from tests.faults.dying import die
from tests.packages import package

pytestmark = [pytest.mark.fault, pytest.mark.slow]

TEAM, OTHER = ChannelName("team"), ChannelName("other")
NOARCH = Subdir("noarch")
REVISION = "headgate.channels.revisions:_append_revision"
"""After the first: half of what is to be published is; after the second: all but the commit is done."""


@pytest.fixture(autouse=True)
async def channels(services: Services) -> None:
    for name in (TEAM, OTHER):
        await services.core.channels.create("test", name, ChannelKind.HOSTED)
    await services.snapshots.reload()
    await upload(services, "first")


async def upload(services: Services, name: str, subdir: str = "noarch") -> None:
    filename, data = package(name, subdir=subdir)

    async def body() -> AsyncIterator[bytes]:
        yield data

    await services.uploads.take("test", services.catalog.get(TEAM), filename, body())
    await services.snapshots.reload()


async def state(services: Services) -> tuple[object, ...]:
    """Every file with its status, every revision, what waits, and how many events there are."""
    columns, subdirs = tables.artifact.c, tables.subdir.c
    async with services.core.database.read() as connection:
        files = await connection.execute(
            select(columns.subdir_id, columns.filename, columns.status).order_by(columns.id)
        )
        revisions = await connection.execute(select(subdirs.id, subdirs.revision).order_by(subdirs.id))
        waiting = await connection.execute(select(func.count()).select_from(waiting_name))
        events = await connection.execute(select(func.count()).select_from(tables.audit_event))
        return (
            [tuple(row) for row in files],
            [tuple(row) for row in revisions],
            waiting.scalar_one(),
            events.scalar_one(),
        )


async def killed(services: Services, place: Place, times: int, *words: str) -> None:
    """Let another process be killed at it; nothing may have changed."""
    before = await state(services)
    await asyncio.to_thread(die, place.folder.root, REVISION, times, *words)
    assert await state(services) == before, words


async def test_a_killed_move_leaves_both_channels_as_they_were(services: Services, place: Place) -> None:
    for times in (1, 2):
        await killed(services, place, times, "move", TEAM, OTHER, "first")
    await services.core.life.batches.carry_out("test", BatchWish(BatchAction.MOVE, TEAM, ["first"], OTHER))
    files, *_ = await state(services)
    assert [(row[1], row[2]) for row in files] == [  # type: ignore[attr-defined]
        ("first-1.0-0.conda", "deleted"),
        ("first-1.0-0.conda", "active"),
    ]


async def test_a_killed_rollback_leaves_the_channel_as_it_was(services: Services, place: Place) -> None:
    await upload(services, "second")
    await killed(services, place, 1, "rollback", TEAM, "noarch", "2")
    done = await services.core.life.rollbacks.roll_back("test", TEAM, {NOARCH: 2}, comment="again")
    assert [one.filename for one in done.steps[0].files] == ["second-1.0-0.conda"]


async def test_a_killed_unfreezing_leaves_the_channel_frozen(services: Services, place: Place) -> None:
    freezing = services.core.life.freezing
    await freezing.freeze("test", TEAM)
    for subdir in ("noarch", "linux-64"):
        await upload(services, f"in-{subdir}", subdir)
    for times in (1, 2):
        await killed(services, place, times, "unfreeze", TEAM)
    await services.snapshots.reload()
    assert services.catalog.get(TEAM).frozen is not None
    await freezing.unfreeze("test", TEAM)
    await services.snapshots.reload()
    assert {name: one.revision for name, one in services.catalog.get(TEAM).subdirs.items()} == {
        "noarch": 3,
        "linux-64": 1,
    }

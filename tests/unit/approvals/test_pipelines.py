"""Pipelines: what comes after what, what is skipped, and who is behind."""

from collections.abc import AsyncIterator

import pytest

from headgate.approvals.batches import BatchAction, BatchWish
from headgate.approvals.pipelines import Lag, measure_lags
from headgate.approvals.plans import Wish
from headgate.bootstrap import Services
from headgate.channels.model import ChannelKind
from headgate.conda.names import ChannelName, Subdir
from headgate.kernel.errors import Conflict, Invalid, NotFound
from tests.packages import package

DEV, TEST, PROD, OUTER = (ChannelName(name) for name in ("dev", "test", "prod", "outer"))


@pytest.fixture(autouse=True)
async def stages(services: Services) -> None:
    for name in (DEV, TEST, PROD, OUTER):
        await services.core.channels.create("test", name, ChannelKind.HOSTED)
    await services.core.life.pipelines.create("ada", "release", [DEV, TEST, PROD])
    await services.snapshots.reload()
    for filename, data in (package("demo"), package("demo", "2.0"), package("lib")):
        await services.uploads.take("test", services.catalog.get(DEV), filename, body(data))
    await services.snapshots.reload()


async def body(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def promote(services: Services, source: ChannelName, target: ChannelName) -> None:
    channels = (services.catalog.get(source), services.catalog.get(target))
    plan = await services.planner.plan(Wish(["lib"], *channels, [Subdir("linux-64")]))
    await services.promotions.apply(await services.promotions.create("ada", plan))
    await services.snapshots.reload()


async def test_each_stage_has_a_fixed_next_one(services: Services) -> None:
    pipelines = services.core.life.pipelines
    assert [await pipelines.next_of(one) for one in (DEV, TEST)] == [TEST, PROD]
    for last in (PROD, OUTER):
        with pytest.raises(NotFound, match="Say where to promote to"):
            await pipelines.next_of(last)


async def test_a_strict_pipeline_lets_nobody_skip_a_stage(services: Services) -> None:
    with pytest.raises(Conflict, match="what comes into prod comes from test, not from dev"):
        await promote(services, DEV, PROD)
    wanted = BatchWish(BatchAction.COPY, DEV, ["lib"], PROD)
    with pytest.raises(Conflict, match="comes from test"):
        await services.core.life.batches.carry_out("ada", wanted)
    await promote(services, DEV, TEST)
    await promote(services, TEST, PROD)
    await services.core.life.pipelines.set("ada", "release", is_strict=False)
    await services.core.life.batches.carry_out("ada", BatchWish(BatchAction.COPY, DEV, ["demo"], PROD))


async def test_each_stage_knows_how_far_it_is_behind(services: Services) -> None:
    await promote(services, DEV, TEST)
    await services.core.life.batches.carry_out("ada", BatchWish(BatchAction.COPY, DEV, ["demo <2"], TEST))
    await services.snapshots.reload()
    channels = [services.catalog.get(name) for name in (DEV, TEST, PROD)]
    assert await measure_lags(services.planner.reader, channels) == [Lag(TEST, 1, 1), Lag(PROD, 2, 2)]


async def test_pipelines_that_lead_two_ways_or_nowhere_are_refused(services: Services) -> None:
    pipelines = services.core.life.pipelines
    mirror, name = ChannelName("upstream"), "other"
    await services.core.channels.create("test", mirror, ChannelKind.MIRROR)
    for stages, error in (
        ([DEV, OUTER], Conflict),
        ([OUTER, mirror], Conflict),
        ([OUTER], Invalid),
        ([OUTER, OUTER], Invalid),
        ([OUTER, ChannelName("nowhere")], NotFound),
    ):
        with pytest.raises(error):
            await pipelines.create("ada", name, stages)
    await pipelines.create("ada", name, [mirror, OUTER, PROD])  # two may end in the same channel
    with pytest.raises(Conflict, match="already a pipeline"):
        await pipelines.create("ada", name, [mirror, OUTER])


async def test_a_changed_pipeline_leads_elsewhere_and_a_deleted_one_nowhere(services: Services) -> None:
    pipelines = services.core.life.pipelines
    await pipelines.set("ada", "release", stages=[DEV, PROD])
    assert await pipelines.next_of(DEV) == PROD
    await pipelines.delete("ada", "release")
    assert await pipelines.list_pipelines() == []
    for change in (pipelines.delete("ada", "release"), pipelines.set("ada", "release", is_strict=True)):
        with pytest.raises(NotFound, match="no pipeline release"):
            await change

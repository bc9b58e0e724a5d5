import pytest

from headgate.approvals.candidates import Reader
from headgate.approvals.environments import find_broken
from headgate.approvals.planning import Planner
from headgate.approvals.plans import Wish
from headgate.approvals.promotions import PromotionService
from headgate.bootstrap import Services
from headgate.conda.names import Subdir

pytestmark = pytest.mark.usefixtures("channels")

LIB = ("linux-64", "lib-2.0-0.conda")
PURE = ("noarch", "pure-1.0-0.conda")


async def bring(services: Services, *wants: str) -> int:
    """Promote an environment; the promotion's number."""
    await services.snapshots.reload()
    outside, inside = services.catalog.get("outside"), services.catalog.get("inside")
    planner = Planner(services.core.database, Reader(services.maps, services.shards))
    plan = await planner.plan(Wish(wants, outside, inside, platforms=[Subdir("linux-64")]))
    promotions = PromotionService(services.core.database, services.core.store)
    return (await promotions.apply(await promotions.create("ada", plan))).id


async def test_environments_that_would_miss_files_are_told_the_worst_first(services: Services) -> None:
    database = services.core.database
    lib, pure = await bring(services, "lib=2"), await bring(services, "pure")
    both = await find_broken(database, "inside", {LIB, PURE})
    assert [(one.promotion, list(one.wants), one.missing) for one in both] == [(pure, ["pure"], 2), (lib, ["lib=2"], 1)]
    assert [one.promotion for one in await find_broken(database, "inside", {PURE})] == [pure]
    assert await find_broken(database, "outside", {LIB}) == []
    assert await find_broken(database, "inside", set()) == []


async def test_what_was_undone_is_no_environment_any_more(services: Services) -> None:
    number = await bring(services, "lib=2")
    await PromotionService(services.core.database, services.core.store).undo("ada", number)
    assert await find_broken(services.core.database, "inside", {LIB}) == []

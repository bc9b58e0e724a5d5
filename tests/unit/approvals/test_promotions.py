"""From one hosted channel into another, on both databases."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from headgate.approvals.candidates import Reader
from headgate.approvals.planning import Planner
from headgate.approvals.plans import ItemState, Plan, Wish
from headgate.approvals.promotions import PromotionService, PromotionState
from headgate.bootstrap import Services
from headgate.channels.model import ChannelKind
from headgate.conda.names import ArtifactName, ChannelName, Subdir
from headgate.intake.hosted import delete
from headgate.kernel.errors import Conflict, Invalid, NotFound
from tests.packages import package

ACTOR = "tests"
LINUX = Subdir("linux-64")


@pytest.fixture(autouse=True)
async def channels(services: Services) -> None:
    for name in ("outside", "inside"):
        await services.core.channels.create(ACTOR, ChannelName(name), ChannelKind.HOSTED)
    await services.snapshots.reload()
    for name, version, depends in [
        ("lib", "1.0", []),
        ("lib", "2.0", []),
        ("lib", "3.0", ["absent"]),
        ("app", "1.0", ["lib >=1,<3"]),
        ("app", "2.0", ["lib >=2", "__glibc >=2.17"]),
        ("gpu", "1.0", ["__cuda >=12"]),
    ]:
        await upload(services, "outside", *package(name, version, subdir="linux-64", depends=depends))
    await upload(services, "outside", *package("pure", "1.0", depends=["app"]))


async def upload(services: Services, channel: str, filename: str, body: bytes) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield body

    await services.uploads.take(ACTOR, services.catalog.get(channel), filename, pieces())
    await services.snapshots.reload()


def wish(services: Services, *texts: str, target: str = "inside", **more: Any) -> Wish:
    return Wish(texts, services.catalog.get("outside"), services.catalog.get(target), platforms=[LINUX], **more)


async def plan(services: Services, *texts: str, **more: Any) -> Plan:
    planner = Planner(services.core.database, Reader(services.maps, services.shards))
    return await planner.plan(wish(services, *texts, **more))


def promotions(services: Services) -> PromotionService:
    return PromotionService(services.core.database, services.core.store)


async def listed(services: Services, channel: str = "inside") -> set[str]:
    await services.snapshots.reload()
    reader = Reader(services.maps, services.shards)
    found = services.catalog.get(channel)
    files: set[str] = set()
    for subdir in found.subdirs:
        names = list(await reader.names(found, subdir))
        for shard in (await reader.read(found, subdir, names)).values():
            files |= {f"{subdir}/{filename}" for filename, _ in shard.records()}
    return files


async def test_the_closure_is_what_installs_from_the_target_alone(services: Services) -> None:
    found = await plan(services, "pure")
    assert [(item.subdir, item.filename, item.state, item.is_asked) for item in found.items] == [
        ("linux-64", "app-2.0-0.conda", ItemState.NEW, False),
        ("linux-64", "lib-2.0-0.conda", ItemState.NEW, False),
        ("noarch", "pure-1.0-0.conda", ItemState.NEW, True),
    ]


async def test_what_the_target_has_is_preferred_to_anything_newer(services: Services) -> None:
    await upload(services, "inside", *package("lib", "1.0", subdir="linux-64"))
    found = await plan(services, "app<2")
    assert {item.filename: item.state for item in found.items} == {
        "app-1.0-0.conda": ItemState.NEW,
        "lib-1.0-0.conda": ItemState.PRESENT,
    }
    assert found.hindrances == []


async def test_an_applied_promotion_is_one_revision_per_subdir_with_its_origin(services: Services) -> None:
    service, decided = promotions(services), await plan(services, "pure")
    before = {name: state.revision for name, state in services.catalog.get("inside").subdirs.items()}
    number = await service.create("ada", decided, digest=decided.digest, comment="for the demo")
    applied = await service.apply(number)
    assert applied.state is PromotionState.APPLIED
    assert await listed(services) == {"linux-64/app-2.0-0.conda", "linux-64/lib-2.0-0.conda", "noarch/pure-1.0-0.conda"}
    after = {name: state.revision for name, state in services.catalog.get("inside").subdirs.items()}
    assert {name: after[name] - before.get(name, 0) for name in after} == {"linux-64": 1, "noarch": 1}
    assert await service.apply(number) == applied  # again, as after a crash


async def test_records_keep_the_time_when_they_were_first_seen(services: Services) -> None:
    service, decided = promotions(services), await plan(services, "lib=1")
    await service.apply(await service.create("ada", decided))
    reader = Reader(services.maps, services.shards)
    await services.snapshots.reload()
    (before,) = (await reader.read(services.catalog.get("outside"), LINUX, ["lib"])).values()
    (after,) = (await reader.read(services.catalog.get("inside"), LINUX, ["lib"])).values()
    assert after.find("lib-1.0-0.conda") == before.find("lib-1.0-0.conda")


async def test_a_decision_on_other_facts_is_refused(services: Services) -> None:
    seen = await plan(services, "app")
    await upload(services, "outside", *package("app", "2.5", subdir="linux-64", depends=["lib"]))
    with pytest.raises(Conflict) as caught:
        await promotions(services).create("ada", await plan(services, "app"), digest=seen.digest)
    assert caught.value.code == "promotion-outdated"


async def test_other_bytes_under_the_same_name_hinder(services: Services) -> None:
    await upload(services, "inside", *package("lib", "2.0", subdir="linux-64", content=b"other"))
    await services.hosted.submit(
        services.catalog.get("inside"), delete(ACTOR, LINUX, ArtifactName.parse("lib-2.0-0.conda"))
    )
    await services.snapshots.reload()
    found = await plan(services, "lib=2")
    assert [item.state for item in found.items] == [ItemState.CONFLICT]
    with pytest.raises(Conflict) as caught:
        await promotions(services).create("ada", found)
    assert caught.value.code == "promotion-hindered"
    assert "lib-2.0-0.conda" in caught.value.reasons[0]


async def test_a_conflict_that_arises_later_leaves_nothing_behind(services: Services) -> None:
    service = promotions(services)
    number = await service.create("ada", await plan(services, "pure"))
    await upload(services, "inside", *package("lib", "2.0", subdir="linux-64", content=b"other"))
    with pytest.raises(Conflict):
        await service.apply(number)
    assert await listed(services) == {"linux-64/lib-2.0-0.conda"}
    assert (await service.get(number)).state is PromotionState.PLANNED


async def test_without_the_closure_every_build_of_the_newest_version_passes(services: Services) -> None:
    await upload(services, "outside", *package("app", "2.0", "1", subdir="linux-64"))
    found = await plan(services, "app", has_closure=False)
    assert [item.filename for item in found.items] == ["app-2.0-0.conda", "app-2.0-1.conda"]


async def test_a_digest_finds_its_file(services: Services) -> None:
    (item,) = (await plan(services, "lib=1", has_closure=False)).items
    (same,) = (await plan(services, item.record["sha256"])).items
    assert same.filename == "lib-1.0-0.conda"


async def test_a_machine_with_more_is_described(services: Services) -> None:
    with pytest.raises(Conflict) as caught:
        await plan(services, "gpu")
    assert caught.value.code == "closure-unsolvable"
    assert "__cuda" in caught.value.message
    assert len((await plan(services, "gpu", machine={"__cuda": "12.4"})).items) == 1


@pytest.mark.parametrize("text", ["nothing", "lib=9", "f" * 64])
async def test_what_the_source_does_not_publish_is_named(services: Services, text: str) -> None:
    with pytest.raises((NotFound, Conflict)) as caught:
        await plan(services, text)
    assert text in caught.value.message


async def test_a_channel_is_not_promoted_into_itself(services: Services) -> None:
    with pytest.raises(Invalid) as caught:
        await plan(services, "lib", target="outside")
    assert caught.value.code == "promotion-circular"


async def test_nothing_new_is_no_promotion(services: Services) -> None:
    service = promotions(services)
    await service.apply(await service.create("ada", await plan(services, "lib=2")))
    await services.snapshots.reload()
    with pytest.raises(Conflict) as caught:
        await service.create("ada", await plan(services, "lib=2"))
    assert caught.value.code == "promotion-empty"


async def test_an_undone_promotion_takes_back_what_it_brought(services: Services) -> None:
    service = promotions(services)
    await upload(services, "inside", *package("lib", "2.0", subdir="linux-64"))
    number = await service.create("ada", await plan(services, "pure"))
    await service.apply(number)
    await service.undo("bob", number)
    assert await listed(services) == {"linux-64/lib-2.0-0.conda"}
    assert (await service.get(number)).undone_by == "bob"
    with pytest.raises(Conflict) as caught:
        await service.undo("bob", number)
    assert caught.value.code == "promotion-state"
    await services.snapshots.reload()
    again = await service.create("ada", await plan(services, "pure"))
    await service.apply(again)
    assert "noarch/pure-1.0-0.conda" in await listed(services)


async def test_what_others_need_of_a_promotion_is_known_before_it_is_undone(services: Services) -> None:
    service, planner = promotions(services), Planner(services.core.database, Reader(services.maps, services.shards))
    number = await service.create("ada", await plan(services, "pure"))
    await service.apply(number)
    await upload(services, "inside", *package("own", "1.0", depends=["app >=2"]))
    kept = await planner.needed_by_others(services.catalog.get("inside"), (await service.get(number)).new)
    assert kept == [("linux-64", "app-2.0-0.conda"), ("linux-64", "lib-2.0-0.conda")]
    await service.undo("bob", number, kept)
    assert "noarch/pure-1.0-0.conda" not in await listed(services)
    assert "linux-64/lib-2.0-0.conda" in await listed(services)

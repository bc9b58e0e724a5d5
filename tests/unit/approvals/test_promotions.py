"""From one hosted channel into another, on both databases."""

from typing import Any

import pytest
from sqlalchemy import update

from headgate.approvals.candidates import Reader
from headgate.approvals.planning import Planner
from headgate.approvals.plans import ItemState, Plan, Wish
from headgate.approvals.promotions import PromotionService, PromotionState
from headgate.bootstrap import Services
from headgate.conda.names import ArtifactName, Subdir
from headgate.db import tables
from headgate.intake.hosted import delete
from headgate.kernel.errors import Conflict, Invalid, NotFound, Refused
from headgate.policy.verdicts import Outcome
from tests.packages import package
from tests.unit.approvals.making import ACTOR, forbid, listed, upload

LINUX = Subdir("linux-64")


pytestmark = pytest.mark.usefixtures("channels")


def wish(services: Services, *texts: str, target: str = "inside", **more: Any) -> Wish:
    return Wish(texts, services.catalog.get("outside"), services.catalog.get(target), platforms=[LINUX], **more)


async def plan(services: Services, *texts: str, **more: Any) -> Plan:
    planner = Planner(services.core.database, Reader(services.maps, services.shards))
    return await planner.plan(wish(services, *texts, **more))


def promotions(services: Services) -> PromotionService:
    return PromotionService(services.core.database, services.core.store)


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


async def test_policy_of_the_target_is_heeded_by_the_solver(services: Services) -> None:
    await forbid(services, "lib=2.0")
    found = await plan(services, "app")
    assert [item.filename for item in found.items] == ["app-1.0-0.conda", "lib-1.0-0.conda"]
    assert found.hindrances == []


async def test_what_cannot_be_had_without_breaking_policy_names_the_rule(services: Services) -> None:
    await forbid(services, "lib=2.0")
    found = await plan(services, "app=2")
    (lib,) = [item for item in found.items if item.filename == "lib-2.0-0.conda"]
    assert lib.opinion.verdict.outcome is Outcome.BLOCK
    assert lib.opinion.alternative == "3.0"
    assert ["linux-64/lib-2.0-0.conda: policy of inside." in one for one in found.hindrances] == [True]
    assert "not-inside, match-spec" in found.hindrances[0]
    with pytest.raises(Conflict) as caught:
        await promotions(services).create("ada", found)
    assert caught.value.code == "promotion-hindered"


async def test_a_verdict_is_among_the_facts_of_a_decision(services: Services) -> None:
    before = await plan(services, "lib=2")
    await forbid(services, "lib=2.0", action="warn")
    after = await plan(services, "lib=2")
    assert [one.opinion.verdict.outcome for one in after.items] == [Outcome.WARN]
    assert before.digest != after.digest
    number = await promotions(services).create("ada", after)
    (kept,) = (await promotions(services).get(number)).items
    assert kept.opinion == after.items[0].opinion


async def test_policy_is_asked_again_when_a_promotion_is_applied(services: Services) -> None:
    service = promotions(services)
    number = await service.create("ada", await plan(services, "pure"))
    await forbid(services, "lib=2.0")
    with pytest.raises(Refused) as caught:
        await service.apply(number)
    assert caught.value.code == "policy-blocked"
    assert "lib-2.0-0.conda" in caught.value.reasons[0]
    assert await listed(services) == set()


async def test_what_the_source_holds_back_is_told_with_what_would_pass(services: Services) -> None:
    await forbid(services, "lib=1.0", channel="outside")
    planner = Planner(services.core.database, Reader(services.maps, services.shards))
    found = await planner.look(wish(services, "lib=1", "app", "nothing"))
    held, unknown = found.problems
    assert (held.want, held.is_withheld, held.alternative) == ("lib=1", True, "2.0")
    assert "match-spec" in held.reasons[0]
    assert (unknown.want, unknown.is_withheld) == ("nothing", False)
    assert {item.filename for item in found.items} == {"app-2.0-0.conda", "lib-2.0-0.conda"}


async def test_the_files_of_a_lock_pass_as_they_are(services: Services) -> None:
    (lib,) = (await plan(services, "lib=1", has_closure=False)).items
    sha256 = lib.record["sha256"]
    found = await plan(services, f"linux-64: linux-64/lib-1.0-0.conda#{sha256}", "linux-64: linux-64/app-2.0-0.conda#")
    assert [(item.filename, item.is_asked) for item in found.items] == [
        ("app-2.0-0.conda", True),
        ("lib-1.0-0.conda", True),
    ]
    with pytest.raises(NotFound) as caught:
        await plan(services, f"linux-64: linux-64/lib-1.0-0.conda#{'0' * 64}")
    assert caught.value.code == "want-unknown"


async def test_environments_are_solved_each_by_itself(services: Services) -> None:
    found = await plan(services, "linux-64 (default): lib=1", "linux-64 (test): lib=2", "linux-64 (test): app")
    assert [item.filename for item in found.items] == ["app-2.0-0.conda", "lib-1.0-0.conda", "lib-2.0-0.conda"]


async def test_scripts_of_archives_that_were_read_are_told(services: Services) -> None:
    async with services.core.database.write() as connection:
        columns = tables.artifact.c
        chosen = update(tables.artifact).where(columns.filename == "app-1.0-0.conda")
        await connection.execute(chosen.values(about={"post_link": True, "activate.d": True}))
        await connection.execute(
            update(tables.artifact).where(columns.filename == "gpu-1.0-0.conda").values(about=None)
        )
    found = await plan(services, "app=1", "lib=1", "gpu", has_closure=False)
    assert [item.opinion.scripts for item in found.items] == [("post_link", "activate.d"), None, ()]

"""Approvals until a moment: what they brought leaves the channel then, unless it was approved anew."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from headgate.access.principals import Principal
from headgate.approvals.answers import answers_of
from headgate.approvals.request_rows import Limits, Request, Wanted
from headgate.approvals.requests import Asked
from headgate.approvals.rules import AutoRules, RequestRules
from headgate.approvals.states import RequestState
from headgate.bootstrap import Services
from headgate.channels.revisions import read_world
from headgate.channels.why import explain_file, explain_spec
from headgate.conda.names import ArtifactName, ChannelName, Subdir
from headgate.db import tables
from headgate.intake.hosted import yank
from headgate.intake.lapsing import has_lapsed, lapse_due
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, Invalid, Refused
from tests.unit.approvals.making import listed

pytestmark = pytest.mark.usefixtures("channels")

DAN, NADIA, NED = Principal("dan", user_id=1), Principal("nadia", user_id=3), Principal("ned", user_id=4)
APP, LIB = "linux-64/app-2.0-0.conda", "linux-64/lib-2.0-0.conda"
WEEK = timedelta(days=7)


async def ask(services: Services, *texts: str) -> Request:
    wanted = Wanted(ChannelName("outside"), ChannelName("inside"), texts, [Subdir("linux-64")])
    return await services.requests.create(DAN, Asked(wanted))


async def approve(
    services: Services, request: Request, ends_at: datetime | None = None, who: Principal = NADIA
) -> Request:
    digest = (await services.requests.look(request.wanted)).plan.digest
    done = await services.requests.approve(who, request.id, digest, "fine", Limits(ends_at=ends_at))
    if done.promotion is not None:
        await services.promotions.apply(done.promotion)
        await services.snapshots.reload()
    return await services.requests.get(request.id)


async def lapse(services: Services, moment: datetime) -> int:
    done = await lapse_due(services.core.database, moment)
    await services.snapshots.reload()
    return done


async def actions(services: Services, subject: str) -> list[str]:
    columns = tables.audit_event.c
    async with services.core.database.read() as connection:
        rows = await connection.execute(select(columns.action).where(columns.subject == subject).order_by(columns.id))
        return [row.action for row in rows]


async def test_what_was_approved_until_a_moment_leaves_then(services: Services) -> None:
    end = clock.now() + WEEK
    done = await approve(services, await ask(services, "app"), end)
    assert (done.state, done.ends_at is not None) == (RequestState.APPLIED, True)
    database = services.core.database
    assert (await has_lapsed(database, clock.now()), await lapse(services, clock.now())) == (False, 0)
    assert await listed(services) == {APP, LIB}
    before = services.catalog.get("inside").subdirs[Subdir("linux-64")].revision
    assert (await has_lapsed(database, end + WEEK), await lapse(services, end + WEEK)) == (True, 2)
    assert await listed(services) == set()
    assert services.catalog.get("inside").subdirs[Subdir("linux-64")].revision == before + 1
    assert await lapse(services, end + WEEK) == 0
    assert (await actions(services, APP))[-2:] == ["artifact:promote", "artifact:lapse"]


async def test_a_lapsed_file_is_refused_and_says_why(services: Services) -> None:
    await approve(services, await ask(services, "lib=2"), clock.now() + WEEK)
    async with services.core.database.read() as connection:
        world = await read_world(connection)
    channel = services.catalog.get("inside")
    (told,) = await explain_spec(services.core.database, world, channel, "lib")
    assert (told.verdict.is_passing, told.ends_at is not None) == (True, True)
    await lapse(services, clock.now() + 2 * WEEK)
    channel = services.catalog.get("inside")
    for found in (
        await explain_spec(services.core.database, world, channel, "lib >=2"),
        await explain_file(services.core.database, world, channel, LIB),
    ):
        assert [one.filename for one in found] == ["lib-2.0-0.conda"]
        assert "Its approval ended at" in found[0].verdict.reasons[0].sentence
    with pytest.raises(Refused) as caught:
        await services.locator.locate(channel, "linux-64", ArtifactName.parse("lib-2.0-0.conda"))
    assert caught.value.code == "approval-ended"
    assert "Ask for it again." in caught.value.message


async def test_approved_anew_it_comes_back(services: Services) -> None:
    await approve(services, await ask(services, "lib=2"), clock.now() + WEEK)
    await lapse(services, clock.now() + 2 * WEEK)
    await approve(services, await ask(services, "lib=2"))
    assert await listed(services) == {LIB}
    assert await lapse(services, clock.now() + 99 * WEEK) == 0


async def test_approved_anew_in_time_it_stays(services: Services) -> None:
    first, second = clock.now() + WEEK, clock.now() + 3 * WEEK
    await approve(services, await ask(services, "lib=2"), first)
    again = await ask(services, "app=2")
    look = await services.requests.look(again.wanted)
    assert ([one.filename for one in look.plan.new], [one.filename for one in look.plan.ending]) == (
        ["app-2.0-0.conda"], ["lib-2.0-0.conda"],
    )  # fmt: skip
    await approve(services, again, second)
    assert await lapse(services, first + WEEK) == 0
    # An earlier end shortens nothing, and no end lets it stay for good.
    await approve(services, await ask(services, "lib=2"), first)
    assert await lapse(services, first + WEEK) == 0
    only = await ask(services, "lib=2")
    (answer,) = answers_of((await services.requests.look(only.wanted)).plan)
    assert (answer.state, "is there until" in answer.reasons[0]) == ("waiting", True)
    await approve(services, only)
    assert await lapse(services, second + WEEK) == 1
    assert await listed(services) == {LIB}
    assert (await actions(services, LIB)).count("artifact:prolong") == 2
    with pytest.raises(Conflict, match="all of it already"):
        await ask(services, "lib=2")


async def test_undoing_gives_back_the_old_end_and_leaves_what_others_prolonged(services: Services) -> None:
    first = await approve(services, await ask(services, "lib=2"), clock.now() + WEEK)
    second = await approve(services, await ask(services, "app=2"))
    assert first.promotion is not None
    assert second.promotion is not None
    await services.promotions.undo("root", first.promotion)
    assert await listed(services) == {APP, LIB}
    await services.promotions.undo("root", second.promotion)
    assert await listed(services) == {LIB}
    assert await lapse(services, clock.now() + 2 * WEEK) == 1


async def test_the_earliest_end_of_several_approvals_holds(services: Services) -> None:
    await services.request_rules.put("root", services.catalog.get("inside"), RequestRules(approvals=3))
    made = await ask(services, "lib=2")
    soon, late = clock.now() + WEEK, clock.now() + 2 * WEEK
    await approve(services, made, late)
    await approve(services, made, soon, NED)
    done = await approve(services, made, None, Principal("norma", user_id=5))
    assert (done.state, done.ends_at) == (
        RequestState.APPLIED,
        soon.replace(microsecond=soon.microsecond // 1000 * 1000),
    )
    with pytest.raises(Invalid) as caught:
        await approve(services, await ask(services, "gpu"), clock.now())
    assert caught.value.code == "request-end-past"


async def test_rules_never_prolong_and_a_frozen_channel_waits(services: Services) -> None:
    inside = services.catalog.get("inside")
    await approve(services, await ask(services, "lib=2"), clock.now() + WEEK)
    rules = RequestRules(sources=("outside",), auto=AutoRules(licenses=("MIT",), only_patch_releases=False))
    await services.request_rules.put("root", inside, rules)
    assert (await ask(services, "lib=2")).state is RequestState.REQUESTED
    late = clock.now() + 2 * WEEK
    await services.core.life.freezing.freeze("root", "inside", "audit")
    assert (await has_lapsed(services.core.database, late), await lapse(services, late)) == (False, 0)
    await services.core.life.freezing.unfreeze("root", "inside")
    await services.snapshots.reload()
    await services.hosted.submit(
        services.catalog.get("inside"), yank("root", Subdir("linux-64"), ArtifactName.parse("lib-2.0-0.conda"))
    )
    assert await lapse(services, late) == 1


async def test_a_rollback_brings_nothing_back_whose_approval_has_ended(services: Services) -> None:
    await approve(services, await ask(services, "lib=2"), clock.now() + WEEK)
    state = services.catalog.get("inside").subdirs[Subdir("linux-64")]
    await lapse(services, clock.now() + 2 * WEEK)
    plan = await services.core.life.rollbacks.plan(services.catalog.get("inside"), {Subdir("linux-64"): state.revision})
    assert [(one.fate, one.reason) for one in plan.steps[0].files] == [("lost", "Its approval has ended since then.")]

"""Requests on both databases: shared, decided by several at once, carried out, given back, ended."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from headgate.access.principals import Principal
from headgate.approvals.request_rows import Chosen, Request, Wanted
from headgate.approvals.requests import (
    Asked,
    expire_requests,
    find_unstarted,
    follow_promotion,
    has_expired,
    read_counts,
)
from headgate.approvals.rules import AutoRules, RequestRules
from headgate.approvals.states import RequestState
from headgate.bootstrap import Services
from headgate.conda.names import ChannelName, Subdir
from headgate.db import tables
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, Invalid, Refused
from tests.packages import package
from tests.unit.approvals.making import forbid, listed, upload

pytestmark = pytest.mark.usefixtures("channels")

DAN, DORA = Principal("dan", user_id=1), Principal("dora", user_id=2)
NADIA, NED = Principal("nadia", user_id=3, groups=("Network",)), Principal("ned", user_id=4)


def asked(*texts: str, why: str = "") -> Asked:
    wanted = Wanted(ChannelName("outside"), ChannelName("inside"), texts or ["app"], [Subdir("linux-64")])
    return Asked(wanted, why=why)


async def set_rules(services: Services, **members: object) -> None:
    rules = RequestRules(**members)  # type: ignore[arg-type]
    await services.request_rules.put("root", services.catalog.get("inside"), rules)


async def seen(services: Services, request: Request) -> str:
    """The digest that somebody sees who looks now."""
    return (await services.requests.look(request.wanted)).plan.digest


async def approve(services: Services, who: Principal, request: Request, comment: str = "") -> Request:
    return await services.requests.approve(who, request.id, await seen(services, request), comment)


async def events(services: Services) -> list[str]:
    columns = tables.audit_event.c
    async with services.core.database.read() as connection:
        rows = await connection.execute(select(columns.action).order_by(columns.id))
        return [row.action for row in rows if row.action.startswith(("request:", "promotion:"))]


async def test_an_approved_request_is_carried_out_with_all_that_led_to_it(services: Services) -> None:
    made = await services.requests.create(DAN, asked(why="for the demo"))
    assert (made.state, made.summary["new"], made.summary["digest"]) == (
        RequestState.REQUESTED, 2, await seen(services, made),
    )  # fmt: skip
    approved = await approve(services, NADIA, made, "fine")
    assert approved.state is RequestState.APPROVED
    assert approved.promotion is not None
    assert await find_unstarted(services.core.database) == [approved.promotion]
    applied = await services.promotions.apply(approved.promotion)
    assert (applied.request, applied.approvers, applied.comment) == (made.id, ["nadia"], "fine")
    assert await listed(services) == {"linux-64/app-2.0-0.conda", "linux-64/lib-2.0-0.conda"}
    ended = await services.requests.get(made.id)
    assert ended.state is RequestState.APPLIED
    assert [(one.author, one.kind) for one in ended.remarks] == [
        ("dan", "requested"), ("nadia", "approved"), ("headgate", "applied"),
    ]  # fmt: skip
    assert await events(services) == [
        "request:create", "request:submit", "request:approve", "promotion:create", "promotion:apply", "request:apply",
    ]  # fmt: skip
    assert await find_unstarted(services.core.database) == []


async def test_who_asks_for_the_same_joins(services: Services) -> None:
    first = await services.requests.create(DAN, asked("lib=1", "app", why="one"))
    second = await services.requests.create(DORA, asked("app", "lib=1", why="two"))
    assert second.id == first.id
    assert [(one.name, one.why) for one in second.askers] == [("dan", "one"), ("dora", "two")]
    other = await services.requests.create(DORA, asked("lib=1"))
    assert other.id != first.id
    for who in (DAN, DORA):
        with pytest.raises(Refused) as caught:
            await approve(services, who, second)
        assert caught.value.code == "request-own"


async def test_joining_at_the_same_moment_makes_one_request(services: Services) -> None:
    made = await asyncio.gather(*(services.requests.create(who, asked()) for who in (DAN, DORA, NED)))
    assert len({one.id for one in made}) == 1
    assert {one.name for one in (await services.requests.get(made[0].id)).askers} == {"dan", "dora", "ned"}


async def test_an_approver_who_joins_no_longer_approves(services: Services) -> None:
    await set_rules(services, approvals=2)
    made = await services.requests.create(DAN, asked())
    await approve(services, NADIA, made)
    joined = await services.requests.create(NADIA, asked())
    assert joined.votes == []
    assert (await approve(services, NED, made)).state is RequestState.REQUESTED


async def test_several_approvals_of_the_same_facts_are_needed(services: Services) -> None:
    await set_rules(services, approvals=2, groups=("Network",))
    made = await services.requests.create(DAN, asked())
    with pytest.raises(Refused) as caught:
        await approve(services, NED, made)
    assert caught.value.code == "request-approver"
    for _ in range(2):
        assert (await approve(services, NADIA, made)).state is RequestState.REQUESTED
    norma = Principal("norma", user_id=5, groups=("Network",))
    assert (await approve(services, norma, made)).state is RequestState.APPROVED


async def test_an_approval_on_facts_that_changed_is_asked_for_again(services: Services) -> None:
    await set_rules(services, approvals=2)
    made = await services.requests.create(DAN, asked())
    old = await seen(services, made)
    await services.requests.approve(NADIA, made.id, old)
    await forbid(services, "lib=2.0", action="warn")
    with pytest.raises(Conflict) as caught:
        await services.requests.approve(NED, made.id, old)
    assert caught.value.code == "request-outdated"
    assert (await approve(services, NED, made)).state is RequestState.REQUESTED
    assert (await approve(services, NADIA, made)).state is RequestState.APPROVED


async def test_approvals_at_the_same_moment_count_once(services: Services) -> None:
    await set_rules(services, approvals=2)
    made = await services.requests.create(DAN, asked())
    digest = await seen(services, made)

    async def vote(who: Principal) -> RequestState | str:
        try:
            return (await services.requests.approve(who, made.id, digest)).state
        except Conflict as error:
            return error.code

    assert set(await asyncio.gather(vote(NADIA), vote(NADIA), vote(NADIA))) == {RequestState.REQUESTED}
    assert len((await services.requests.get(made.id)).votes) == 1
    outcomes = await asyncio.gather(*(vote(Principal(f"n{number}", user_id=9 + number)) for number in range(4)))
    # The transaction that brings the last one needed finds it first; the others come too late.
    assert outcomes.count("request-state") == 3
    assert len(await services.promotions.list_promotions(before=None, limit=10)) == 1


async def test_what_cannot_pass_is_not_approved(services: Services) -> None:
    made = await services.requests.create(DAN, asked("app=2"))
    await forbid(services, "lib=2.0")
    with pytest.raises(Conflict) as caught:
        await approve(services, NADIA, made)
    assert caught.value.code == "promotion-hindered"
    assert (await services.requests.get(made.id)).votes == []


async def test_a_request_that_could_not_be_carried_out_is_open_again(services: Services) -> None:
    made = await services.requests.create(DAN, asked())
    approved = await approve(services, NADIA, made)
    assert approved.promotion is not None
    await services.promotions.fail(approved.promotion, "Upstream is gone.")
    again = await services.requests.get(made.id)
    assert (again.state, again.votes, again.promotion) == (RequestState.REQUESTED, [], None)
    assert again.remarks[-1].text == "Upstream is gone."
    assert (await approve(services, NADIA, made)).state is RequestState.APPROVED


async def test_changes_are_wanted_and_made(services: Services) -> None:
    made = await services.requests.create(DAN, asked("app"))
    with pytest.raises(Invalid) as caught:
        await services.requests.ask_changes(NADIA, made.id, " ")
    assert caught.value.code == "request-comment-missing"
    assert (await services.requests.ask_changes(NADIA, made.id, "Older?")).state is RequestState.CHANGES_WANTED
    with pytest.raises(Conflict):
        await approve(services, NADIA, made)
    with pytest.raises(Refused):
        await services.requests.submit(DORA, made.id)
    again = await services.requests.submit(DAN, made.id, asked("app=1"))
    assert (again.state, again.wanted.texts) == (RequestState.REQUESTED, ["app=1"])


async def test_a_draft_is_submitted_into_the_request_of_others(services: Services) -> None:
    draft = await services.requests.create(DAN, asked(why="mine"), is_draft=True)
    assert draft.state is RequestState.DRAFT
    other = await services.requests.create(DORA, asked())
    assert other.id != draft.id
    joined = await services.requests.submit(DAN, draft.id)
    assert joined.id == other.id
    assert {one.name for one in joined.askers} == {"dan", "dora"}
    assert (await services.requests.get(draft.id)).state is RequestState.WITHDRAWN


async def test_a_request_ends_when_nobody_asks_any_more(services: Services) -> None:
    made = await services.requests.create(DAN, asked())
    await services.requests.create(DORA, asked())
    assert (await services.requests.withdraw(DAN, made.id)).state is RequestState.REQUESTED
    assert (await services.requests.withdraw(DORA, made.id)).state is RequestState.WITHDRAWN
    assert (await services.requests.create(DAN, asked())).id != made.id


async def test_a_rejection_says_why_and_is_final(services: Services) -> None:
    made = await services.requests.create(DAN, asked())
    with pytest.raises(Refused):
        await services.requests.reject(DAN, made.id, "I changed my mind")
    rejected = await services.requests.reject(NADIA, made.id, "Use lib.")
    assert (rejected.state, rejected.remarks[-1].text) == (RequestState.REJECTED, "Use lib.")
    with pytest.raises(Conflict):
        await approve(services, NED, made)


async def test_what_nobody_decides_on_in_time_expires(services: Services) -> None:
    await set_rules(services, expires_days=2)
    made = await services.requests.create(DAN, asked())
    database = services.core.database
    soon, late = clock.now() + timedelta(days=1), clock.now() + timedelta(days=3)
    assert (await has_expired(database, soon), await expire_requests(database, soon)) == (False, 0)
    assert (await has_expired(database, late), await expire_requests(database, late)) == (True, 1)
    assert (await services.requests.get(made.id)).state is RequestState.EXPIRED
    assert await expire_requests(database, late) == 0
    assert (await services.requests.create(DAN, asked())).id != made.id


async def test_a_comment_is_demanded_where_rules_say_so(services: Services) -> None:
    await set_rules(services, is_comment_required=True)
    made = await services.requests.create(DAN, asked())
    with pytest.raises(Invalid) as caught:
        await approve(services, NADIA, made)
    assert caught.value.code == "request-comment-missing"
    assert (await approve(services, NADIA, made, "Clean.")).state is RequestState.APPROVED


async def test_a_clean_patch_release_passes_by_rule(services: Services) -> None:
    await set_rules(services, sources=("outside",), auto=AutoRules(licenses=("MIT",)))
    await upload(services, "inside", *package("tool", "1.2.3", subdir="linux-64", license="MIT"))
    await upload(services, "outside", *package("tool", "1.2.4", subdir="linux-64", license="MIT"))
    await upload(services, "outside", *package("tool", "1.3.0", subdir="linux-64", license="MIT"))
    newer = await services.requests.create(DAN, asked("tool"))
    assert newer.state is RequestState.REQUESTED
    patch = await services.requests.create(DAN, asked("tool=1.2.4"))
    assert (patch.state, patch.remarks[-1].author) == (RequestState.APPROVED, "headgate")
    assert patch.promotion is not None
    await services.promotions.apply(patch.promotion)
    assert "linux-64/tool-1.2.4-0.conda" in await listed(services)


async def test_what_is_there_already_needs_no_request(services: Services) -> None:
    for filename, body in (package("lib", "2.0", subdir="linux-64"), package("own", "1.0")):
        await upload(services, "inside", filename, body)
    with pytest.raises(Conflict) as caught:
        await services.requests.create(DAN, asked("lib=2"))
    assert caught.value.code == "promotion-empty"


async def test_requests_are_listed_and_counted(services: Services) -> None:
    first = await services.requests.create(DAN, asked("lib=1"))
    second = await services.requests.create(DORA, asked("lib=2"))
    await services.requests.withdraw(DAN, first.id)

    async def numbers(chosen: Chosen) -> list[int]:
        return [one.id for one in await services.requests.list_requests(chosen, 10)]

    assert await numbers(Chosen()) == [second.id, first.id]
    assert await numbers(Chosen(states=[RequestState.REQUESTED])) == [second.id]
    assert await numbers(Chosen(asker="dora", target="inside")) == [second.id]
    assert await numbers(Chosen(beyond=second.id)) == [first.id]
    assert await numbers(Chosen(is_oldest_first=True)) == [first.id, second.id]
    assert await numbers(Chosen(beyond=first.id, is_oldest_first=True)) == [second.id]
    assert await read_counts(services.core.database) == {"requested": 1, "withdrawn": 1}


async def test_a_promotion_of_nobodys_request_changes_no_request(services: Services) -> None:
    made = await services.requests.create(DAN, asked("lib=2"))
    look = await services.requests.look(made.wanted)
    number = await services.promotions.create("root", look.plan)
    async with services.core.database.write() as connection:
        await follow_promotion(connection, await services.promotions.get(number), None)
    assert (await services.requests.get(made.id)).state is RequestState.REQUESTED


async def test_what_waits_for_somebody_stands_with_the_oldest_first(services: Services) -> None:
    asks = [await services.requests.create(DAN, asked(want)) for want in ("lib=1", "lib=2")]

    async def numbers(name: str, *targets: str, most: int = 10) -> list[int]:
        return [one.id for one in await services.requests.list_waiting_for(name, targets, most)]

    assert await numbers("nadia", "inside") == [one.id for one in asks]
    assert await numbers("nadia", "inside", most=1) == [asks[0].id]
    assert (await numbers("nadia", "outside"), await numbers("dan", "inside")) == ([], [])
    await services.requests.ask_changes(NADIA, asks[0].id, "Which version?")
    assert await numbers("dan") == [asks[0].id]
    await set_rules(services, approvals=2)
    await approve(services, NADIA, asks[1])
    assert (await numbers("nadia", "inside"), await numbers("ned", "inside")) == ([], [asks[1].id])

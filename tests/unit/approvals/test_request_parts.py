"""Requests that are approved in part: what passes, and what becomes of the rest."""

import pytest

from headgate.access.principals import Principal
from headgate.approvals.request_rows import Limits, Request, Wanted
from headgate.approvals.requests import Asked
from headgate.approvals.rules import RequestRules
from headgate.approvals.states import RequestState
from headgate.bootstrap import Services
from headgate.conda.names import ChannelName, Subdir
from headgate.kernel.errors import Conflict, Invalid
from tests.unit.approvals.making import listed

pytestmark = pytest.mark.usefixtures("channels")

DAN, DORA = Principal("dan", user_id=1), Principal("dora", user_id=2)
NADIA, NED = Principal("nadia", user_id=3), Principal("ned", user_id=4)


def asked(*texts: str) -> Asked:
    return Asked(Wanted(ChannelName("outside"), ChannelName("inside"), texts, [Subdir("linux-64")]), why="needed")


async def approve(
    services: Services, who: Principal, request: Request, *left_out: str, why: str = "not yet"
) -> Request:
    digest = (await services.requests.look(request.wanted, left_out)).plan.digest
    return await services.requests.approve(who, request.id, digest, "fine", Limits(left_out, why))


async def test_the_rest_passes_and_what_is_left_out_waits(services: Services) -> None:
    made = await services.requests.create(DAN, asked("app >=1", "gpu", "lib=1"))
    await services.requests.create(DORA, asked("app >=1", "gpu", "lib=1"))
    part = await approve(services, NADIA, made, "app", "gpu")
    assert (part.state, part.wanted.texts, part.left_out) == (RequestState.APPROVED, ["lib=1"], ["app >=1", "gpu"])
    assert part.left_out_why == "not yet"
    assert part.rest is not None
    assert part.promotion is not None
    rest = await services.requests.get(part.rest)
    assert (rest.state, rest.wanted.texts, rest.part_of) == (RequestState.REQUESTED, ["app >=1", "gpu"], made.id)
    assert ([one.name for one in rest.askers], rest.votes) == (["dan", "dora"], [])
    assert rest.summary["problems"] + rest.summary["new"] > 0
    await services.promotions.apply(part.promotion)
    # What only the others need did not come along, either.
    assert await listed(services) == {"linux-64/lib-1.0-0.conda"}
    assert (await services.requests.get(made.id)).state is RequestState.APPLIED
    smaller = await approve(services, NED, rest, "gpu")
    assert smaller.promotion is not None
    await services.promotions.apply(smaller.promotion)
    assert "linux-64/app-2.0-0.conda" in await listed(services)
    assert smaller.rest is not None
    assert (await services.requests.reject(NADIA, smaller.rest, "No machine has one.")).state is RequestState.REJECTED


async def test_what_the_rest_needs_cannot_be_left_out(services: Services) -> None:
    made = await services.requests.create(DAN, asked("app=2", "lib"))
    with pytest.raises(Conflict) as caught:
        await approve(services, NADIA, made, "lib")
    assert caught.value.code == "promotion-hindered"
    assert "what is not left out needs it" in caught.value.reasons[0]
    assert (await services.requests.get(made.id)).state is RequestState.REQUESTED


async def test_approvals_of_different_parts_do_not_add_up(services: Services) -> None:
    await services.request_rules.put("root", services.catalog.get("inside"), RequestRules(approvals=2))
    # `lib=2` is what `app=2` needs anyway: the files are the same with and without it, and the decision is not.
    made = await services.requests.create(DAN, asked("lib=1", "gpu"))
    assert (await approve(services, NADIA, made, "gpu")).state is RequestState.REQUESTED
    digest = (await services.requests.look(made.wanted, ["lib"])).plan.digest
    with pytest.raises(Conflict) as caught:
        await services.requests.approve(NED, made.id, digest, "", Limits(["gpu"], "no"))
    assert caught.value.code == "request-outdated"
    assert (await services.requests.get(made.id)).votes[0].limits.left_out == ["gpu"]
    assert (await approve(services, NED, made, "gpu")).state is RequestState.APPROVED


@pytest.mark.parametrize(
    ("left_out", "why", "code"),
    [
        (["lib", "gpu"], "x", "request-part-invalid"),
        (["numpy"], "x", "request-part-invalid"),
        (["gpu"], " ", "request-comment-missing"),
    ],
)
async def test_a_part_is_of_what_was_asked_for_and_has_a_reason(
    services: Services, left_out: list[str], why: str, code: str
) -> None:
    made = await services.requests.create(DAN, asked("lib", "gpu"))
    with pytest.raises(Invalid) as caught:
        await services.requests.approve(NADIA, made.id, "0" * 64, "", Limits(left_out, why))
    assert caught.value.code == code


async def test_what_is_left_out_joins_those_who_ask_for_it_already(services: Services) -> None:
    other = await services.requests.create(DORA, asked("gpu"))
    made = await services.requests.create(DAN, asked("lib=1", "gpu"))
    part = await approve(services, NADIA, made, "gpu")
    assert part.rest == other.id
    assert [one.name for one in (await services.requests.get(other.id)).askers] == ["dora", "dan"]


async def test_a_part_that_could_not_be_brought_joins_a_newer_request_for_it(services: Services) -> None:
    made = await services.requests.create(DAN, asked("lib=1", "gpu"))
    part = await approve(services, NADIA, made, "gpu")
    newer = await services.requests.create(DORA, asked("lib=1"))
    assert newer.id != made.id
    assert part.promotion is not None
    await services.promotions.fail(part.promotion, "Upstream is gone.")
    assert (await services.requests.get(made.id)).state is RequestState.WITHDRAWN
    assert [one.name for one in (await services.requests.get(newer.id)).askers] == ["dora", "dan"]

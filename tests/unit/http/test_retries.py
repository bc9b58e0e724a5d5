"""Asking again, leaving alone, and asking no faster than was agreed."""

import asyncio
from datetime import timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web

from headgate.http.bandwidth import Bandwidth
from headgate.http.breakers import Breakers
from headgate.http.client import Outgoing
from headgate.http.limits import Limits
from headgate.http.network import Network
from headgate.http.retries import LONGEST_PAUSE_S, backoff_s, pause_s
from headgate.kernel import clock
from headgate.kernel.errors import Unavailable
from tests.unit.http.servers import Handler, content, serve, talk


def failing(times: int, status: int, asked: list[str], **headers: str) -> Handler:
    """A handler that answers with a status so many times, and then 200."""

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(request.method)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, headers=named) if len(asked) <= times else web.Response(text="good")

    return handler


async def status_of(network: Network, url: str, *, method: str = "GET", body: bytes | None = None) -> int:
    client = Outgoing(network)
    try:
        async with client.open(url, method=method, body=body) as answer:
            return answer.status
    finally:
        await client.close()


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_failure_that_may_pass_is_met_by_asking_again(status: int) -> None:
    asked: list[str] = []
    async with serve({"/x": failing(2, status, asked, Retry_After="0")}) as base:
        assert await status_of(Network(retries=2), f"{base}/x") == 200
    assert len(asked) == 3


@pytest.mark.parametrize(("status", "retries", "requests"), [(503, 1, 2), (503, 0, 1), (404, 2, 1), (500, 2, 1)])
async def test_other_failures_and_the_last_are_answers(status: int, retries: int, requests: int) -> None:
    asked: list[str] = []
    async with serve({"/x": failing(9, status, asked, Retry_After="0")}) as base:
        assert await status_of(Network(retries=retries), f"{base}/x") == status
    assert len(asked) == requests


async def test_what_was_sent_is_not_sent_twice() -> None:
    asked: list[str] = []
    async with serve({"/x": failing(9, 503, asked, Retry_After="0")}) as base:
        assert await status_of(Network(retries=3), f"{base}/x", method="POST", body=b"x") == 503
    assert asked == ["POST"]


async def test_upstream_that_wants_long_to_be_left_alone_is() -> None:
    asked: list[str] = []
    async with serve({"/x": failing(9, 429, asked, Retry_After="3600")}) as base:
        assert await status_of(Network(retries=3), f"{base}/x") == 429
    assert len(asked) == 1


def test_pauses_grow_and_heed_what_was_said() -> None:
    assert [0.15 * 2**n <= backoff_s(n) <= 0.45 * 2**n for n in range(5)] == [True] * 5
    assert backoff_s(40) <= LONGEST_PAUSE_S
    assert pause_s("7", 0) == 7
    assert pause_s("100000", 0) is None
    assert pause_s("soon", 0) == 0
    assert 0 < (pause_s(format_datetime(clock.now() + timedelta(seconds=9), usegmt=True), 0) or 0) <= 9
    assert pause_s(format_datetime(clock.now() - timedelta(days=1), usegmt=True), 0) == 0


async def test_host_that_never_answers_is_left_alone_for_a_while() -> None:
    limits = Limits(failures=3, rest_s=60)
    client = Outgoing(limits=limits)
    codes = []
    for _ in range(5):
        with pytest.raises(Unavailable) as raised:
            async with client.open("http://127.0.0.1:1/x"):
                pass
        codes.append(raised.value.code)
    await client.close()
    assert codes == ["upstream-unreachable"] * 3 + ["upstream-resting"] * 2
    [resting] = limits.breakers.resting()
    assert (resting.host, resting.failures) == ("127.0.0.1:1", 3)
    assert 0 < resting.seconds <= 60


async def test_connections_that_we_closed_ourselves_say_nothing_of_the_host() -> None:
    limits, has_come = Limits(failures=1, rest_s=60), asyncio.Event()

    async def wait(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        has_come.set()
        await asyncio.sleep(60)

    async with talk(wait) as url:
        client = Outgoing(limits=limits)

        async def ask() -> None:
            async with client.open(f"{url}/x"):
                pass

        asking = asyncio.create_task(ask())
        await has_come.wait()
        await client.close()
        with pytest.raises(Unavailable) as raised:
            await asking
    assert raised.value.code == "upstream-given-up"
    assert limits.breakers.resting() == []


async def test_one_request_tries_a_host_again_and_its_answer_ends_the_rest() -> None:
    breakers = Breakers(failures=1, rest_s=0)
    for answered in (False, True):
        breakers.leave("h:1", "no answer")
        breakers.enter("h:1")
        with pytest.raises(Unavailable):
            breakers.enter("h:1")
        breakers.leave("h:1", None if answered else "no answer")
    breakers.enter("h:1")
    breakers.enter("h:1")


async def test_request_that_we_gave_up_says_nothing_of_the_host() -> None:
    breakers = Breakers(failures=1, rest_s=0)
    breakers.leave("h:1", "no answer")
    breakers.enter("h:1")
    breakers.forgive("h:1")
    breakers.enter("h:1")


async def test_bandwidth_is_shared_by_all_who_receive(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def note(pause: float) -> None:
        pauses.append(pause)

    monkeypatch.setattr("headgate.http.bandwidth.asyncio.sleep", note)
    bandwidth = Bandwidth(1_000)
    for _ in range(3):
        await bandwidth.pay(60_000)
    assert pauses == pytest.approx([60, 120, 180], abs=5)


async def test_body_comes_whole_under_a_bandwidth() -> None:
    client = Outgoing(Network(bytes_per_second=10_000_000))
    async with serve({"/x": content(b"x" * 100_000)}) as base, client.open(f"{base}/x") as answer:
        assert await answer.read(100_000) == b"x" * 100_000
    await client.close()

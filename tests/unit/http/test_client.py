import asyncio
import json

import aiohttp
import pytest
from aiohttp import web

from headgate.http.client import Outgoing
from headgate.http.network import Network
from headgate.kernel.errors import Invalid, Unavailable
from tests.unit.http.servers import content, serve


async def echo(request: web.Request) -> web.StreamResponse:
    return web.json_response(dict(request.headers))


async def headers_sent(outgoing: Outgoing, url: str, **kwargs) -> dict[str, str]:
    async with outgoing.open(url, **kwargs) as answer:
        assert answer.status == 200
        return {name.lower(): value for name, value in json.loads(await answer.read(10_000)).items()}


async def test_answer_has_status_headers_without_regard_to_case_and_body(outgoing: Outgoing) -> None:
    async with serve({"/x": content(b"hello", 200, {"ETag": '"1"'})}) as base, outgoing.open(f"{base}/x") as answer:
        assert (answer.status, answer.headers["etag"], answer.headers.get("ETAG")) == (200, '"1"', '"1"')
        assert answer.url == f"{base}/x"
        assert b"".join([piece async for piece in answer.chunks(2)]) == b"hello"


@pytest.mark.parametrize("status", [404, 403, 500, 503])
async def test_any_status_is_returned_not_raised(outgoing: Outgoing, status: int) -> None:
    async with serve({"/x": content(b"no", status)}) as base, outgoing.open(f"{base}/x") as answer:
        assert answer.status == status
        assert await answer.read(10) == b"no"


async def test_we_say_who_we_are_and_ask_for_plain_bytes(outgoing: Outgoing) -> None:
    async with serve({"/x": echo}) as base:
        sent = await headers_sent(outgoing, f"{base}/x", headers={"If-None-Match": '"1"'})
    assert sent["user-agent"].startswith("headgate")
    assert sent["accept-encoding"] == "identity"
    assert sent["if-none-match"] == '"1"'
    assert "authorization" not in sent


async def test_user_information_becomes_basic_credentials_and_is_not_shown(outgoing: Outgoing) -> None:
    async with serve({"/t/tok-1/x": echo}) as base:
        url = f"{base}/t/tok-1/x".replace("://", "://me:p%40ss@")
        sent = await headers_sent(outgoing, url)
        async with outgoing.open(url) as answer:
            assert "me" not in answer.url
            assert "tok-1" not in answer.url
    assert sent["authorization"] == aiohttp.encode_basic_auth("me", "p@ss")


async def test_head_has_the_length_and_no_body(outgoing: Outgoing) -> None:
    async with serve({"/x": content(b"hello")}) as base, outgoing.open(f"{base}/x", method="HEAD") as answer:
        assert answer.headers["Content-Length"] == "5"
        assert await answer.read(10) == b""


async def test_encoded_body_is_not_decoded(outgoing: Outgoing) -> None:
    packed = content(b"\x1f\x8bnot really", 200, {"Content-Encoding": "gzip"})
    async with serve({"/x": packed}) as base, outgoing.open(f"{base}/x") as answer:
        assert await answer.read(100) == b"\x1f\x8bnot really"


async def test_path_is_sent_as_it_was_written(outgoing: Outgoing) -> None:
    async def raw(request: web.Request) -> web.StreamResponse:
        return web.Response(text=request.raw_path)

    async with serve({"/{any:.*}": raw}) as base:
        for path in ("/a%2Bb+c/1!2.0?X=a%2Fb%20c&Y=~", "/x%2fy"):
            async with outgoing.open(base + path) as answer:
                assert (await answer.read(1000)).decode() == path


async def test_large_body_is_refused_by_its_announcement(outgoing: Outgoing) -> None:
    async with serve({"/x": content(b"x" * 1000)}) as base, outgoing.open(f"{base}/x") as answer:
        with pytest.raises(Unavailable) as raised:
            await answer.read(999)
    assert raised.value.code == "upstream-too-large"


@pytest.mark.parametrize("url", ["ftp://host/x", "https://", "//host/x", "x", "https://h:p/x", "http://[::1/x", ""])
async def test_what_is_no_address_is_invalid(outgoing: Outgoing, url: str) -> None:
    with pytest.raises(Invalid) as raised:
        async with outgoing.open(url):
            pass
    assert raised.value.code == "upstream-url"


async def test_nobody_listening_is_unavailable_without_the_secrets(outgoing: Outgoing) -> None:
    with pytest.raises(Unavailable) as raised:
        async with outgoing.open("http://me:s3cret@127.0.0.1:1/t/tok-1/x?key=k3y"):
            pass
    assert raised.value.code == "upstream-unreachable"
    assert "127.0.0.1:1" in raised.value.message
    assert not [word for word in ("s3cret", "tok-1", "k3y") if word in raised.value.message]
    assert raised.value.__suppress_context__


async def test_unknown_host_is_unavailable(outgoing: Outgoing) -> None:
    with pytest.raises(Unavailable, match="cannot be resolved"):
        async with outgoing.open("http://no-such-host.invalid/x"):
            pass


async def test_errors_of_the_caller_pass_unchanged_and_the_connection_is_given_back(outgoing: Outgoing) -> None:
    async with serve({"/x": content(b"hello")}) as base:
        with pytest.raises(TimeoutError, match="mine"):
            async with outgoing.open(f"{base}/x"):
                raise TimeoutError("mine")
        async with outgoing.open(f"{base}/x") as answer:
            assert await answer.read(10) == b"hello"


async def test_requests_beyond_the_bound_wait() -> None:
    open_now, most = 0, 0

    async def count(request: web.Request) -> web.StreamResponse:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(0.02)
        open_now -= 1
        return web.Response()

    client = Outgoing(Network(connections=2))

    async def ask(url: str) -> None:
        async with client.open(url) as answer:
            await answer.read(1)

    async with serve({"/x": count}) as base:
        await asyncio.gather(*(ask(f"{base}/x") for _ in range(8)))
    await client.close()
    assert most == 2

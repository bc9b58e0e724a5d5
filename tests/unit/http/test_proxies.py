"""Which proxy a request goes through, and what a proxy may be led to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from yarl import URL

from headgate.http.addresses import Nearness, nearness_of_name
from headgate.http.client import Outgoing
from headgate.http.network import DIRECT, Network, NetworkSettings, check_proxy
from headgate.http.proxies import Proxies
from headgate.kernel.errors import Invalid, Unavailable

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("entry", "url", "is_spared"),
    [
        ("conda.example", "https://conda.example/x", True),
        ("conda.example", "https://sub.conda.example/x", True),
        ("conda.example", "https://notconda.example/x", False),
        (".corp.example", "https://a.b.corp.example/", True),
        ("*.corp.example", "https://a.corp.example/", True),
        ("CONDA.example", "https://conda.EXAMPLE./x", True),
        ("10.0.0.0/8", "http://10.20.30.40/", True),
        ("10.0.0.0/8", "http://11.0.0.1/", False),
        ("10.0.0.0/8", "http://ten.example/", False),
        ("10.1.2.3", "http://10.1.2.3:8080/", True),
        ("fd00::/8", "http://[fd12::1]/", True),
        ("[fd12::1]:8080", "http://[fd12::1]:8080/", True),
        ("[fd12::1]:8080", "http://[fd12::1]/", False),
        ("conda.example:8443", "https://conda.example:8443/", True),
        ("conda.example:8443", "https://conda.example/", False),
        ("*", "https://anything.example/", True),
        ("", "https://anything.example/", False),
        (".", "https://anything.example/", False),
    ],
)
def test_what_is_reached_without_a_proxy(entry: str, url: str, is_spared: bool) -> None:
    proxies = Proxies(PROXY, PROXY, (entry,))
    assert (proxies.find(URL(url)) is None) == is_spared


def test_environment_in_lower_case_or_in_capitals() -> None:
    environment = {"HTTP_PROXY": "proxy.example:3128", "https_proxy": "http://me:pw@tls.example", "no_proxy": "a, .b c"}
    proxies = Proxies.of_environment(environment)
    assert proxies.find(URL("http://conda.example/")) == "http://proxy.example:3128"
    assert proxies.find(URL("https://conda.example/")) == "http://me:pw@tls.example"
    assert proxies.no_proxy == ("a", ".b", "c")
    assert proxies.shown() == {"http": "http://proxy.example:3128", "https": "http://•••@tls.example"}
    assert "pw" not in repr(proxies)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "x.localhost"])
def test_environment_never_concerns_this_machine_but_a_setting_may(host: str) -> None:
    url = URL(f"http://{host}:8000/")
    assert Proxies.of_environment({"http_proxy": PROXY}).find(url) is None
    assert Proxies(PROXY, PROXY).find(url) == PROXY


def test_mirror_overrides_the_server() -> None:
    own = Network(Proxies(PROXY, PROXY, (".corp",)), authorities=("A",), retries=2)
    other = own.of_mirror(NetworkSettings(proxy="http://other.example:1"), ("B",), 7)
    assert other.proxies == Proxies("http://other.example:1", "http://other.example:1", (".corp",))
    assert (other.authorities, other.retries, other.owner) == (("A", "B"), 2, 0)
    assert own.of_mirror(NetworkSettings(proxy=DIRECT), (), 7).proxies == Proxies()
    assert own.of_mirror(NetworkSettings(no_proxy=()), (), 7).proxies == Proxies(PROXY, PROXY)
    assert own.of_mirror(NetworkSettings(), (), 7) == own
    assert own.of_mirror(NetworkSettings(connections=3), (), 7).owner == 7


@pytest.mark.parametrize(
    "proxy", ["proxy:3128", "socks5://proxy:1", "http://", "http://proxy/path", "http://a:b:c@[/", "http://h:99999"]
)
def test_what_is_no_proxy_is_refused(proxy: str) -> None:
    with pytest.raises(Invalid) as raised:
        check_proxy(proxy)
    assert raised.value.code == "proxy-invalid"


@pytest.mark.parametrize(
    ("host", "nearness"),
    [
        ("conda.anaconda.org", Nearness.PUBLIC),
        ("93.184.216.34", Nearness.PUBLIC),
        ("10.0.0.1", Nearness.PRIVATE),
        ("intranet", Nearness.PRIVATE),
        ("wiki.corp", Nearness.PRIVATE),
        ("metadata.google.internal", Nearness.PRIVATE),
        ("localhost.", Nearness.LOOPBACK),
        ("127.0.0.1", Nearness.LOOPBACK),
        ("169.254.169.254", Nearness.ANY),
        ("127.1", Nearness.ANY),
        ("0x7f000001", Nearness.ANY),
        ("2130706433", Nearness.ANY),
    ],
)
def test_nearness_as_far_as_a_name_tells(host: str, nearness: Nearness) -> None:
    assert nearness_of_name(host) is nearness


@asynccontextmanager
async def proxy_that_says(*answers: bytes) -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy on loopback that gives these answers, one per request; its URL, and what it was asked for."""
    asked: list[str] = []
    waiting = list(answers)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.decode().splitlines()[0])
        writer.write(waiting.pop(0))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    server.close()
    await server.wait_closed()


def answer(status: str, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "Content-Length: 0", "Connection: close", "", ""]).encode()


async def ask(proxy: str, url: str, no_proxy: tuple[str, ...] = ()) -> int:
    client = Outgoing(Network(Proxies(proxy, proxy, no_proxy)))
    try:
        async with client.open(url) as found:
            return found.status
    finally:
        await client.close()


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1/x",
        "http://localhost/x",
        "http://10.0.0.1/x",
        "http://169.254.169.254/latest",
        "http://intranet/x",
        "http://wiki.corp/x",
        "http://2130706433/",
    ],
)
async def test_public_upstream_may_not_lead_a_proxy_inside(location: str) -> None:
    async with proxy_that_says(answer("302 Found", f"Location: {location}"), answer("200 OK")) as (proxy, asked):
        with pytest.raises(Unavailable) as raised:
            await ask(proxy, "http://conda.example/x")
    assert raised.value.code == "upstream-redirect-refused"
    assert len(asked) == 1


async def test_public_upstream_may_not_lead_past_the_proxy_inside() -> None:
    async with proxy_that_says(answer("302 Found", "Location: http://127.0.0.1:1/x")) as (proxy, _):
        with pytest.raises(Unavailable) as raised:
            await ask(proxy, "http://conda.example/x", no_proxy=("127.0.0.0/8",))
    assert raised.value.code == "upstream-redirect-refused"


async def test_redirects_among_public_hosts_and_among_private_ones_are_followed() -> None:
    for first, second in (("conda.example", "cdn.example"), ("intranet", "files.corp")):
        redirect = answer("302 Found", f"Location: http://{second}/y")
        async with proxy_that_says(redirect, answer("200 OK")) as (proxy, asked):
            assert await ask(proxy, f"http://{first}/x") == 200
        assert asked == [f"GET http://{first}/x HTTP/1.1", f"GET http://{second}/y HTTP/1.1"]


@pytest.mark.parametrize(
    ("said", "url", "code"),
    [
        ("407 Proxy Authentication Required", "http://conda.example/x", "proxy-refused"),
        ("407 Proxy Authentication Required", "https://conda.example/x", "proxy-refused"),
        ("403 Forbidden", "https://conda.example/x", "proxy-denied"),
        ("503 Service Unavailable", "https://conda.example/x", "proxy-failed"),
    ],
)
async def test_what_the_proxy_says_is_told_as_its_own(said: str, url: str, code: str) -> None:
    async with proxy_that_says(answer(said)) as (proxy, _):
        with pytest.raises(Unavailable) as raised:
            await ask(proxy.replace("://", "://me:pr0xy@"), url)
    assert raised.value.code == code
    assert "http://•••@127.0.0.1" in raised.value.message
    assert "pr0xy" not in raised.value.message


async def test_proxy_that_is_not_there_is_named() -> None:
    with pytest.raises(Unavailable) as raised:
        await ask("http://me:pr0xy@127.0.0.1:1", "http://conda.example/x")
    assert raised.value.code == "proxy-unreachable"
    assert "http://•••@127.0.0.1:1" in raised.value.message

import json

import pytest
from aiohttp import web

from headgate.http import redirects
from headgate.http.addresses import Nearness
from headgate.http.client import Outgoing
from headgate.http.redirects import first_hop, next_hop
from headgate.kernel.errors import Refused, Unavailable
from tests.unit.http.servers import content, redirect, serve


async def echo(request: web.Request) -> web.StreamResponse:
    return web.json_response({name.lower(): value for name, value in request.headers.items()})


def pretend(monkeypatch: pytest.MonkeyPatch, farthest: Nearness, nearest: Nearness | None = None) -> None:
    """Lets every host name resolve to addresses of these kinds."""

    async def answer(host: str, port: int | None) -> tuple[Nearness, Nearness]:
        return farthest, farthest if nearest is None else nearest

    monkeypatch.setattr(redirects, "nearness_of_host", answer)


async def headers_sent(outgoing: Outgoing, url: str, **kwargs) -> dict[str, str]:
    async with outgoing.open(url, **kwargs) as answer:
        sent: dict[str, str] = json.loads(await answer.read(10_000))
        return sent


async def refusal(outgoing: Outgoing, url: str, **kwargs) -> Unavailable:
    with pytest.raises(Unavailable) as raised:
        async with outgoing.open(url, **kwargs):
            pass
    return raised.value


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_on_the_same_host_keep_the_credentials(outgoing: Outgoing, status: int) -> None:
    async with serve({"/a": redirect("/b?x=%2F", status), "/b": echo}) as base:
        sent = await headers_sent(outgoing, f"{base}/a".replace("://", "://me:pw@"), headers={"X-Api-Key": "k"})
    assert sent["authorization"].startswith("Basic ")
    assert sent["x-api-key"] == "k"


async def test_redirect_to_another_host_drops_credentials_and_keeps_the_range(outgoing: Outgoing) -> None:
    async with serve({"/b": echo}) as there:
        elsewhere = there.replace("127.0.0.1", "localhost")
        async with serve({"/a": redirect(f"{elsewhere}/b")}) as base:
            headers = {"X-Api-Key": "k", "Cookie": "a=b", "Range": "bytes=0-1"}
            sent = await headers_sent(outgoing, f"{base}/a".replace("://", "://me:pw@"), headers=headers)
    assert not {"authorization", "x-api-key", "cookie"} & set(sent)
    assert sent["range"] == "bytes=0-1"


async def test_another_port_is_another_origin(outgoing: Outgoing) -> None:
    async with serve({"/b": echo}) as there, serve({"/a": redirect(f"{there}/b")}) as base:
        sent = await headers_sent(outgoing, f"{base}/a".replace("://", "://me:pw@"))
    assert "authorization" not in sent


async def test_credentials_in_a_redirect_are_not_used(outgoing: Outgoing) -> None:
    async with serve({"/b": echo}) as there:
        location = f"{there}/b".replace("://", "://you:pw@")
        async with serve({"/a": redirect(location)}) as base:
            sent = await headers_sent(outgoing, f"{base}/a")
    assert "authorization" not in sent


async def test_a_loop_of_redirects_ends(outgoing: Outgoing) -> None:
    async with serve({"/a": redirect("/b"), "/b": redirect("/a")}) as base:
        assert (await refusal(outgoing, f"{base}/a")).code == "upstream-redirects"


async def test_five_redirects_are_followed_and_not_six(outgoing: Outgoing) -> None:
    routes = {f"/{n}": redirect(f"/{n + 1}") for n in range(6)} | {"/6": content(b"end")}
    async with serve(routes) as base:
        async with outgoing.open(f"{base}/1") as answer:
            assert await answer.read(10) == b"end"
        assert (await refusal(outgoing, f"{base}/0")).code == "upstream-redirects"


async def test_a_redirect_without_an_address_is_an_answer(outgoing: Outgoing) -> None:
    async with serve({"/a": content(b"", 302)}) as base, outgoing.open(f"{base}/a") as answer:
        assert answer.status == 302


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://host/x", "javascript:1", "http://h:port/", "http://[::1/"]
)
async def test_redirect_to_what_is_not_the_web_is_refused(outgoing: Outgoing, location: str) -> None:
    async with serve({"/a": redirect(location)}) as base:
        assert (await refusal(outgoing, f"{base}/a")).code == "upstream-redirect-refused"


async def test_https_does_not_lead_to_http() -> None:
    with pytest.raises(Unavailable) as raised:
        await next_hop(first_hop("https://a.example/x", {}), "http://a.example/x", {"*"})
    assert raised.value.code == "upstream-redirect-refused"


async def test_http_may_become_https_with_the_credentials() -> None:
    hop = await next_hop(first_hop("http://me:pw@a.example/x", {}), "https://a.example/x", ())
    assert "Authorization" in hop.headers


async def test_public_upstream_may_not_lead_to_a_private_address(
    outgoing: Outgoing, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, Nearness.PUBLIC)
    async with serve({"/b": content(b"internal")}) as there:
        for internal in (there.replace("127.0.0.1", "localhost"), there):
            async with serve({"/a": redirect(f"{internal}/b")}) as base:
                start = f"{base}/a" if "localhost" in internal else f"{base}/a".replace("127.0.0.1", "localhost")
                assert (await refusal(outgoing, start)).code == "upstream-redirect-refused"


async def test_chain_through_a_public_host_loses_the_trust_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, Nearness.PRIVATE)
    second = await next_hop(first_hop("http://inside.example/", {}), "http://public.example/", {"*"})
    pretend(monkeypatch, Nearness.PUBLIC)
    third = await next_hop(second, "http://inside.example/", {"*"})
    assert (second.limit, third.limit) == (Nearness.PRIVATE, Nearness.PUBLIC)


async def test_only_listed_hosts_are_led_to() -> None:
    client = Outgoing(redirect_hosts=["LocalHost"])
    async with serve({"/b": content(b"here")}) as there:
        named = there.replace("127.0.0.1", "localhost")
        async with serve({"/a": redirect(f"{named}/b"), "/c": redirect("http://other.example/")}) as base:
            async with client.open(f"{base}/a") as answer:
                assert await answer.read(10) == b"here"
            assert (await refusal(client, f"{base}/c")).code == "upstream-redirect-refused"
    await client.close()


async def test_what_an_upstream_names_is_treated_as_a_redirect(outgoing: Outgoing) -> None:
    async with serve({"/b": echo}) as base:
        owner = base.replace("://", "://me:pw@")
        assert "authorization" in await headers_sent(outgoing, f"{base}/b", told_by=f"{owner}/c/noarch/")
        assert (await refusal(outgoing, f"{base}/b", told_by="file:///srv/c/")).code == "upstream-redirect-refused"


async def test_vetted_address_gets_the_credentials_of_its_own_origin_only(
    outgoing: Outgoing, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, Nearness.PUBLIC)
    owner = "https://me:p%40w@a.example/c/noarch/"
    assert await outgoing.vet("https://a.example/pkgs/", told_by=owner) == "https://me:p%40w@a.example/pkgs/"
    assert await outgoing.vet("https://cdn.example/pkgs/", told_by=owner) == "https://cdn.example/pkgs/"
    with pytest.raises(Refused) as raised:
        await outgoing.vet("file:///etc/", told_by=owner)
    assert raised.value.code == "file-root"
    pretend(monkeypatch, Nearness.PUBLIC, Nearness.PRIVATE)
    with pytest.raises(Unavailable, match="nearer"):
        await outgoing.vet("https://two-faced.example/", told_by=owner)

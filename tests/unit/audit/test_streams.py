"""Events reach receivers in their order, again after a failure and after a restart."""

import asyncio
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from sqlalchemy import update

from headgate.audit.events import Action, record
from headgate.audit.streams import PURPOSE, Forwarder, StreamService
from headgate.bootstrap import Services
from headgate.db.sealing import Sealer
from headgate.db.tables_audit import audit_stream
from headgate.http.client import Outgoing
from headgate.kernel.errors import HeadgateError
from tests.certificates import Authority
from tests.unit.http.servers import serve

SEALER = Sealer(b"s" * 32, PURPOSE)


async def write(services: Services, *subjects: str) -> None:
    async with services.core.database.write() as connection:
        for subject in subjects:
            await record(connection, Action.CHANNEL_SET, "ada", channel="team", subject=subject)


def streams_of(services: Services) -> StreamService:
    return StreamService(services.core.database, SEALER)


@asynccontextmanager
async def forwarding(services: Services) -> AsyncIterator[Forwarder]:
    outgoing = Outgoing()
    yield Forwarder(services.core.database, SEALER, lambda: outgoing)
    await outgoing.close()


@asynccontextmanager
async def syslog(context: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, asyncio.Queue[str]]]:
    """A receiver that reads messages with their length in front."""
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while length := await reader.readuntil(b" ") if not reader.at_eof() else b"":
            heard.put_nowait((await reader.readexactly(int(length))).decode())
            if reader.at_eof():
                break
        writer.close()

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(reader, writer)
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], heard
    finally:
        server.close()


def check_message(message: str, subject: str) -> None:
    head, _, body = message.partition("\ufeff")
    assert head.startswith("<110>1 2")
    assert " headgate - channel:set [headgate@32473 number=" in head
    assert f'subject="{subject}"' in head.replace('\\"', "'").replace("\\]", "]")
    assert json.loads(body)["action"] == "channel:set"


@pytest.mark.parametrize("has_tls", [False, True])
async def test_syslog_gets_every_event_once(services: Services, tmp_path: Path, *, has_tls: bool) -> None:
    context, pem = None, None
    if has_tls:
        authority = Authority("Syslog CA")
        certificate, key = authority.issue("127.0.0.1")
        for name, text in (("cert.pem", certificate), ("key.pem", key)):
            (tmp_path / name).write_text(text)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
        pem = authority.pem
    await write(services, "before")
    async with syslog(context) as (port, heard), forwarding(services) as forwarder:
        url = f"syslog+{'tls' if has_tls else 'tcp'}://127.0.0.1:{port}"
        await streams_of(services).add("ada", "siem", url, ca=pem)
        await forwarder.deliver()  # that the stream was made
        await write(services, "a", 'b"]')
        assert await forwarder.deliver() == 2
        assert await forwarder.deliver() == 0
        messages = [await asyncio.wait_for(heard.get(), 5) for _ in range(3)]
    assert "audit:add-stream" in messages[0]
    check_message(messages[1], "a")
    check_message(messages[2], "b']")
    (stream,) = await streams_of(services).list_streams()
    assert (stream.behind, stream.failure) == (0, None)


async def test_syslog_over_udp_is_one_datagram_an_event(services: Services) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()

    class Receiver(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            heard.put_nowait(data.decode())

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Receiver, ("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    await write(services, "a")
    async with forwarding(services) as forwarder:
        await streams_of(services).add("ada", "siem", f"syslog+udp://127.0.0.1:{port}", is_whole=True)
        await forwarder.deliver()
        check_message(await asyncio.wait_for(heard.get(), 5), "a")
    transport.close()


async def test_webhook_is_signed_tried_again_and_goes_on_after_a_restart(services: Services) -> None:
    statuses, taken = [500, 302, 200, 200], list[tuple[str, list[str | None]]]()

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        at, _, digest = request.headers["X-Headgate-Signature"].partition(",v1=")
        expected = hmac.new(secret.encode(), f"{at.removeprefix('t=')}.".encode() + body, hashlib.sha256).hexdigest()
        assert digest == expected
        status = statuses.pop(0)
        if status == 200:
            subjects = [one["subject"] for one in json.loads(body)["events"]]
            taken.append((request.headers["X-Headgate-Delivery"], subjects))
        return web.Response(status=status, headers={"location": "/elsewhere"} if status == 302 else {})

    async with serve({"/hook": take}) as url:
        _, shown = await streams_of(services).add("ada", "hook", f"{url}/hook")
        assert shown is not None
        secret = shown
        for failures in (1, 2):
            await _let_try_again(services)
            async with forwarding(services) as forwarder:
                assert await forwarder.deliver() == 0
                assert await forwarder.deliver() == 0  # not before its time
            (stream,) = await streams_of(services).list_streams()
            assert (stream.failures, stream.behind) == (failures, 1)
            assert stream.failure is not None
            assert secret not in stream.failure
        await write(services, "a")
        await _let_try_again(services)
        async with forwarding(services) as forwarder:
            assert await forwarder.deliver() == 2
        await write(services, "b")
        async with forwarding(services) as forwarder:
            assert await forwarder.deliver() == 1
    assert taken == [("1-2", ["hook", "a"]), ("3-3", ["b"])]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h", "https://", "https://me:secret@h/x", "syslog+tcp://h/path", "syslog+tcp://h:99999", "h", "https://h:0/",
    ],
)  # fmt: skip
async def test_events_are_sent_only_where_they_can_go(services: Services, url: str) -> None:
    with pytest.raises(HeadgateError) as refused:
        await streams_of(services).add("ada", "x", url)
    assert refused.value.code == "stream-invalid"


async def test_names_of_streams_are_their_own(services: Services) -> None:
    streams = streams_of(services)
    await streams.add("ada", "x", "syslog+udp://127.0.0.1")
    codes = []
    calls: list[Callable[[], object]] = [
        lambda: streams.add("ada", "x", "syslog+udp://127.0.0.1"),
        lambda: streams.add("ada", "y", "syslog+udp://127.0.0.1", secret="s" * 20),
        lambda: streams.add("ada", "y", "https://h", secret="short"),
        lambda: streams.remove("ada", "z"),
    ]
    for call in calls:
        with pytest.raises(HeadgateError) as refused:
            await call()  # type: ignore[misc]
        codes.append(refused.value.code)
    assert codes == ["stream-exists", "stream-invalid", "stream-invalid", "stream-unknown"]
    await streams.remove("ada", "x")
    assert await streams.list_streams() == []


async def _let_try_again(services: Services) -> None:
    async with services.core.database.write() as connection:
        await connection.execute(update(audit_stream).values(next_try_at=None))

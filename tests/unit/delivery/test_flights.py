"""Flights against a real server that tells the truth, lies, or stops half-way."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
from datetime import UTC, datetime

import pytest
from aiohttp import web

from headgate.channels.model import Channel, ChannelKind, ChannelSettings, Privacy, SubdirState
from headgate.conda.names import ArtifactName, ChannelName, Sha256, Subdir
from headgate.delivery.flights import Address, Flights
from headgate.delivery.located import Located
from headgate.http.client import Outgoing
from headgate.http.network import Network
from headgate.kernel.errors import HeadgateError
from headgate.storage.local import BlobStore
from headgate.storage.paths import DataFolder

BODY = bytes(range(256)) * 4096  # 1 MiB
LANDED: dict[Flights, list[tuple[str, int]]] = {}
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CHANNEL = Channel(1, ChannelName("forge"), ChannelKind.MIRROR, Privacy.PUBLIC, ChannelSettings(), 1, NOW)


def wanted(body=BODY, size=None):
    sha256 = hashlib.sha256(body).hexdigest()
    artifact = ArtifactName.parse("x-1.0-0.conda")
    return Located(CHANNEL, SubdirState(1, Subdir("noarch"), 1, NOW), artifact, {}, Sha256(sha256), size or len(body))


class Upstream:
    """Serves `body` in pieces; `gate` holds back all but the first piece, `cut_after` ends it early."""

    def __init__(self):
        self.body = BODY
        self.outgoing = Outgoing(Network(stall_timeout_s=5))
        self.address = Address("", "", self.outgoing)
        self.requests = 0
        self.cut_after = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def answer(self, request):
        self.requests += 1
        response = web.StreamResponse(headers={"Content-Length": str(len(self.body))})
        await response.prepare(request)
        await response.write(self.body[: 64 << 10])
        await self.gate.wait()
        if self.cut_after is not None:
            await response.write(self.body[64 << 10 : self.cut_after])
            request.transport.abort()
            return response
        await response.write(self.body[64 << 10 :])
        return response


@pytest.fixture
async def upstream():
    server = Upstream()
    app = web.Application()
    app.router.add_get("/x", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/x"
    server.address = Address(url, url, server.outgoing)
    yield server
    server.gate.set()
    await server.outgoing.close()
    await runner.cleanup()


@pytest.fixture
async def store(tmp_path):
    folder = DataFolder(tmp_path)
    folder.create()
    return BlobStore(folder)


async def receive_into(received, flight):
    with flight.in_use():
        await flight.ready()
        async for piece in flight.stream(0, len(BODY)):
            received += piece


@contextlib.asynccontextmanager
async def opened_flights(store):
    landed = []

    async def note(located, size):
        landed.append((located.sha256, size))

    flights = Flights(store, note)
    LANDED[flights] = landed
    yield flights
    await flights.close()


async def until(is_so):
    """Wait, with a deadline, for what another task brings about."""
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - it watches the disk
            await asyncio.sleep(0.001)


async def read(flight, size=1 << 20):
    with flight.in_use():
        await flight.ready()
        return b"".join([piece async for piece in flight.stream(0, size)])


async def test_a_hundred_readers_cost_one_request_and_the_file_is_kept(store, upstream):
    async with opened_flights(store) as flights:
        bodies = await asyncio.gather(*(read(flights.join(wanted(), [upstream.address])) for _ in range(100)))
        assert set(bodies) == {BODY}
        assert upstream.requests == 1
        assert LANDED[flights] == [(wanted().sha256, len(BODY))]
    assert store.path(wanted().sha256).read_bytes() == BODY
    assert list(store.folder.incoming.iterdir()) == []


async def test_readers_in_another_process_tail_the_same_fetch(store, upstream):
    upstream.gate.clear()
    async with opened_flights(store) as first, opened_flights(store) as second:
        leading = asyncio.create_task(read(first.join(wanted(), [upstream.address])))
        await until(lambda: list(store.folder.incoming.iterdir()))
        flight = second.join(wanted(), [upstream.address])
        with flight.in_use():
            await flight.ready()  # bytes arrive while the other one's upstream is still held back
            upstream.gate.set()
            tailed = b"".join([piece async for piece in flight.stream(0, len(BODY))])
        assert tailed == await leading == BODY
        assert upstream.requests == 1
        assert LANDED[second] == []


async def test_the_first_bytes_are_sent_before_the_last_arrive(store, upstream):
    upstream.gate.clear()
    async with opened_flights(store) as flights:
        flight = flights.join(wanted(), [upstream.address])
        with flight.in_use():
            await flight.ready()
            stream = flight.stream(0, len(BODY))
            first = await anext(stream)
            assert BODY.startswith(first)
            upstream.gate.set()
            assert first + b"".join([piece async for piece in stream]) == BODY


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        (lambda: BODY[:-1] + b"x", "sha256"),
        (lambda: BODY[:-10], "bytes where its record says"),
        (lambda: BODY + b"more", "longer"),
        (lambda: b"<!doctype html>sorry", "bytes where its record says"),
    ],
)
async def test_wrong_bytes_reach_nobody_whole_and_the_next_request_recovers(store, upstream, lie, said):
    upstream.body = lie()
    async with opened_flights(store) as flights:
        received = bytearray()
        with pytest.raises(HeadgateError) as refused:
            await receive_into(received, flights.join(wanted(), [upstream.address]))
        assert refused.value.code == "upstream-mismatch"
        assert said in refused.value.message
        assert len(received) < len(BODY)
        assert LANDED[flights] == []
        assert list(store.iter_digests()) == []
        assert list(store.folder.incoming.iterdir()) == []
        upstream.body = BODY
        assert await read(flights.join(wanted(), [upstream.address])) == BODY


async def test_a_cut_connection_is_an_error_and_leaves_nothing(store, upstream):
    upstream.cut_after = 500_000
    async with opened_flights(store) as flights:
        with pytest.raises(HeadgateError) as refused:
            await read(flights.join(wanted(), [upstream.address]))
        assert refused.value.code == "upstream-cut"
        assert list(store.folder.incoming.iterdir()) == []
        upstream.cut_after = None
        assert await read(flights.join(wanted(), [upstream.address])) == BODY


async def test_nothing_is_promised_when_nothing_arrives(store, upstream):
    nothing = Address("http://127.0.0.1:1/x", "http://127.0.0.1:1/", upstream.outgoing)
    async with opened_flights(store) as flights:
        flight = flights.join(wanted(), [nothing])
        with flight.in_use(), pytest.raises(HeadgateError) as refused:
            await flight.ready()
        assert refused.value.code == "upstream-unreachable"


async def test_a_second_upstream_is_tried_when_the_first_has_nothing(store, upstream):
    async with opened_flights(store) as flights:
        nothing = Address(upstream.address.url.replace("/x", "/absent"), upstream.address.told_by, upstream.outgoing)
        assert await read(flights.join(wanted(), [nothing, upstream.address])) == BODY


async def test_an_interrupted_leader_fails_those_who_read_and_frees_those_who_had_not(store, upstream):
    upstream.gate.clear()
    async with opened_flights(store) as first, opened_flights(store) as second:
        leading = asyncio.create_task(read(first.join(wanted(), [upstream.address])))
        await until(lambda: any(path.stat().st_size for path in store.folder.incoming.iterdir()))
        tailing = asyncio.create_task(read(second.join(wanted(), [upstream.address])))
        await asyncio.sleep(0.05)
        upstream.cut_after = 100_000
        upstream.gate.set()
        outcomes = await asyncio.gather(leading, tailing, return_exceptions=True)
        assert [type(one).__name__ for one in outcomes] == ["Unavailable", "Unavailable"]
        upstream.cut_after = None
        assert await read(second.join(wanted(), [upstream.address])) == BODY


async def test_what_landed_meanwhile_is_read_from_the_store(store, upstream):
    async with opened_flights(store) as first, opened_flights(store) as second:
        assert await read(first.join(wanted(), [upstream.address])) == BODY
        assert await read(second.join(wanted(), [upstream.address])) == BODY
    assert upstream.requests == 1


async def test_an_unknown_size_is_known_once_everything_arrived(store, upstream):
    unsized = Located(**{field: getattr(wanted(), field) for field in Located.__slots__} | {"size_bytes": None})
    async with opened_flights(store) as flights:
        flight = flights.join(unsized, [upstream.address])
        with flight.in_use():
            assert await flight.size_bytes() == len(BODY)


async def test_a_landing_that_fails_is_an_error_and_nobody_waits_for_ever(store, upstream):
    async def fail(located, size):
        raise RuntimeError("the database is away")

    flights = Flights(store, fail)
    with pytest.raises(HeadgateError) as refused:
        await asyncio.wait_for(read(flights.join(wanted(), [upstream.address])), 10)
    assert refused.value.code == "internal-error"
    await flights.close()


def left_by_a_dead_worker(store, body):
    """A file that somebody else holds: its path, and how to let go as a killed process does."""
    path = store.folder.incoming / f"{wanted().sha256}.fetch"
    path.write_bytes(body)
    descriptor = os.open(path, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return path, lambda: os.close(descriptor)


async def tailing(flight, size):
    await flight._until(lambda: flight.written >= size)


async def test_who_was_given_nothing_yet_leads_when_its_leader_is_killed(store, upstream):
    async with opened_flights(store) as flights:
        _, let_go = left_by_a_dead_worker(store, b"x" * 10_000)
        flight = flights.join(wanted(), [upstream.address])
        reading = asyncio.create_task(read(flight))
        await tailing(flight, 10_000)
        let_go()
        assert await reading == BODY
    assert list(store.folder.incoming.iterdir()) == []


async def test_who_was_given_something_removes_what_its_killed_leader_left(store, upstream):
    async with opened_flights(store) as flights:
        path, let_go = left_by_a_dead_worker(store, BODY[:100_000])
        flight = flights.join(wanted(), [upstream.address])
        with flight.in_use():
            stream = flight.stream(0, len(BODY))
            assert BODY.startswith(await anext(stream))
            let_go()
            with pytest.raises(HeadgateError) as interrupted:
                async for _ in stream:
                    pass
        assert interrupted.value.code == "fetch-interrupted"
        assert not path.exists()
    assert upstream.requests == 0


async def test_a_wrong_file_is_not_taken_for_the_right_one_that_landed_beside_it(store, upstream):
    async with opened_flights(store) as flights:
        path, let_go = left_by_a_dead_worker(store, b"x" * len(BODY))
        flight = flights.join(wanted(), [upstream.address])
        with flight.in_use():
            await tailing(flight, len(BODY))
            path.unlink()
            await store.render(lambda writer: writer.write(BODY))
            let_go()
            await flight._until(lambda: flight.has_landed)
            assert b"".join([piece async for piece in flight.stream(0, len(BODY))]) == BODY
    assert upstream.requests == 0

"""Limits that hold for several processes, and what they know together of hosts."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.http.limits import Limits
from headgate.http.slots import Slots
from headgate.kernel.errors import Unavailable
from tests.live import environment

HOST = "conda.example:443"
# Another process: takes so many slots, says so, and keeps them until it is killed.
HOLD = """
import asyncio, contextlib, sys
from pathlib import Path
from headgate.http.slots import Slots

async def hold(path, count):
    slots = Slots(Path(path))
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(int(count)):
            await stack.enter_async_context(slots.taken(int(count)))
        print("held", flush=True)
        await asyncio.sleep(60)

asyncio.run(hold(*sys.argv[1:]))
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has two slots of `1.slots`."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "1.slots"), "2"]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


async def test_slots_are_shared_with_other_processes_and_free_when_those_are_killed(
    tmp_path: Path, other: subprocess.Popen[str]
) -> None:
    slots = Slots(tmp_path / "1.slots")

    async def take() -> None:
        async with slots.taken(2):
            pass

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(take(), 0.1)
    async with slots.taken(3):
        pass
    other.kill()
    await asyncio.wait_for(take(), 10)
    slots.close()


@pytest.mark.parametrize("is_shared", [True, False])
async def test_no_more_than_so_many_at_once(tmp_path: Path, is_shared: bool) -> None:
    path = tmp_path / "slots" if is_shared else None
    all_slots = [Slots(path), Slots(path)] if is_shared else [Slots()]
    now = most = 0

    async def ask(slots: Slots) -> None:
        nonlocal now, most
        async with slots.taken(3):
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1

    await asyncio.wait_for(asyncio.gather(*(ask(slots) for slots in all_slots for _ in range(20))), 30)
    assert (now, most) == (0, 3)
    for slots in all_slots:
        slots.close()


async def test_bandwidth_is_one_for_all_who_share_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def note(pause: float) -> None:
        pauses.append(pause)

    monkeypatch.setattr("headgate.http.bandwidth.asyncio.sleep", note)
    first, second = Limits(tmp_path), Limits(tmp_path)
    for limits in (first, second, first):
        bandwidth = limits.bandwidth(7, 1_000)
        assert bandwidth is not None
        await bandwidth.pay(60_000)
    assert pauses == pytest.approx([60, 120, 180], abs=5)
    alone = first.bandwidth(8, 1_000)
    assert alone is not None
    await alone.pay(60_000)
    assert pauses[-1] == pytest.approx(60, abs=5)
    first.close()
    second.close()


def test_all_processes_know_of_a_host_that_rests_and_one_of_them_tries_it(tmp_path: Path) -> None:
    first, second = (Limits(tmp_path, failures=2, rest_s=60).breakers for _ in range(2))
    first.leave(HOST, "no answer")
    second.enter(HOST)
    second.leave(HOST, "no answer")
    for breakers in (first, second):
        with pytest.raises(Unavailable) as raised:
            breakers.enter(HOST)
        assert raised.value.code == "upstream-resting"
        assert [one.host for one in breakers.resting()] == [HOST]
    impatient = [Limits(tmp_path, failures=2, rest_s=0).breakers for _ in range(2)]
    impatient[0].enter(HOST)
    with pytest.raises(Unavailable):
        impatient[1].enter(HOST)
    impatient[0].leave(HOST, None)
    for breakers in (first, second):
        breakers.enter(HOST)
        assert breakers.resting() == []
    assert not (tmp_path / "breakers.json").exists(), "nothing is kept while there is nothing to say"


async def test_what_cannot_be_opened_is_not_shared_and_stops_no_request(tmp_path: Path) -> None:
    for name in ("1.slots", "1.bandwidth", "breakers.lock"):
        (tmp_path / name).mkdir()
    limits = Limits(tmp_path, failures=1)
    async with limits.slots(1).taken(1):
        bandwidth = limits.bandwidth(1, 1_000_000)
        assert bandwidth is not None
        await bandwidth.pay(1)
    limits.breakers.leave(HOST, "no answer")
    limits.breakers.enter(HOST)


def test_breakers_that_cannot_be_read_or_kept_stop_no_request(tmp_path: Path) -> None:
    breakers = Limits(tmp_path, failures=1, rest_s=60).breakers
    (tmp_path / "breakers.json").write_bytes(b"{half")
    breakers.enter(HOST)
    (tmp_path / "breakers.part").mkdir()
    breakers.leave(HOST, "no answer")
    breakers.enter(HOST)

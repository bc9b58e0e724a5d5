"""A disk that fills up: who asks is told so in a sentence, nothing is half-written, and space heals everything."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.caller import Caller, Reply
from tests.faults.disks import small_disk
from tests.faults.invariants import check_held, check_index, check_settled
from tests.faults.upstream import Upstream, body_of
from tests.live import LiveServer
from tests.packages import package
from tests.waiting import eventually

pytestmark = pytest.mark.fault

DISK_BYTES = 48 << 20
SENTENCE = "The disk that holds the data folder is full. Free some space; nothing was lost."


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small disk of its own."""
    with small_disk(tmp_path_factory.mktemp("disk"), DISK_BYTES) as place:
        yield place


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        sizes = {"small-1-0.conda": 3_000, "large-1-0.conda": 2_000_000, "kept-1-0.conda": 50_000}
        upstream.publish({filename: body_of(filename, size) for filename, size in sizes.items()})
        yield upstream


@pytest.fixture(scope="module")
def caller(disk: Path, upstream: Upstream) -> Iterator[Caller]:
    with LiveServer(disk / "data", upstream=upstream.url) as server:
        caller = Caller(server)
        caller.follow("outer", upstream.url)
        assert caller.sync("outer")["state"] == "done"
        assert caller.get("outer/noarch/kept-1-0.conda").status == 200
        yield caller


@pytest.fixture
def fill(disk: Path) -> Iterator[Callable[[int], None]]:
    """Leaves about that many bytes free; afterwards there is space again."""
    ballast = disk / "ballast"

    def fill(free_bytes: int) -> None:
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while not free_bytes or _free_bytes(disk) > free_bytes:
                file.write(bytes(4096))

    yield fill
    ballast.unlink(missing_ok=True)


def _free_bytes(disk: Path) -> int:
    room = os.statvfs(disk)
    return room.f_bavail * room.f_frsize


def check_told(reply: Reply) -> None:
    assert (reply.status, reply.is_whole) == (507, True), reply
    assert (reply.json()["code"], reply.json()["detail"]) == ("storage-full", SENTENCE)


def check_nothing_half_written(caller: Caller) -> None:
    data = caller.server.data
    assert eventually(lambda: not any((data / "incoming").iterdir()))
    check_held(data)


@pytest.mark.parametrize("size_bytes", [1_000, 1_000_000], ids=["small", "large"])
def test_an_upload_onto_a_full_disk_is_told_so_and_works_once_there_is_space(
    caller: Caller, disk: Path, fill: Callable[[int], None], size_bytes: int
) -> None:
    filename, data = package(f"upload{size_bytes}", content=os.urandom(size_bytes))
    fill(0)
    check_told(caller.upload("approved-conda", filename, data))
    check_nothing_half_written(caller)
    (disk / "ballast").unlink()
    assert caller.upload("approved-conda", filename, data).status == 201
    assert caller.get(f"approved-conda/noarch/{filename}").body == data
    check_settled(caller, ["approved-conda"])
    assert filename in check_index(caller, "approved-conda")


def test_an_upload_larger_than_what_is_left_is_refused_and_smaller_ones_go_on(
    caller: Caller, fill: Callable[[int], None]
) -> None:
    fill(4 << 20)
    filename, data = package("toolarge", content=os.urandom(5 << 20))
    check_told(caller.upload("approved-conda", filename, data))
    check_nothing_half_written(caller)
    filename, data = package("fits", content=b"x")
    assert caller.upload("approved-conda", filename, data).status == 201


@pytest.mark.parametrize("filename", ["small-1-0.conda", "large-1-0.conda"])
def test_a_fetch_onto_a_full_disk_is_told_so_and_works_once_there_is_space(
    caller: Caller, disk: Path, upstream: Upstream, fill: Callable[[int], None], filename: str
) -> None:
    fill(0)
    check_told(caller.get(f"outer/noarch/{filename}"))
    check_nothing_half_written(caller)
    (disk / "ballast").unlink()
    reply = caller.get(f"outer/noarch/{filename}")
    assert (reply.status, reply.body) == (200, upstream.files[f"noarch/{filename}"])
    check_nothing_half_written(caller)


def test_what_is_here_is_served_from_a_full_disk(
    caller: Caller, upstream: Upstream, fill: Callable[[int], None]
) -> None:
    check_settled(caller, ["outer"])
    check_index(caller, "outer")
    fill(0)
    assert caller.get("outer/noarch/kept-1-0.conda").body == upstream.files["noarch/kept-1-0.conda"]
    assert set(check_index(caller, "outer")) == upstream.packages()


def test_a_sync_onto_a_full_disk_loses_nothing_and_goes_on_once_there_is_space(
    caller: Caller, disk: Path, fill: Callable[[int], None]
) -> None:
    first = {"first-1-0.conda": body_of("first-1-0.conda", 100)}
    more = first | {f"more{number}-1-0.conda": body_of(f"more{number}", 100) for number in range(300)}
    with Upstream() as growing:
        growing.publish(first)
        caller.follow("growing", growing.url)
        assert caller.sync("growing")["state"] == "done"
        check_settled(caller, ["growing"])
        check_index(caller, "growing")
        growing.publish(more)
        fill(0)
        refused = caller.api("POST", "channels/growing/sync", {})
        assert refused.status in {202, 507}, refused.body
        assert set(check_index(caller, "growing")) == set(first)
        (disk / "ballast").unlink()
        assert eventually(lambda: caller.sync("growing")["state"] == "done")
        check_settled(caller, ["growing"])
        assert set(check_index(caller, "growing")) == set(more)


def test_the_index_follows_by_itself_once_there_is_space(
    caller: Caller, disk: Path, fill: Callable[[int], None]
) -> None:
    """The jobs worker looks on after a full disk: what it could not render meanwhile is rendered unasked."""
    fill(0)
    filename, data = package("afterwards")
    for _ in range(3):
        check_told(caller.upload("approved-conda", filename, data))
    (disk / "ballast").unlink()
    assert caller.upload("approved-conda", filename, data).status == 201
    check_settled(caller, ["approved-conda"])

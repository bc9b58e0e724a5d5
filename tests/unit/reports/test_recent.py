import asyncio

import pytest

from headgate.reports.recent import Recent


class Work:
    def __init__(self) -> None:
        self.done = 0

    async def count(self) -> int:
        self.done += 1
        await asyncio.sleep(0)
        return self.done

    async def fail(self) -> int:
        self.done += 1
        raise OSError(f"number {self.done}")


async def test_several_at_once_and_a_moment_later_share_one_answer() -> None:
    recent, work = Recent(), Work()
    assert await asyncio.gather(*(recent.get("a", work.count) for _ in range(3))) == [1, 1, 1]
    assert await recent.get("a", work.count) == 1
    assert await recent.get("b", work.count) == 2


async def test_an_answer_is_made_anew_once_it_is_old() -> None:
    recent, work = Recent(good_for_s=0), Work()
    assert [await recent.get("a", work.count) for _ in range(2)] == [1, 2]


async def test_a_failure_is_not_remembered() -> None:
    recent, work = Recent(), Work()
    for number in (1, 2):
        with pytest.raises(OSError, match=f"number {number}"):
            await recent.get("a", work.fail)
    assert await recent.get("a", work.count) == 3


async def test_who_leaves_does_not_take_the_answer_from_the_others() -> None:
    recent, work = Recent(), Work()
    gone = asyncio.ensure_future(recent.get("a", work.count))
    await asyncio.sleep(0)
    gone.cancel()
    assert await recent.get("a", work.count) == 1

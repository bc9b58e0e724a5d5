"""A mirror with several URLs is read from the first that answers."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from headgate.conda.names import Subdir
from headgate.http.client import Outgoing
from headgate.intake.failover import MirrorReader
from headgate.intake.upstream import Missing, UpstreamReader
from headgate.kernel.errors import Unavailable
from tests.unit.http.servers import content, serve

REPODATA = b'{"packages": {}, "packages.conda": {}}'


@pytest.fixture
async def outgoing() -> AsyncIterator[Outgoing]:
    client = Outgoing()
    yield client
    await client.close()


def mirror_reader(outgoing: Outgoing, scratch: Path, *urls: str) -> MirrorReader:
    readers = [UpstreamReader(outgoing, url, Subdir("noarch"), scratch) for url in urls]
    return MirrorReader(readers, lambda base, root: f"{base} of {root}")


@pytest.mark.parametrize("broken", ["http://127.0.0.1:1/c", "{base}/failing"])
async def test_second_url_is_read_when_the_first_gives_no_answer(
    outgoing: Outgoing, tmp_path: Path, broken: str
) -> None:
    routes: dict[str, Any] = {"/failing/{any:.*}": content(b"", 500), "/c/noarch/repodata.json": content(REPODATA)}
    async with serve(routes) as base:
        reader = mirror_reader(outgoing, tmp_path, broken.format(base=base), f"{base}/c")
        found = await reader.fetch(None)
        assert not isinstance(found, Missing)
        assert reader.keep_base("x") == f"x of {base}/c/noarch/"
        await found.close()  # type: ignore[union-attr]


async def test_first_url_that_answers_is_believed(outgoing: Outgoing, tmp_path: Path) -> None:
    async with serve({"/c/noarch/repodata.json": content(REPODATA)}) as base:
        assert await mirror_reader(outgoing, tmp_path, f"{base}/absent", f"{base}/c").fetch(None) == Missing()


async def test_what_the_last_url_says_is_the_failure(outgoing: Outgoing, tmp_path: Path) -> None:
    async with serve({"/{any:.*}": content(b"", 500)}) as base:
        with pytest.raises(Unavailable) as raised:
            await mirror_reader(outgoing, tmp_path, "http://127.0.0.1:1/c", f"{base}/c").fetch(None)
    assert raised.value.code == "upstream-status"

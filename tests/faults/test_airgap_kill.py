"""`kill -9` while a bundle is taken in: the channel is what it was, or all that the bundle says, and the job ends well."""

import asyncio
import os
import random
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from headgate.conda.shards import decode_index
from tests.bundles import Side
from tests.conftest import migrated_place
from tests.faults.caller import Caller
from tests.live import LiveServer
from tests.packages import package
from tests.waiting import eventually

pytestmark = [pytest.mark.fault, pytest.mark.slow]

SEED = 20_261_121
NAMES = 150
KILLS = 2
THINGS = frozenset(f"thing{number}" for number in range(NAMES))
AFTER = (THINGS | {f"new{number}" for number in range(NAMES)}) - {"thing0"}


def write_bundles(root: Path) -> None:
    """A full bundle of many files, and an increment that adds many and removes one."""
    place = migrated_place(root / "near")

    async def work() -> None:
        near = await Side.open(place, root / "K")
        await near.create("team", [package(name, content=os.urandom(30_000)) for name in sorted(THINGS)])
        full = await near.export("team", root / "full")
        await near.upload("team", [package(name, content=os.urandom(30_000)) for name in sorted(AFTER - THINGS)])
        await near.delete("team", "noarch", "thing0-1.0-0.conda")
        await near.export("team", root / "more", since=full)
        await near.services.close()

    asyncio.run(work())


def published(server: LiveServer) -> frozenset[str]:
    """The names of the far side's index."""
    with urlopen(f"{server.url}/conda/team/noarch/repodata_shards.msgpack.zst") as answer:
        return frozenset(decode_index(answer.read()).shards)


def test_a_killed_import_is_wholly_there_or_not_at_all_and_finishes(tmp_path: Path) -> None:
    write_bundles(tmp_path)
    chance = random.Random(SEED)
    with LiveServer(tmp_path / "far", upstream=(tmp_path / "nowhere").as_uri()) as server:
        caller = Caller(server)
        server.json("channel", "create", "team", "--kind", "bundle", "--privacy", "public")
        server.json("bundle", "trust", "add", "them", tmp_path / "K.pub")
        before: frozenset[str] = frozenset()
        for bundle, after in [("full", THINGS), ("more", AFTER)]:
            job = start_import(caller, tmp_path / bundle)
            for _ in range(KILLS):
                time.sleep(chance.uniform(0, 0.7))  # the moment is what is random
                server.kill()
                server.start()
                assert published(server) in {before, after}
            while caller.ended_at(job) is None:
                assert published(server) in {before, after}
            assert caller.ended(job)["failure"] is None
            assert published(server) == after
            before = after
        assert eventually(lambda: not list((server.data / "imports").iterdir()))
        assert server.json("bundle", "import", tmp_path / "more")["is_new"] is False


def start_import(caller: Caller, bundle: Path) -> str:
    """Send a bundle; the id of the job that takes it in."""
    sent = caller.send("POST", "/api/v1/channels/team/imports", bundle.read_bytes())
    assert sent.status == 202, sent.body
    job_id: str = sent.json()["id"]
    return job_id

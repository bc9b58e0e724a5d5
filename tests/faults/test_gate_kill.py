"""`kill -9` while the gate judges again, and while advisories are read: what was stays whole, and the work is finished."""

import asyncio
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from headgate.advisories.room import open_room
from headgate.bootstrap import Core, Place, build_core
from headgate.channels.catalog import get_channel
from headgate.channels.model import ChannelKind, Privacy
from headgate.channels.policing import Target
from headgate.channels.revising import MOST_AT_ONCE
from headgate.channels.revisions import publish
from headgate.channels.shards import read_shards, save_shards
from headgate.channels.sources import read_published, save_source_shards, source_subdir_id
from headgate.conda.names import ChannelName
from headgate.conda.shards import decode_stored, encode_shard
from headgate.db import tables, tables_advisories
from tests.faults.dying import die
from tests.live import LiveServer
from tests.unit.advisories.making import osv
from tests.unit.policy.making import record, shard_of
from tests.waiting import eventually

pytestmark = [pytest.mark.fault, pytest.mark.slow]

ACTOR = "tests"
CHANNEL = "team"
NAMES = MOST_AT_ONCE + 100
NEW: dict[str, Any] = {"name": "new", "rule": [{"kind": "match-spec", "exclude": ["* >=2"], "action": "block"}]}
REVISIONS = "headgate.channels.revisions"
# Before anything is written, and when all but the commit is done.
POINTS = ["headgate.channels.revising:pass_names", f"{REVISIONS}:_append_revision"]


async def fill(core: Core, names: int) -> None:
    """A channel of so many names, with a version that will pass and one that will not."""
    await core.channels.create(ACTOR, ChannelName(CHANNEL), ChannelKind.HOSTED, privacy=Privacy.PUBLIC)
    async with core.database.write() as connection:
        channel = await get_channel(connection, CHANNEL)
        place = await source_subdir_id(connection, channel.sources[0].id, "noarch")
        encoded = {
            f"thing{number}": encode_shard(shard_of(record(f"thing{number}"), record(f"thing{number}", "2.0")))
            for number in range(names)
        }
        await save_shards(connection, dict(encoded.values()))
        await save_source_shards(connection, place, {name: (one[0], one[0]) for name, one in encoded.items()})
        await publish(connection, channel.id, "noarch", None, "test")
    await core.policies.apply(ACTOR, NEW)


async def versions(core: Core) -> set[tuple[str, ...]]:
    """Which versions the index lists, of each name; every shard that it names must be there."""
    async with core.database.read() as connection:
        channel = await get_channel(connection, CHANNEL)
        digests = await read_published(connection, channel.id, "noarch", None)
        bodies = await read_shards(connection, digests.values())
    assert set(digests.values()) == set(bodies)
    return {tuple(sorted(str(one["version"]) for _, one in decode_stored(body).records())) for body in bodies.values()}


async def events(core: Core) -> int:
    async with core.database.read() as connection:
        found = await connection.execute(select(func.count()).select_from(tables.audit_event))
        return int(found.scalar_one())


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_killed_while_it_judges_again_the_old_index_stays_whole_and_a_restart_finishes(place: Place) -> None:
    data = place.folder.root

    async def begin() -> None:
        core = build_core(place)
        await fill(core, NAMES)
        await core.policies.attach(ACTOR, "new", Target(channel=CHANNEL))
        assert await core.policies.pending() == [f"{CHANNEL}/noarch"], "too much for the transaction of the change"
        await core.database.close()

    async def look() -> tuple[set[tuple[str, ...]], list[str]]:
        core = build_core(place)
        try:
            return await versions(core), await core.policies.pending()
        finally:
            await core.database.close()

    asyncio.run(begin())
    for point in POINTS:
        die(data, point, 1, "revise", CHANNEL, "noarch")
        assert asyncio.run(look()) == ({("1.0", "2.0")}, [f"{CHANNEL}/noarch"]), point
    with LiveServer(data) as server:
        assert eventually(lambda: server.json("policy", "show", "new")["pending"] == [], 60)
        found = server.json("why", CHANNEL, "noarch/thing1-2.0-0.conda")
        assert [one["outcome"] for one in found] == ["block"]
    assert asyncio.run(look()) == ({("1.0",)}, [])


def test_killed_while_a_small_change_is_made_nothing_of_it_is_there_and_it_can_be_made_again(
    place: Place,
) -> None:
    async def steps() -> None:
        core = build_core(place)
        await fill(core, 3)
        before = await events(core)
        await asyncio.to_thread(die, place.folder.root, f"{REVISIONS}:_append_revision", 1, "attach", "new", CHANNEL)
        assert (await core.policies.get("new")).attachments == ()
        assert await versions(core) == {("1.0", "2.0")}
        assert await events(core) == before, "no event of what did not happen"
        await core.policies.attach(ACTOR, "new", Target(channel=CHANNEL))
        assert await versions(core) == {("1.0",)}
        await core.database.close()

    asyncio.run(steps())


def test_killed_while_advisories_are_read_what_is_there_is_whole_and_the_next_reading_completes_it(
    place: Place, tmp_path: Path
) -> None:
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as made:
        for number in range(2_500):
            made.writestr(f"PYSEC-{number}.json", json.dumps(osv(f"PYSEC-{number}", f"package-{number}")))

    async def counted(core: Core) -> tuple[int, int, int]:
        shown = (tables_advisories.advisory_statement, tables_advisories.advisory, tables_advisories.advisory_affected)
        async with core.database.read() as connection:
            counts = [(await connection.execute(select(func.count()).select_from(one))).scalar_one() for one in shown]
        return counts[0], counts[1], counts[2]

    async def steps() -> None:
        core = build_core(place)
        feeds = open_room(core.database).feeds
        # Two batches of a thousand are committed; the third dies before its commit.
        point = "headgate.advisories.importing:announce_packages"
        await asyncio.to_thread(die, place.folder.root, point, 3, "import", "pypi", archive)
        assert await counted(core) == (2_000, 2_000, 2_000)
        feed = await feeds.get_feed("pypi")
        assert (feed.read_at, feed.ecosystems) == (None, []), "nobody takes it for read"
        outcome = await feeds.take(ACTOR, "pypi", archive, is_whole=True)
        assert (outcome.statements, outcome.changed) == (2_500, 500), "what is known is not read twice"
        assert await counted(core) == (2_500, 2_500, 2_500)
        assert (await feeds.get_feed("pypi")).ecosystems == ["PyPI"]
        await core.database.close()

    asyncio.run(steps())

"""What is foreseen is what a clean-up then removes, of one channel and of all."""

from collections.abc import AsyncIterator

import pytest

from headgate.bootstrap import Core, Place, opened_core
from headgate.channels.catalog import read_channels
from headgate.channels.collect import collect_blobs, collect_entries, collect_shards
from headgate.channels.model import Channel, ChannelKind
from headgate.channels.retention import Ages, Retention
from headgate.conda.names import ChannelName
from tests.unit.channels.test_collect import AGE, OLD, YOUNG, add_artifact, add_blob, add_shards, revise


@pytest.fixture
async def core(place: Place) -> AsyncIterator[Core]:
    async with opened_core(place) as core:
        yield core


async def channel_of(core: Core, name: str) -> Channel:
    await core.channels.create("test", ChannelName(name), ChannelKind.HOSTED)
    async with core.database.read() as connection:
        return next(one for one in await read_channels(connection) if one.name == name)


async def test_what_is_foreseen_is_what_goes(core: Core) -> None:
    team, other = await channel_of(core, "team"), await channel_of(core, "other")
    retention = Retention(core.database, Ages(AGE, AGE))
    assert (await retention.foresee()).is_nothing
    await add_shards(core, "a1", "a2", "both", "nobody's", age=OLD)
    await revise(core, team, 11, {"a": "a1", "b": "both"}, OLD * 3)
    await revise(core, team, 12, {"a": "a2", "b": None}, OLD)
    await revise(core, other, 11, {"b": "both"}, OLD)
    gone, shared, young, former = [
        await add_blob(core, body, age)
        for body, age in ((b"gone", OLD), (b"shared", OLD), (b"young", YOUNG), (b"document", OLD))
    ]
    for filename, sha256 in (("gone-1-0.conda", gone), ("shared-1-0.conda", shared), ("young-1-0.conda", young)):
        await add_artifact(core, team, filename, sha256, "deleted")
    await add_artifact(core, other, "shared-1-0.conda", shared)

    of_team = await retention.foresee(team)
    assert (of_team.entries, of_team.shards, of_team.shard_bytes) == (2, 1, len(b"body"))
    assert (of_team.files, of_team.file_bytes) == (1, len(b"gone"))
    assert [one.filename for one in of_team.listed] == ["gone-1-0.conda"]
    assert (await retention.foresee(other)).is_nothing
    whole = await retention.foresee()
    assert (whole.entries, whole.shards, whole.files) == (2, 2, 2)
    assert whole.file_bytes == len(b"gone") + len(b"document")

    assert await collect_entries(core.database, AGE) == whole.entries
    assert await collect_shards(core.database, AGE) == whole.shards
    assert await collect_blobs(core.database, core.store, AGE) == whole.files
    assert core.store.find(former) is None
    assert (await retention.foresee()).is_nothing

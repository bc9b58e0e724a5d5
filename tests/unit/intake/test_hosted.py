"""Changes of a hosted channel that meet what happened meanwhile."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from headgate.bootstrap import Services
from headgate.channels.model import Channel, ChannelKind
from headgate.conda.names import ChannelName
from headgate.kernel.errors import NotFound
from tests.packages import package

TEAM = ChannelName("team")


async def body(data: bytes) -> AsyncIterator[bytes]:
    yield data


@pytest.fixture
async def channel(services: Services) -> Channel:
    await services.core.channels.create("test", TEAM, ChannelKind.HOSTED)
    await services.snapshots.reload()
    return services.catalog.get(TEAM)


async def upload(services: Services, channel: Channel, name: str) -> bool:
    filename, data = package(name)
    return (await services.uploads.take("test", channel, filename, body(data))).is_new


async def test_uploads_to_a_channel_that_was_deleted_meanwhile_are_told_so(
    services: Services, channel: Channel
) -> None:
    await services.core.channels.delete("test", TEAM)
    outcomes = await asyncio.gather(
        *(upload(services, channel, name) for name in ("one", "two", "three")), return_exceptions=True
    )
    assert [one.code for one in outcomes if isinstance(one, NotFound)] == ["channel-unknown"] * 3
    assert list(services.core.store.folder.incoming.iterdir()) == []


async def test_a_channel_of_the_same_name_made_anew_takes_uploads(services: Services, channel: Channel) -> None:
    await services.core.channels.delete("test", TEAM)
    await services.core.channels.create("test", TEAM, ChannelKind.HOSTED)
    await services.snapshots.reload()
    assert await upload(services, services.catalog.get(TEAM), "one")


async def test_uploads_that_come_together_are_all_listed_in_few_revisions(services: Services, channel: Channel) -> None:
    before = channel.subdirs["noarch"].revision
    assert all(await asyncio.gather(*(upload(services, channel, f"p{number}") for number in range(20))))
    await services.snapshots.reload()
    state = services.catalog.get(TEAM).subdirs["noarch"]
    assert len((await services.maps.get(state)).digests) == 20
    assert state.revision - before < 20


async def test_an_uploader_who_leaves_does_not_stop_the_others(services: Services, channel: Channel) -> None:
    leaving = asyncio.create_task(upload(services, channel, "left"))
    staying = asyncio.create_task(upload(services, channel, "stays"))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying
    with pytest.raises(asyncio.CancelledError):
        await leaving

"""What a process remembers of a subdir belongs to that subdir alone."""

from collections.abc import AsyncIterator

from headgate.bootstrap import Services
from headgate.channels.model import Channel, ChannelKind
from headgate.conda.names import ChannelName
from tests.packages import package


async def created(services: Services, name: str) -> Channel:
    await services.core.channels.create("test", ChannelName(name), ChannelKind.HOSTED)
    await services.snapshots.reload()
    return services.catalog.get(name)


async def test_a_new_channel_shows_nothing_of_one_that_was_deleted(services: Services) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield data

    filename, data = package("secret")
    old = await created(services, "old")
    await services.uploads.take("test", old, filename, body())
    await services.snapshots.reload()
    assert (await services.maps.get(services.catalog.get("old").subdirs["noarch"])).digests
    await services.core.channels.delete("test", old.name)
    new = await created(services, "new")
    assert new.id != old.id
    assert not (await services.maps.get(new.subdirs["noarch"])).digests

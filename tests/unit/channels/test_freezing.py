"""A frozen channel's index stands still, and catches up in one revision."""

from collections.abc import AsyncIterator

import pytest

from headgate.bootstrap import Services
from headgate.channels.model import Channel, ChannelKind
from headgate.channels.policing import Target
from headgate.channels.revising import find_stale, republish
from headgate.channels.revisions import read_world
from headgate.conda.names import ArtifactName, ChannelName, Subdir
from headgate.intake.hosted import delete, yank
from headgate.kernel import clock
from headgate.kernel.errors import Conflict
from tests.packages import package

TEAM, ALL = ChannelName("team"), ChannelName("all")
NOARCH = Subdir("noarch")


@pytest.fixture
async def channel(services: Services) -> Channel:
    await services.core.channels.create("test", TEAM, ChannelKind.HOSTED)
    await services.core.channels.create("test", ALL, ChannelKind.VIRTUAL, members=[TEAM])
    await services.snapshots.reload()
    await upload(services, "first")
    return services.catalog.get(TEAM)


async def body(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def upload(services: Services, name: str, *, subdir: str = "noarch", **index: object) -> str:
    filename, data = package(name, subdir=subdir, **index)  # type: ignore[arg-type]
    await services.uploads.take("test", services.catalog.get(TEAM), filename, body(data))
    await services.snapshots.reload()
    return filename


async def shown(services: Services, channel: ChannelName = TEAM, subdir: str = "noarch") -> tuple[int, set[str]]:
    """The newest revision, and the names that it lists."""
    await services.snapshots.reload()
    state = services.catalog.get(channel).subdirs.get(subdir)
    if state is None:
        return 0, set()
    return state.revision, set((await services.maps.get(state)).digests)


async def test_what_happens_to_a_frozen_channel_is_one_revision_when_it_is_unfrozen(
    services: Services, channel: Channel
) -> None:
    freezing = services.core.life.freezing
    before, before_all = await shown(services), await shown(services, ALL)
    await freezing.freeze("ada", TEAM, "the release")
    for name in ("second", "third"):
        await upload(services, name)
    await upload(services, "native", subdir="linux-64")
    await services.hosted.submit(channel, yank("test", NOARCH, ArtifactName.parse("first-1.0-0.conda")))
    assert (await shown(services), await shown(services, ALL)) == (before, before_all)
    assert await shown(services, subdir="linux-64") == (0, set())
    assert await freezing.waiting(channel) == {"linux-64": 1, "noarch": 3}

    await freezing.unfreeze("ada", TEAM)
    assert await shown(services) == (before[0] + 1, {"second", "third"})
    assert await shown(services, ALL) == (before_all[0] + 1, {"second", "third"})
    assert await shown(services, subdir="linux-64") == (1, {"native"})
    assert await freezing.waiting(channel) == {}


async def test_a_frozen_virtual_channel_stands_still_alone(services: Services, channel: Channel) -> None:
    await services.core.life.freezing.freeze("ada", ALL)
    before = await shown(services, ALL)
    await upload(services, "second")
    assert (await shown(services))[1] == {"first", "second"}
    assert await shown(services, ALL) == before
    await services.core.life.freezing.unfreeze("ada", ALL)
    assert await shown(services, ALL) == (before[0] + 1, {"first", "second"})


async def test_policies_wait_and_nobody_is_asked_to_judge_again(services: Services, channel: Channel) -> None:
    freezing, policies = services.core.life.freezing, services.core.policies
    await freezing.freeze("ada", TEAM)
    before = await shown(services)
    rule = {"kind": "match-spec", "exclude": ["first"], "action": "block"}
    await policies.apply("test", {"name": "no-first", "rule": [rule]})
    await policies.attach("test", "no-first", Target(channel=TEAM))
    await republish(services.core.database, ["first"], "advisories changed")
    assert await shown(services) == before
    async with services.core.database.read() as connection:
        stale = await find_stale(connection, await read_world(connection), clock.now())
    assert [one.channel.name for one in stale] == []
    await freezing.unfreeze("ada", TEAM)
    assert await shown(services) == (before[0] + 1, set())


async def test_deleting_from_a_frozen_channel_is_refused(services: Services, channel: Channel) -> None:
    await services.core.life.freezing.freeze("ada", TEAM, "the release")
    with pytest.raises(Conflict) as caught:
        await services.hosted.submit(channel, delete("test", NOARCH, ArtifactName.parse("first-1.0-0.conda")))
    assert caught.value.code == "channel-frozen"
    assert "ada" in caught.value.message
    assert "the release" in caught.value.message


async def test_freezing_twice_and_unfreezing_what_moves_are_refused(services: Services, channel: Channel) -> None:
    freezing = services.core.life.freezing
    with pytest.raises(Conflict, match="not frozen"):
        await freezing.unfreeze("ada", TEAM)
    await freezing.freeze("ada", TEAM)
    with pytest.raises(Conflict, match="is frozen by ada"):
        await freezing.freeze("bob", TEAM)


async def test_unfreezing_where_nothing_happened_makes_no_revision(services: Services, channel: Channel) -> None:
    before = await shown(services)
    await services.core.life.freezing.freeze("ada", TEAM)
    await services.core.life.freezing.unfreeze("ada", TEAM)
    assert await shown(services) == before

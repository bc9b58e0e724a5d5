"""What is said of packages: to users, to solvers, and who may publish them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from headgate.access.decisions import decide
from headgate.access.grants import PrincipalKind
from headgate.access.permissions import Permission
from headgate.bootstrap import Services
from headgate.channels.model import Channel, ChannelKind
from headgate.channels.notices import read_notices
from headgate.channels.packages import Owner
from headgate.conda.names import ChannelName, PackageName
from headgate.conda.shards import decode_stored
from headgate.kernel.errors import Conflict, Invalid, NotFound
from tests.packages import package

TEAM, DEMO = ChannelName("team"), PackageName("demo")


@pytest.fixture
async def channel(services: Services) -> Channel:
    await services.core.channels.create("test", TEAM, ChannelKind.HOSTED)
    await services.snapshots.reload()
    for version in ("1.0", "2.0"):
        await upload(services, version)
    return services.catalog.get(TEAM)


async def body(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def upload(services: Services, version: str, **index: Any) -> None:
    filename, data = package("demo", version, **index)
    await services.uploads.take("test", services.catalog.get(TEAM), filename, body(data))
    await services.snapshots.reload()


async def features(services: Services) -> dict[str, Any]:
    """What each version of demo tracks."""
    await services.snapshots.reload()
    state = services.catalog.get(TEAM).subdirs["noarch"]
    bodies = await services.shards.find_many(list((await services.maps.get(state)).digests.values()))
    records = [record for found in bodies.values() for _, record in decode_stored(found).records()]
    return {record["version"]: record.get("track_features") for record in records}


async def test_a_deprecation_is_told_to_users_until_it_is_taken_back(services: Services, channel: Channel) -> None:
    packages = services.core.life.packages
    before = await features(services)
    words = await packages.deprecate("ada", TEAM, "demo <2", "Use demo 2.", is_avoided=False)
    assert [(one.spec, one.reason, one.created_by) for one in words.deprecations] == [("demo <2", "Use demo 2.", "ada")]
    (notice,) = await read_notices(services.core.database, channel)
    assert (notice["level"], notice["message"]) == ("warning", "team: demo <2 is deprecated. Use demo 2.")
    assert await features(services) == before
    await packages.undeprecate("ada", TEAM, "demo <2")
    assert await read_notices(services.core.database, channel) == []


async def test_solvers_avoid_what_is_deprecated_so_also_of_later_uploads(services: Services, channel: Channel) -> None:
    packages = services.core.life.packages
    await packages.deprecate("ada", TEAM, "demo <2", "Use demo 2.", is_avoided=True)
    await upload(services, "1.5", track_features="debug")
    await upload(services, "1.6", track_features=["debug"])
    await upload(services, "3.0")
    assert await features(services) == {
        "1.0": "deprecated",
        "1.5": "debug deprecated",
        "1.6": ["debug", "deprecated"],
        "2.0": None,
        "3.0": None,
    }
    await packages.undeprecate("ada", TEAM, "demo <2")
    assert (await features(services))["1.0"] is None


async def test_deprecations_that_make_no_sense_are_refused(services: Services, channel: Channel) -> None:
    packages = services.core.life.packages
    await packages.deprecate("ada", TEAM, "demo", "gone", is_avoided=False)
    with pytest.raises(Conflict, match="already"):
        await packages.deprecate("ada", TEAM, "demo", "gone", is_avoided=True)
    for spec in ("*", "other::demo", "demo ==="):
        with pytest.raises(Invalid):
            await packages.deprecate("ada", TEAM, spec, "gone", is_avoided=False)
    with pytest.raises(Invalid, match="Say why"):
        await packages.deprecate("ada", TEAM, "lib", " ", is_avoided=False)
    with pytest.raises(NotFound, match="not deprecated"):
        await packages.undeprecate("ada", TEAM, "lib")


async def test_a_note_stays_until_it_is_emptied(services: Services, channel: Channel) -> None:
    packages = services.core.life.packages
    for text in ("ask us", "ask us first"):
        await packages.annotate("ada", TEAM, DEMO, text)
    assert [(one.package, one.note) for one in await packages.list_words(channel)] == [("demo", "ask us first")]
    await packages.annotate("ada", TEAM, DEMO, "")
    assert await packages.list_words(channel) == []


async def test_an_owner_may_publish_their_package_and_no_other_once_granted(
    services: Services, channel: Channel
) -> None:
    access, packages = services.core.access, services.core.life.packages
    await access.create_user("test", "bob", "correct horse battery", is_administrator=False)

    async def may(name: str) -> list[bool]:
        await services.snapshots.reload()
        principal = services.authenticator.find("bob")
        assert principal is not None
        wanted = (Permission.ARTIFACT_UPLOAD, Permission.ARTIFACT_DELETE, Permission.CHANNEL_MANAGE)
        return [decide(principal, one, TEAM, "private", name).is_allowed for one in wanted]

    bob = Owner(PrincipalKind.USER, "bob", may_publish=False)
    await packages.add_owner("ada", TEAM, DEMO, bob)
    assert await may("demo") == [False, False, False]
    words = await packages.add_owner("ada", TEAM, DEMO, Owner(PrincipalKind.USER, "bob", may_publish=True))
    assert words.owners == [Owner(PrincipalKind.USER, "bob", may_publish=True)]
    assert await may("demo") == [True, True, False]
    assert await may("other") == [False, False, False]
    await packages.remove_owner("ada", TEAM, DEMO, PrincipalKind.USER, "bob")
    assert await may("demo") == [False, False, False]
    assert await access.grants.list_grants() == []
    with pytest.raises(NotFound, match="does not own"):
        await packages.remove_owner("ada", TEAM, DEMO, PrincipalKind.USER, "bob")
    with pytest.raises(NotFound):
        await packages.add_owner("ada", TEAM, DEMO, Owner(PrincipalKind.GROUP, "nobody", may_publish=True))

"""What is left alone after filtering: told, and hidden where the channel says so, until its dependencies come back."""

from typing import Any

import pytest

from headgate.bootstrap import Services
from headgate.channels.consistency import Broken
from headgate.channels.dependencies import head_of
from headgate.channels.exempting import Wish
from headgate.channels.model import ChannelKind
from headgate.channels.policing import Target
from headgate.channels.revisions import find_broken, publish, read_world
from headgate.channels.shards import save_shards
from headgate.channels.sources import save_source_shards, source_subdir_id
from headgate.channels.why import explain_file
from headgate.conda.names import ArtifactName, ChannelName, Subdir
from headgate.conda.shards import decode_stored, encode_shard
from headgate.kernel.errors import Refused
from headgate.policy.exemptions import ExemptionKind
from tests.unit.policy.making import record, shard_of

ACTOR = "tests"
PACKAGES = (
    record("lib", "1.0"),
    record("lib", "2.0"),
    record("app", "1.0", depends=["lib >=2", "__glibc >=2.17"]),
    record("app", "0.9", depends=["lib"]),
    record("top", "1.0", depends=["app 1.*"]),
    record("old", "1.0", depends=["lib <2", "never-was"]),
    record("maybe", "1.0", depends=['lib >=2[when="python <3.9"]', "lib >=2; if python <3.9"]),
)
BROKEN = [
    Broken("noarch", "app-1.0-0.conda", "lib >=2"),
    Broken("noarch", "top-1.0-0.conda", "app 1.*", is_last=True),
]


async def offer(services: Services, subdir: str, *records: dict[str, Any]) -> None:
    """Let the channel's own source offer just these records in a subdir, besides other names."""
    async with services.core.database.write() as connection:
        world = await read_world(connection)
        channel = next(one for one in world.channels.values() if one.name == "team")
        place = await source_subdir_id(connection, channel.sources[0].id, subdir)
        names = {one["name"] for one in records}
        for name in names:
            some = [one | {"subdir": subdir} for one in records if one["name"] == name]
            digest, body = encode_shard(shard_of(*some))
            await save_shards(connection, {digest: body})
            await save_source_shards(connection, place, {name: (digest, digest)})
        await publish(connection, channel.id, subdir, names, "test")
    await services.snapshots.reload()


@pytest.fixture
async def team(services: Services) -> Services:
    await services.core.channels.create(ACTOR, ChannelName("team"), ChannelKind.HOSTED)
    await offer(services, "noarch", *PACKAGES)
    return services


async def enforce(services: Services, *excluded: str) -> None:
    rule = {"kind": "match-spec", "exclude": list(excluded), "action": "hold"}
    await services.core.policies.apply(ACTOR, {"name": "test", "rule": [rule]})
    await services.core.policies.attach(ACTOR, "test", Target(channel="team"))
    await services.snapshots.reload()


async def hide(services: Services, *, is_hiding: bool = True) -> None:
    await services.core.channels.set(ACTOR, ChannelName("team"), settings={"is_hiding_broken": is_hiding})
    await services.snapshots.reload()


async def listed(services: Services, subdir: str = "noarch") -> set[str]:
    await services.snapshots.reload()
    digests = (await services.maps.get(services.catalog.get("team").subdirs[Subdir(subdir)])).digests.values()
    bodies = await services.shards.find_many(list(digests))
    found = {filename for body in bodies.values() for filename, _ in decode_stored(body).records()}
    return {filename.removesuffix("-0.conda") for filename in found}


async def told(services: Services, platform: str = "linux-64") -> list[Broken]:
    async with services.core.database.read() as connection:
        world = await read_world(connection)
        channel = next(one for one in world.channels.values() if one.name == "team")
        return await find_broken(connection, world, channel, platform)


ALL = {"lib-1.0", "lib-2.0", "app-1.0", "app-0.9", "top-1.0", "old-1.0", "maybe-1.0"}


async def test_what_depends_on_held_back_packages_is_told_and_what_depends_on_that(team: Services) -> None:
    assert await told(team) == []
    await enforce(team, "lib >=2")
    assert await told(team) == BROKEN
    assert await listed(team) == ALL - {"lib-2.0"}, "told, and still listed"


async def test_hidden_comes_and_goes_with_the_setting_and_with_what_it_depends_on(team: Services) -> None:
    await enforce(team, "lib >=2")
    await hide(team)
    hidden = ALL - {"lib-2.0", "app-1.0", "top-1.0"}
    assert await listed(team) == hidden
    assert await told(team) == BROKEN, "told, though it is not listed"
    wish = Wish(kind=ExemptionKind.SPEC, target="lib 2.0", reason="needed", owner="ada")
    exemption = await team.core.exemptions.add(ACTOR, wish)
    assert await listed(team) == ALL
    await team.core.exemptions.revoke(ACTOR, exemption.id)
    assert await listed(team) == hidden
    await offer(team, "noarch", record("lib", "2.0.5"), record("lib", "1.0"))
    assert await listed(team) == hidden
    await enforce(team, "lib 2.0")
    assert await listed(team) == ALL - {"lib-2.0"} | {"lib-2.0.5"}
    await enforce(team, "lib >=2")
    await hide(team, is_hiding=False)
    assert await listed(team) == ALL - {"lib-2.0"}


async def test_packages_that_need_each_other_come_back_together(team: Services) -> None:
    await offer(team, "noarch", record("left", depends=["right", "lib >=2"]), record("right", depends=["left"]))
    await hide(team)
    await enforce(team, "lib >=2")
    assert await listed(team) & {"left-1.0", "right-1.0"} == set()
    await enforce(team, "nothing")
    assert await listed(team) >= {"left-1.0", "right-1.0"}


async def test_what_is_offered_later_is_hidden_too_and_nothing_is_hidden_that_never_had_its_dependencies(
    team: Services,
) -> None:
    await hide(team)
    await enforce(team, "lib >=2")
    await offer(team, "noarch", record("late", depends=["lib 2.*"]), record("free", depends=["lib >=3", "outside"]))
    found = await listed(team)
    assert "late-1.0" not in found
    assert "free-1.0" in found, "no policy keeps out what was never there"


async def test_platforms_are_settled_with_noarch(team: Services) -> None:
    await hide(team)
    await offer(team, "linux-64", record("core", "2.0"), record("tool", depends=["app 1.*"]))
    await offer(team, "osx-64", record("core", "1.0"))
    await offer(team, "noarch", record("both", depends=["core"]), record("linux-only", depends=["core >=2"]))
    await enforce(team, "lib >=2", "core >=2")
    assert await listed(team, "linux-64") == set(), "what it needs of noarch is hidden"
    assert {"both-1.0", "linux-only-1.0"} & await listed(team) == {"both-1.0"}, "one platform suffices"
    assert [one.filename for one in await told(team, "osx-64")] == ["app-1.0-0.conda", "top-1.0-0.conda"]
    await enforce(team, "nothing")
    assert await listed(team, "linux-64") == {"core-2.0", "tool-1.0"}
    assert await listed(team) >= {"both-1.0", "linux-only-1.0", "app-1.0"}


async def test_hidden_files_say_why(team: Services) -> None:
    await enforce(team, "lib >=2")
    await hide(team)
    async with team.core.database.read() as connection:
        world = await read_world(connection)
    channel = team.catalog.get("team")
    [found] = await explain_file(team.core.database, world, channel, "noarch/top-1.0-0.conda")
    assert [(one.policy, one.rule) for one in found.verdict.reasons] == [("consistency", "unsatisfiable")]
    with pytest.raises(Refused, match="Nothing in the channel satisfies what it depends on"):
        await team.locator.locate(channel, "noarch", ArtifactName.parse("top-1.0-0.conda"))


@pytest.mark.parametrize(
    ("dependency", "head"),
    [
        ("Numpy >=2", "numpy"),
        ("numpy>=2,<3", "numpy"),
        ("numpy=1.26", "numpy"),
        ("numpy[version='>=2']", "numpy"),
        ("conda-forge::numpy 1.*", "numpy"),
        ("__glibc >=2.17", ""),
        ('numpy >=2[when="python <3.9"]', ""),
        ("numpy; if python <3.9", ""),
    ],
)
def test_head_of_a_dependency_is_its_package(dependency: str, head: str) -> None:
    assert head_of(dependency) == head

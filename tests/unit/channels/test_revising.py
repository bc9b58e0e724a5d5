"""Judging again: what time, policies and origins change is published without anybody touching the packages."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from sqlalchemy import update

from headgate.bootstrap import Services
from headgate.channels.catalog import get_channel
from headgate.channels.exempting import Wish
from headgate.channels.mirrors import Mirror
from headgate.channels.model import ChannelKind
from headgate.channels.policing import Target, scope_of
from headgate.channels.revising import find_stale, revise_subdir
from headgate.channels.revisions import publish, read_world
from headgate.channels.shards import save_shards
from headgate.channels.simulation import Draft, simulate
from headgate.channels.sources import save_source_shards, source_subdir_id
from headgate.channels.trying import try_specs
from headgate.channels.why import explain_file, explain_spec
from headgate.conda.names import ChannelName
from headgate.conda.shards import Shard, decode_stored, encode_shard
from headgate.db import tables_gate
from headgate.kernel import clock
from headgate.policy.exemptions import ExemptionKind
from headgate.policy.model import parse_policy
from tests.packages import package
from tests.unit.policy.making import record
from tests.waiting import eventually_async

ACTOR = "tests"


async def make(services: Services, name: str = "team", **more: Any) -> None:
    await services.core.channels.create(ACTOR, ChannelName(name), more.pop("kind", ChannelKind.HOSTED), **more)
    await services.snapshots.reload()


async def upload(services: Services, filename: str, body: bytes, channel: str = "team") -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield body

    await services.uploads.take(ACTOR, services.catalog.get(channel), filename, pieces())
    await services.snapshots.reload()


async def enforce(services: Services, *rules: dict[str, Any], target: Target | None = None) -> None:
    await services.core.policies.apply(ACTOR, {"name": "test", "rule": [{"action": "hold"} | rule for rule in rules]})
    await services.core.policies.attach(ACTOR, "test", target or Target(channel="team"))
    await services.snapshots.reload()


async def listed(services: Services, channel: str = "team") -> set[str]:
    await services.snapshots.reload()
    state = services.catalog.get(channel).subdirs["noarch"]
    digests = (await services.maps.get(state)).digests.values()
    bodies = await services.shards.find_many(list(digests))
    return {filename for body in bodies.values() for filename, _ in decode_stored(body).records()}


async def stale(services: Services) -> list[tuple[str, str, frozenset[str] | None]]:
    async with services.core.database.read() as connection:
        found = await find_stale(connection, await read_world(connection), clock.now())
    return [(one.channel.name, one.subdir, one.names) for one in found]


async def test_cooldown_ends_without_anyone_touching_anything(services: Services) -> None:
    await make(services)
    await enforce(services, {"kind": "minimum-age", "hours": 1 / 3600})
    await upload(services, *package("demo"))
    assert await listed(services) == set()

    async def is_due() -> bool:
        return await stale(services) == [("team", "noarch", frozenset({"demo"}))]

    assert await eventually_async(is_due)
    await revise_subdir(services.core.database, "team", "noarch")
    assert await listed(services) == {"demo-1.0-0.conda"}
    assert await stale(services) == []


async def test_exemption_ends_by_itself(services: Services) -> None:
    await make(services)
    await enforce(services, {"kind": "size", "most_bytes": 1})
    await upload(services, *package("demo"))
    end = clock.now() + timedelta(seconds=2)
    wish = Wish(kind=ExemptionKind.SPEC, target="demo", reason="soon over", owner="ada", expires_at=end)
    await services.core.exemptions.add(ACTOR, wish)
    assert await listed(services) == {"demo-1.0-0.conda"}

    async def is_over() -> bool:
        await revise_subdir(services.core.database, "team", "noarch")
        return await listed(services) == set()

    assert await eventually_async(is_over)


async def test_policies_hold_everywhere_below_a_prefix_and_in_virtual_channels(services: Services) -> None:
    await make(services)
    await make(services, "team/dev")
    await make(services, "all", kind=ChannelKind.VIRTUAL, members=[ChannelName("team")])
    for channel in ("team", "team/dev"):
        await upload(services, *package("demo"), channel)
    await enforce(services, {"kind": "match-spec", "exclude": ["demo"]}, target=Target(prefix="team/*"))
    assert [await listed(services, name) for name in ("team", "team/dev", "all")] == [
        {"demo-1.0-0.conda"}, set(), {"demo-1.0-0.conda"},
    ]  # fmt: skip
    await services.core.policies.attach(ACTOR, "test", Target(is_everywhere=True))
    assert [await listed(services, name) for name in ("team", "team/dev", "all")] == [set(), set(), set()]


async def test_name_taken_by_a_hosted_channel_leaves_the_others_at_once(services: Services) -> None:
    await make(services, "outer")
    await make(services, "all", kind=ChannelKind.VIRTUAL, members=[ChannelName("outer")])
    await make(services, "top", kind=ChannelKind.VIRTUAL, members=[ChannelName("all")])
    await enforce(services, {"kind": "reserved-names"}, target=Target(channel="top"))
    assert await listed(services, "top") == set()
    await upload(services, *package("demo"), "outer")
    assert await listed(services, "all") == {"demo-1.0-0.conda"}
    assert await listed(services, "top") == set()


async def test_install_scripts_are_known_of_what_was_uploaded(services: Services) -> None:
    await make(services)
    await upload(services, *package("demo"))
    await enforce(services, {"kind": "install-scripts"})
    assert await listed(services) == {"demo-1.0-0.conda"}


async def test_draft_tells_what_it_would_change_and_changes_nothing(services: Services) -> None:
    await make(services)
    for version in ("1.0", "2.0", "3.0"):
        await upload(services, *package("demo", version))
    await upload(services, *package("lone"))
    await enforce(services, {"kind": "match-spec", "exclude": ["demo >=3"]})
    before = await listed(services)
    policy = parse_policy({
        "name": "test", "rule": [{"kind": "match-spec", "exclude": ["demo <2", "lone"], "action": "block"}],
    })  # fmt: skip
    async with services.core.database.read() as connection:
        world = await read_world(connection)
    attachment = next(iter(world.policies.attachments))
    channel = services.catalog.get("team")
    result = await simulate(services.core.database, world, channel, Draft(policy=policy, attachment=attachment))
    assert [one.filename for one in result.appearing] == ["demo-3.0-0.conda"]
    assert [one.filename for one in result.disappearing] == ["demo-1.0-0.conda", "lone-1.0-0.conda"]
    assert result.lost == [("noarch", "lone")]
    assert result.next_versions == {"demo": "2.0", "lone": None}
    assert [dict(one) for one in result.by_rule()] == [{"test/match-spec": 1}, {"test/match-spec": 2}]
    assert result.names == 2
    assert await listed(services) == before


async def test_draft_tells_whether_specs_still_solve(services: Services) -> None:
    await make(services)
    await upload(services, *package("app", depends=["lib >=2"]))
    for version in ("1.0", "2.0"):
        await upload(services, *package("lib", version))
    policy = parse_policy(
        {"name": "draft", "rule": [{"kind": "match-spec", "exclude": ["lib >=2"], "action": "block"}]}
    )
    async with services.core.database.read() as connection:
        world = await read_world(connection)
        attachment = await scope_of(connection, Target(channel="team"))
    channel = world.channels[services.catalog.get("team").id]
    draft = Draft(policy=policy, attachment=attachment)
    before, after = await try_specs(services.core.database, world, channel, draft, ["app"], "linux-64")
    assert before.filenames == ("app-1.0-0.conda", "lib-2.0-0.conda")
    assert not after.is_solved
    assert "lib" in (after.failure or "")
    exact = await try_specs(services.core.database, world, channel, draft, ["lib 2.0"], "linux-64")
    assert [one.is_solved for one in exact] == [True, False], "a bare version means just that one"
    still = await try_specs(services.core.database, world, channel, draft, ["lib"], "linux-64")
    assert [one.filenames for one in still] == [("lib-2.0-0.conda",), ("lib-1.0-0.conda",)]


async def test_why_tells_reasons_of_files_and_specs_here_and_in_members(services: Services) -> None:
    await make(services)
    await make(services, "all", kind=ChannelKind.VIRTUAL, members=[ChannelName("team")])
    for version in ("1.0", "2.0"):
        await upload(services, *package("demo", version))
    await enforce(services, {"kind": "match-spec", "exclude": ["demo >=2"]})
    async with services.core.database.read() as connection:
        world = await read_world(connection)
    for name in ("team", "all"):
        channel = world.channels[services.catalog.get(name).id]
        [found] = await explain_file(services.core.database, world, channel, "demo-2.0-0.conda")
        assert (found.channel, found.verdict.is_passing) == ("team", False)
        told = await explain_spec(services.core.database, world, channel, "demo")
        assert {one.filename: one.verdict.is_passing for one in told} == {
            "demo-1.0-0.conda": True,
            "demo-2.0-0.conda": False,
        }


async def test_stored_policy_that_cannot_be_read_holds_everything_back(services: Services) -> None:
    await make(services)
    await upload(services, *package("demo"))
    await enforce(services, {"kind": "malicious"})
    assert await listed(services) == {"demo-1.0-0.conda"}
    broken = {"name": "test", "rule": [{"kind": "of-yesterday"}]}
    async with services.core.database.write() as connection:
        await connection.execute(update(tables_gate.policy_version).values(document=broken))
    await revise_subdir(services.core.database, "team", "noarch")
    assert await listed(services) == set()


async def test_policy_of_one_mirror_concerns_only_what_it_brings(services: Services) -> None:
    name = ChannelName("outer")
    await services.core.channels.create(ACTOR, name, ChannelKind.MIRROR)
    for mirror in ("first", "second"):
        await services.core.mirrors.add(ACTOR, name, Mirror(name=mirror, urls=(f"https://{mirror}.example/main",)))
    async with services.core.database.write() as connection:
        channel = await get_channel(connection, name)
        for source, version in zip(channel.sources, ("1.0", "2.0"), strict=True):
            place = await source_subdir_id(connection, source.id, "noarch")
            digest, body = encode_shard(Shard(conda={f"demo-{version}-0.conda": record(version=version)}))
            await save_shards(connection, {digest: body})
            await save_source_shards(connection, place, {"demo": (digest, digest)})
        await publish(connection, channel.id, "noarch", None, "test")
    assert await listed(services, "outer") == {"demo-1.0-0.conda", "demo-2.0-0.conda"}
    await enforce(services, {"kind": "size", "most_bytes": 1}, target=Target(mirror="outer/second"))
    assert await listed(services, "outer") == {"demo-1.0-0.conda"}
    await services.core.policies.detach(ACTOR, "test", "mirror outer/second")
    await enforce(services, {"kind": "origin", "exclude": ["fir*"]}, target=Target(channel="outer"))
    assert await listed(services, "outer") == {"demo-2.0-0.conda"}

"""Rolling back a hosted channel: what was, published as what comes next."""

from collections.abc import AsyncIterator

import msgspec
import pytest
from sqlalchemy import select

from headgate.bootstrap import Services
from headgate.channels.model import Channel, ChannelKind
from headgate.channels.policing import Target
from headgate.conda.names import ArtifactName, ChannelName, Subdir
from headgate.conda.shards import decode_stored
from headgate.db import tables
from headgate.intake.hosted import delete, yank
from headgate.intake.rollback import Fate, RollbackPlan
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, NotFound
from tests.packages import package

TEAM = ChannelName("team")
NOARCH, LINUX = Subdir("noarch"), Subdir("linux-64")


@pytest.fixture
async def channel(services: Services) -> Channel:
    await services.core.channels.create("test", TEAM, ChannelKind.HOSTED)
    await services.snapshots.reload()
    return services.catalog.get(TEAM)


async def body(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def upload(services: Services, name: str, version: str = "1.0", *, content: bytes = b"x", **more: object) -> str:
    filename, data = package(name, version, content=content, **more)  # type: ignore[arg-type]
    channel = services.catalog.get(TEAM)
    await services.uploads.take("test", channel, filename, body(data), may_replace_deleted=True)
    await services.snapshots.reload()
    return filename


async def files(services: Services, subdir: str = "noarch") -> tuple[int, dict[str, dict[str, object]]]:
    """The newest revision and its records."""
    await services.snapshots.reload()
    state = services.catalog.get(TEAM).subdirs[subdir]
    bodies = await services.shards.find_many(list((await services.maps.get(state)).digests.values()))
    return state.revision, dict(sorted(one for body in bodies.values() for one in decode_stored(body).records()))


async def roll(services: Services, to: int, subdir: Subdir = NOARCH, **more: str) -> RollbackPlan:
    done = await services.core.life.rollbacks.roll_back("ada", TEAM, {subdir: to}, comment="2.0 breaks", **more)
    await services.snapshots.reload()
    return done


async def test_what_came_since_disappears_and_comes_back_by_another_rollback(
    services: Services, channel: Channel
) -> None:
    await upload(services, "demo")
    then, _ = before = await files(services)
    await upload(services, "demo", "2.0")
    await upload(services, "other")
    now = await files(services)
    plan = await services.core.life.rollbacks.plan(channel, {NOARCH: then})
    assert [(one.filename, one.fate) for one in plan.steps[0].files] == [
        ("demo-2.0-0.conda", Fate.DISAPPEARS),
        ("other-1.0-0.conda", Fate.DISAPPEARS),
    ]
    assert await files(services) == now  # a preview changes nothing

    await roll(services, then, digest=plan.digest)
    assert await files(services) == (now[0] + 1, before[1])
    await upload(services, "later")
    revision, records = await files(services)
    assert (revision, set(records)) == (now[0] + 2, {*before[1], "later-1.0-0.conda"})

    undone = await roll(services, now[0])
    assert undone.steps[0].of(Fate.APPEARS) == ["demo-2.0-0.conda", "other-1.0-0.conda"]
    assert undone.steps[0].of(Fate.DISAPPEARS) == ["later-1.0-0.conda"]
    assert (await files(services))[1] == now[1]


async def test_the_audit_trail_says_who_why_and_what(services: Services, channel: Channel) -> None:
    await upload(services, "demo")
    await roll(services, 1)
    statement = select(tables.audit_event).where(tables.audit_event.c.action == "channel:rollback")
    async with services.core.database.read() as connection:
        event = (await connection.execute(statement)).one()
    assert (event.actor, event.channel, event.detail["comment"]) == ("ada", TEAM, "2.0 breaks")
    said = event.detail["subdirs"]["noarch"]
    assert (said["from"], said["to"], said["files"]) == (2, 1, ["disappears: demo-1.0-0.conda"])


async def test_yanked_and_deleted_files_come_back_if_their_bytes_are_here(services: Services, channel: Channel) -> None:
    names = [await upload(services, name) for name in ("gone", "hidden", "lost", "renewed")]
    then, before = await files(services)
    gone, hidden, lost, renewed = (ArtifactName.parse(name) for name in names)
    await services.hosted.submit(channel, yank("test", NOARCH, hidden))
    for name in (gone, lost, renewed):
        await services.hosted.submit(channel, delete("test", NOARCH, name))
    bytes_of_lost = before[lost.filename]["sha256"]
    assert isinstance(bytes_of_lost, bytes)
    statement = select(tables.artifact.c.sha256).where(tables.artifact.c.filename == lost.filename)
    async with services.core.database.read() as connection:
        services.core.store.remove((await connection.execute(statement)).scalar_one())
    await upload(services, "renewed", content=b"other bytes")

    plan = await roll(services, then)
    fates = {one.filename: (one.fate, one.reason) for one in plan.steps[0].files}
    assert fates[hidden.filename] == (Fate.APPEARS, "It was yanked since then.")
    assert fates[gone.filename] == (Fate.APPEARS, "It was deleted since then.")
    assert fates[lost.filename] == (Fate.LOST, "It was deleted since then, and its bytes are gone.")
    assert plan.steps[0].of(Fate.LOST) == [lost.filename, renewed.filename]
    assert set((await files(services))[1]) == {gone.filename, hidden.filename}


async def test_only_the_chosen_subdirs_go_back(services: Services, channel: Channel) -> None:
    await upload(services, "native", subdir="linux-64")
    await upload(services, "plain")
    noarch = await files(services)
    await roll(services, 0, LINUX)
    assert await files(services, "linux-64") == (2, {})
    assert await files(services) == noarch


async def test_a_moment_stands_for_the_revisions_of_then(services: Services, channel: Channel) -> None:
    await upload(services, "demo")
    rollbacks = services.core.life.rollbacks
    channel = services.catalog.get(TEAM)
    assert await rollbacks.revisions_at(channel, clock.now(), []) == {NOARCH: 2}
    assert await rollbacks.revisions_at(channel, clock.from_ms(0), [NOARCH]) == {NOARCH: 0}


async def test_the_patches_of_then_are_in_force_again(services: Services, channel: Channel) -> None:
    await upload(services, "demo")
    then, before = await files(services)
    patch = msgspec.json.encode({"packages.conda": {"demo-1.0-0.conda": {"depends": ["lib"]}}})
    await services.core.life.patches.apply("ada", TEAM, {NOARCH: patch})
    assert (await files(services))[1]["demo-1.0-0.conda"]["depends"] == ["lib"]
    plan = await roll(services, then)
    assert [(one.filename, one.fields) for one in plan.steps[0].records] == [
        ("demo-1.0-0.conda", {"depends": (["lib"], [])})
    ]
    assert (await files(services))[1] == before


async def test_the_gate_of_today_decides_what_comes_back(services: Services, channel: Channel) -> None:
    name = await upload(services, "demo")
    then, _ = await files(services)
    await services.hosted.submit(channel, yank("test", NOARCH, ArtifactName.parse(name)))
    await services.core.policies.apply(
        "test", {"name": "no-demo", "rule": [{"kind": "match-spec", "exclude": ["demo"], "action": "block"}]}
    )
    await services.core.policies.attach("test", "no-demo", Target(channel=TEAM))
    plan = await roll(services, then)
    assert plan.steps[0].files[0].fate is Fate.APPEARS
    assert "demo" in plan.steps[0].files[0].reason
    assert (await files(services))[1] == {}


async def test_what_cannot_be_is_refused(services: Services, channel: Channel) -> None:
    await upload(services, "demo")
    rollbacks = services.core.life.rollbacks
    with pytest.raises(NotFound, match="is at revision 2; 2 is none"):
        await roll(services, 2)
    with pytest.raises(NotFound, match="has no linux-64"):
        await roll(services, 1, LINUX)
    with pytest.raises(Conflict, match="Something changed"):
        await roll(services, 1, digest="0" * 64)
    await services.core.life.freezing.freeze("ada", TEAM)
    with pytest.raises(Conflict, match="frozen"):
        await roll(services, 1)
    await services.core.life.freezing.unfreeze("ada", TEAM)
    await roll(services, 1)
    with pytest.raises(Conflict, match="nothing to roll back"):
        await roll(services, 1)
    all_of_it = ChannelName("all")
    await services.core.channels.create("test", all_of_it, ChannelKind.VIRTUAL, members=[TEAM])
    await services.snapshots.reload()
    with pytest.raises(Conflict, match="virtual"):
        await rollbacks.plan(services.catalog.get(all_of_it), {NOARCH: 0})

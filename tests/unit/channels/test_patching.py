"""Patch instructions: seen before, in force as one revision, undone; the records themselves stay."""

import io
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from headgate.bootstrap import Services
from headgate.channels.documents import Renderer
from headgate.channels.model import Channel, ChannelKind
from headgate.channels.patching import NOTHING
from headgate.conda.names import ArtifactName, ChannelName, Subdir
from headgate.conda.shards import decode_stored
from headgate.intake.patch_packages import read_patch_package
from headgate.kernel.errors import Conflict, Invalid, NotFound
from tests.packages import archive, package

TEAM, NOARCH, LINUX = ChannelName("team"), Subdir("noarch"), Subdir("linux-64")
DEMO, OLD = "demo-1.0-0.conda", "old-1.0-0.conda"


def instructions(**more: Any) -> bytes:
    return msgspec.json.encode({"patch_instructions_version": 1, **more})


FIX = instructions(**{"packages.conda": {DEMO: {"depends": ["lib <2"]}}, "remove": [OLD]})


@pytest.fixture
async def channel(services: Services) -> Channel:
    await services.core.channels.create("test", TEAM, ChannelKind.HOSTED)
    await services.snapshots.reload()
    for name in ("demo", "old"):
        filename, data = package(name, depends=["lib"])
        await services.uploads.take("test", services.catalog.get(TEAM), filename, body(data))
    await services.snapshots.reload()
    return services.catalog.get(TEAM)


async def body(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def published(services: Services, subdir: str = "noarch") -> tuple[int, dict[str, Any]]:
    """The newest revision, and what each record depends on."""
    await services.snapshots.reload()
    state = services.catalog.get(TEAM).subdirs[subdir]
    bodies = await services.shards.find_many(list((await services.maps.get(state)).digests.values()))
    records = dict(one for found in bodies.values() for one in decode_stored(found).records())
    return state.revision, {filename: record["depends"] for filename, record in sorted(records.items())}


async def test_a_preview_says_field_by_field_what_would_change(services: Services, channel: Channel) -> None:
    before = await published(services)
    changes = await services.core.life.patches.preview(channel, {NOARCH: FIX})
    assert [(one.filename, one.fields, one.is_removed) for one in changes] == [
        (DEMO, {"depends": (["lib"], ["lib <2"])}, False),
        (OLD, {}, True),
    ]
    assert await published(services) == before


async def test_instructions_are_one_revision_and_so_is_their_undo(services: Services, channel: Channel) -> None:
    patches = services.core.life.patches
    revision, before = await published(services)
    await patches.apply("ada", TEAM, {NOARCH: FIX}, comment="lib 2 broke it")
    assert await published(services) == (revision + 1, {DEMO: ["lib <2"]})
    assert await patches.read(channel, NOARCH) == FIX
    (edit,) = await patches.history(channel, before=None, limit=9)
    assert (edit.subdir, edit.revision, edit.comment) == (NOARCH, revision + 1, "lib 2 broke it")
    assert await patches.undo("ada", TEAM, edit.id) == [NOARCH]
    assert await published(services) == (revision + 2, before)


async def test_undoing_goes_back_step_by_step(services: Services, channel: Channel) -> None:
    patches = services.core.life.patches
    for depends in (["one"], ["two"]):
        document = instructions(**{"packages.conda": {DEMO: {"depends": depends}}})
        await patches.apply("ada", TEAM, {NOARCH: document})
    newest, older = await patches.history(channel, before=None, limit=9)
    with pytest.raises(Conflict, match=f"Undo edit {newest.id} first"):
        await patches.undo("ada", TEAM, older.id)
    with pytest.raises(NotFound, match="no patch edit"):
        await patches.undo("ada", TEAM, newest.id + 1)
    await patches.undo("ada", TEAM, newest.id)
    assert (await published(services))[1][DEMO] == ["one"]


async def test_a_package_patches_several_subdirs_and_is_undone_in_all_of_them(
    services: Services, channel: Channel
) -> None:
    filename, data = package("native", subdir="linux-64", depends=["lib"])
    await services.uploads.take("test", channel, filename, body(data))
    patches = services.core.life.patches
    native = instructions(**{"packages.conda": {filename: {"depends": []}}})
    name, data = archive(
        "our-patches", {"noarch/patch_instructions.json": FIX, "linux-64/patch_instructions.json": native}
    )
    brought = read_patch_package(io.BytesIO(data), ArtifactName.parse(name))
    assert brought == {NOARCH: FIX, LINUX: native}
    await patches.apply("ada", TEAM, brought, origin=name)
    assert (await published(services, "linux-64"))[1] == {filename: []}
    newest, _ = await patches.history(channel, before=None, limit=9)
    assert set(await patches.undo("ada", TEAM, newest.id)) == {NOARCH, LINUX}
    assert (await published(services, "linux-64"))[1] == {filename: ["lib"]}
    assert (await published(services))[1][DEMO] == ["lib"]


def test_a_package_without_instructions_is_refused() -> None:
    name, data = package()
    with pytest.raises(Invalid, match="nothing to patch with"):
        read_patch_package(io.BytesIO(data), ArtifactName.parse(name))


async def test_the_records_without_corrections_are_still_served(services: Services, channel: Channel) -> None:
    await services.core.life.patches.apply("ada", TEAM, {NOARCH: FIX})
    renderer = Renderer(services.core.database, services.core.store)
    document = await renderer.render(TEAM, "noarch", "repodata_from_packages.json")
    records = msgspec.json.decode(services.core.store.path(document.sha256).read_bytes())["packages.conda"]
    assert {filename: record["depends"] for filename, record in records.items()} == {DEMO: ["lib"], OLD: ["lib"]}


async def test_a_channel_that_was_never_patched_has_empty_instructions(services: Services, channel: Channel) -> None:
    assert await services.core.life.patches.read(channel, NOARCH) == NOTHING
    assert await services.core.life.patches.history(channel, before=None, limit=9) == []

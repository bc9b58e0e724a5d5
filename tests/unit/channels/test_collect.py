"""What nobody names goes when it is old; what somebody names, or what is young, stays."""

import os
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from headgate.bootstrap import Core, Place, opened_core
from headgate.channels.catalog import read_channels
from headgate.channels.collect import collect_blobs, collect_entries, collect_shards
from headgate.channels.model import Channel, ChannelKind
from headgate.channels.shards import save_shards
from headgate.channels.sources import save_source_shards, source_subdir_id
from headgate.conda.names import ChannelName, Sha256
from headgate.db import tables
from headgate.kernel import clock

AGE = timedelta(days=7)
YOUNG, OLD = timedelta(days=6), timedelta(days=8)


@pytest.fixture
async def core(place: Place) -> AsyncIterator[Core]:
    async with opened_core(place) as core:
        yield core


@pytest.fixture
async def channel(core: Core) -> Channel:
    await core.channels.create("test", ChannelName("team"), ChannelKind.HOSTED)
    async with core.database.read() as connection:
        return next(one for one in await read_channels(connection) if one.name == "team")


def ago(age: timedelta) -> datetime:
    return clock.now() - age


def digest_of(name: str) -> bytes:
    return name.encode().ljust(32, b".")


async def revise(core: Core, channel: Channel, number: int, names: Mapping[str, str | None], age: timedelta) -> None:
    """A revision of noarch, that old: name -> shard, or None for a name that left."""
    subdir = channel.subdirs["noarch"].id
    async with core.database.write() as connection:
        await connection.execute(
            tables.revision.insert().values(
                subdir_id=subdir, number=number, created_at=ago(age), cause="test", changed=len(names)
            )
        )
        for name, shard in names.items():
            digest = None if shard is None else digest_of(shard)
            await connection.execute(
                tables.entry.insert().values(subdir_id=subdir, name=name, revision=number, digest=digest)
            )


async def entries(core: Core) -> set[tuple[str, int]]:
    columns = tables.entry.c
    async with core.database.read() as connection:
        return {(row.name, row.revision) for row in await connection.execute(select(columns.name, columns.revision))}


async def add_shards(core: Core, *names: str, age: timedelta) -> None:
    async with core.database.write() as connection:
        await save_shards(connection, {digest_of(name): b"body" for name in names})
        chosen = tables.shard.c.digest.in_([digest_of(name) for name in names])
        await connection.execute(update(tables.shard).where(chosen).values(created_at=ago(age)))


async def shards(core: Core) -> set[str]:
    async with core.database.read() as connection:
        found = (await connection.execute(select(tables.shard.c.digest))).scalars()
        return {digest.decode().rstrip(".") for digest in found}


async def add_blob(core: Core, body: bytes, age: timedelta, *, is_known: bool = True) -> Sha256:
    sha256, size_bytes = await core.store.render(lambda writer: writer.write(body))
    moment = ago(age)
    os.utime(core.store.path(sha256), (moment.timestamp(), moment.timestamp()))
    if is_known:
        async with core.database.write() as connection:
            await connection.execute(
                tables.blob.insert().values(sha256=sha256, size_bytes=size_bytes, created_at=moment)
            )
    return sha256


async def add_artifact(core: Core, channel: Channel, filename: str, sha256: Sha256, status: str = "active") -> None:
    values: dict[str, Any] = {"record": b"{}", "created_at": clock.now(), "created_by": "test", "size_bytes": 1}
    async with core.database.write() as connection:
        await connection.execute(
            tables.artifact.insert().values(
                subdir_id=channel.subdirs["noarch"].id, filename=filename, package="x", status=status, origin="upload",
                sha256=sha256, **values,
            )
        )  # fmt: skip


async def known_blobs(core: Core) -> set[str]:
    async with core.database.read() as connection:
        return set((await connection.execute(select(tables.blob.c.sha256))).scalars())


async def test_an_entry_goes_once_what_superseded_it_is_old(core: Core, channel: Channel) -> None:
    await revise(core, channel, 11, {"a": "a1", "b": "b1", "c": "c1"}, OLD * 3)
    await revise(core, channel, 12, {"a": "a2", "b": "b2"}, OLD)
    await revise(core, channel, 13, {"a": "a3"}, YOUNG)
    assert await collect_entries(core.database, AGE) == 2
    # a2 is what clients of six days ago still have; c1 is the newest of its name, however old.
    assert await entries(core) == {("a", 12), ("a", 13), ("b", 12), ("c", 11)}
    assert await collect_entries(core.database, AGE) == 0


async def test_a_name_that_left_is_remembered_as_gone(core: Core, channel: Channel) -> None:
    await revise(core, channel, 11, {"a": "a1"}, OLD * 2)
    await revise(core, channel, 12, {"a": None}, OLD)
    assert await collect_entries(core.database, AGE) == 1
    assert await entries(core) == {("a", 12)}


async def test_entries_of_another_subdir_supersede_nothing(core: Core, channel: Channel) -> None:
    await core.channels.create("test", ChannelName("other"), ChannelKind.HOSTED)
    async with core.database.read() as connection:
        other = next(one for one in await read_channels(connection) if one.name == "other")
    await revise(core, channel, 11, {"a": "a1"}, OLD * 2)
    await revise(core, other, 12, {"a": "a2"}, OLD)
    assert await collect_entries(core.database, AGE) == 0


async def test_an_old_shard_that_no_map_names_goes(core: Core, channel: Channel) -> None:
    await add_shards(core, "published", "offered", "unnamed", age=OLD)
    await add_shards(core, "young", age=YOUNG)
    await revise(core, channel, 11, {"a": "published"}, OLD)
    async with core.database.write() as connection:
        number = await source_subdir_id(connection, channel.sources[0].id, "noarch")
        await save_source_shards(connection, number, {"b": (b"fingerprint", digest_of("offered"))})
    assert await collect_shards(core.database, AGE) == 1
    assert await shards(core) == {"published", "offered", "young"}


async def test_a_shard_goes_with_the_last_entry_that_named_it(core: Core, channel: Channel) -> None:
    await add_shards(core, "a1", "a2", age=OLD * 2)
    await revise(core, channel, 11, {"a": "a1"}, OLD * 2)
    await revise(core, channel, 12, {"a": "a2"}, OLD)
    assert await collect_shards(core.database, AGE) == 0
    await collect_entries(core.database, AGE)
    assert await collect_shards(core.database, AGE) == 1
    assert await shards(core) == {"a2"}


async def test_a_shard_that_is_saved_again_becomes_young(core: Core) -> None:
    await add_shards(core, "again", "once", age=OLD)
    async with core.database.write() as connection:
        await save_shards(connection, {digest_of("again"): b"body"})
    assert await collect_shards(core.database, AGE) == 1
    assert await shards(core) == {"again"}


async def test_an_old_blob_that_nothing_lists_goes_with_its_file(core: Core, channel: Channel) -> None:
    active, yanked, deleted, unnamed = [await add_blob(core, body, OLD) for body in (b"1", b"2", b"3", b"4")]
    young = await add_blob(core, b"5", YOUNG)
    await add_artifact(core, channel, "active-1-0.conda", active)
    await add_artifact(core, channel, "yanked-1-0.conda", yanked, "yanked")
    await add_artifact(core, channel, "deleted-1-0.conda", deleted, "deleted")
    assert await collect_blobs(core.database, core.store, AGE) == 2
    assert await known_blobs(core) == set(core.store.iter_digests()) == {active, yanked, young}
    assert core.store.find(unnamed) is None


async def test_bytes_that_one_channel_deleted_and_another_lists_stay(core: Core, channel: Channel) -> None:
    shared = await add_blob(core, b"shared", OLD)
    await add_artifact(core, channel, "gone-1-0.conda", shared, "deleted")
    await add_artifact(core, channel, "here-1-0.conda", shared)
    assert await collect_blobs(core.database, core.store, AGE) == 0
    assert core.store.find(shared) is not None


async def test_a_rendered_document_stays_while_it_is_the_newest(core: Core, channel: Channel) -> None:
    rendered, former = await add_blob(core, b"rendered", OLD), await add_blob(core, b"former", OLD)
    async with core.database.write() as connection:
        await connection.execute(
            tables.document.insert().values(
                channel_id=channel.id, subdir="noarch", name="repodata.json", revision=1, sha256=rendered,
                size_bytes=8, created_at=ago(OLD),
            )
        )  # fmt: skip
    assert await collect_blobs(core.database, core.store, AGE) == 1
    assert core.store.find(rendered) is not None
    assert core.store.find(former) is None


async def test_a_file_that_no_row_names_goes_when_it_is_old(core: Core) -> None:
    """A process was killed between the rename and the commit."""
    stray = await add_blob(core, b"stray", OLD, is_known=False)
    fresh = await add_blob(core, b"fresh", timedelta(0), is_known=False)
    assert await collect_blobs(core.database, core.store, AGE) == 1
    assert (core.store.find(stray), core.store.find(fresh)) == (None, core.store.path(fresh))


async def test_a_row_whose_file_is_gone_already_goes_as_well(core: Core) -> None:
    core.store.remove(await add_blob(core, b"lost", OLD))
    assert await collect_blobs(core.database, core.store, AGE) == 1
    assert await known_blobs(core) == set()

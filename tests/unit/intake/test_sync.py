"""Syncs of one subdir on both databases, from a folder as upstream."""

import json
import os
from pathlib import Path

import pytest

from headgate.bootstrap import Services
from headgate.channels import mirrors
from headgate.channels.model import Channel, ChannelKind
from headgate.channels.sources import read_offers
from headgate.conda import reading
from headgate.conda.names import ArtifactName, ChannelName, Sha256, Subdir
from headgate.conda.repodata import Repodata, split_repodata
from headgate.delivery.located import Located
from headgate.delivery.sources import Landing
from headgate.http.client import Outgoing
from headgate.intake import upstream
from headgate.intake.failover import MirrorReader
from headgate.intake.sync import Outcome, sync_subdir
from headgate.intake.upstream import UpstreamReader

NOARCH = Subdir("noarch")


class Killed(Exception):
    """Stands for the end of the process."""


class Mirror:
    """A mirror channel and the folder that it follows."""

    def __init__(self, services: Services, folder: Path, channel: Channel) -> None:
        self._services = services
        self._outgoing = Outgoing(file_roots=[folder])
        self._folder = folder
        self.channel = channel

    def write(self, *names: str) -> None:
        records = {
            f"{name}-1-0.conda": {"name": name, "version": "1", "build": "0", "sha256": "ab" * 32} for name in names
        }
        (self._folder / "noarch").mkdir(exist_ok=True)
        path = self._folder / "noarch" / "repodata.json"
        path.write_text(json.dumps({"info": {}, "packages": {}, "packages.conda": records}))

    async def sync(self, *, dies_at: str | None = None) -> Outcome:
        async def progress(step: str, done: int, total: int) -> None:
            if dies_at is not None and dies_at in step:
                raise Killed

        await self._services.snapshots.reload()
        self.channel = self._services.catalog.get(self.channel.name)
        source = self.channel.sources[0]
        scratch = self._services.core.store.folder.scratch
        route = self._services.routes.of(source)
        reader = MirrorReader([UpstreamReader(self._outgoing, route.urls[0], NOARCH, scratch)], route.keep_base)
        return await sync_subdir(self._services.core.database, self.channel, source, NOARCH, reader, progress)

    async def offered(self) -> set[str]:
        async with self._services.core.database.read() as connection:
            return set(await read_offers(connection, self.channel.sources[0], NOARCH, None))


@pytest.fixture
async def mirror(services: Services, tmp_path: Path) -> Mirror:
    folder = tmp_path / "upstream"
    folder.mkdir()
    name = ChannelName("follower")
    await services.core.channels.create("tests", name, ChannelKind.MIRROR)
    await services.core.mirrors.add("tests", name, mirrors.Mirror(None, (folder.as_uri(),)))
    await services.snapshots.reload()
    return Mirror(services, folder, services.catalog.get(name))


async def cache(services: Services, channel: Channel, filename: str) -> None:
    """Write down that the mirror holds the bytes of a file."""
    digest = "ab" * 32
    store = services.core.store
    store.path(Sha256(digest)).parent.mkdir(parents=True, exist_ok=True)
    store.path(Sha256(digest)).write_bytes(b"")
    artifact = ArtifactName.parse(filename)
    record = {"name": artifact.name, "version": "1", "build": "0", "sha256": digest}
    located = Located(channel, channel.subdirs["noarch"], artifact, record, Sha256(digest), 0)
    await Landing(services.core.database, store)(located, 0)


async def test_what_is_cached_stays_listed_when_the_upstream_removes_it_unless_told_otherwise(
    mirror: Mirror, services: Services
) -> None:
    mirror.write("a", "b")
    await mirror.sync()
    await services.snapshots.reload()
    await cache(services, services.catalog.get(mirror.channel.name), "a-1-0.conda")
    mirror.write("c")
    await mirror.sync()
    assert await mirror.offered() == {"a", "c"}
    await services.core.channels.set("tests", mirror.channel.name, settings={"is_keeping_cached": False})
    await mirror.sync()
    assert await mirror.offered() == {"c"}


async def test_a_sync_follows_what_changed_and_asks_conditionally(mirror: Mirror) -> None:
    mirror.write("a", "b")
    assert await mirror.sync() == Outcome("changed", changed=2)
    assert await mirror.sync() == Outcome("unchanged")
    mirror.write("b", "c")
    assert await mirror.sync() == Outcome("changed", changed=1, removed=1)
    assert await mirror.offered() == {"b", "c"}


@pytest.mark.parametrize("step", ["names", "publishing"])
async def test_a_killed_sync_never_lets_a_later_one_believe_that_nothing_changed(mirror: Mirror, step: str) -> None:
    mirror.write("a", "b")
    await mirror.sync()
    stamp = (path := mirror._folder / "noarch" / "repodata.json").stat()
    first = path.read_bytes()
    mirror.write("b", "c")
    with pytest.raises(Killed):
        await mirror.sync(dies_at=step)
    # The upstream goes back to the very file of the last whole sync.
    path.write_bytes(first)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    await mirror.sync()
    assert await mirror.offered() == {"a", "b"}


async def test_the_next_document_is_read_by_the_outline_of_the_last(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "_LARGE_BYTES", 0)
    names = [f"p{n:03}" for n in range(300)]
    mirror.write(*names)
    assert await mirror.sync() == Outcome("changed", 300, 0)
    texts: list[bytes] = []

    def split(text: bytes) -> Repodata:
        texts.append(bytes(text))
        return split_repodata(text)

    monkeypatch.setattr(reading, "split_repodata", split)
    mirror.write(*names[1:], "q")
    assert await mirror.sync() == Outcome("changed", 1, 1)
    assert max(map(len, texts)) < 500
    assert await mirror.offered() == {*names[1:], "q"}


async def test_what_a_killed_sync_has_stored_is_compared_with_the_document_and_not_with_its_outline(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "_LARGE_BYTES", 0)
    mirror.write("a", "b")
    await mirror.sync()
    mirror.write("a", "c")
    with pytest.raises(Killed):
        await mirror.sync(dies_at="publishing")
    mirror.write("a", "b")
    assert (await mirror.sync()).state == "changed"
    assert await mirror.offered() == {"a", "b"}

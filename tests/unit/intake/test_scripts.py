"""What mirrors learn of install scripts: from an upstream's channeldata.json, and from the archives of cached files."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from headgate.bootstrap import Services
from headgate.channels import mirrors
from headgate.channels.catalog import get_channel
from headgate.channels.model import Channel, ChannelKind
from headgate.channels.policing import Target
from headgate.channels.revising import find_stale, revise_subdir
from headgate.channels.revisions import read_world
from headgate.channels.why import explain_file
from headgate.conda.archives import ArchiveLimits
from headgate.conda.names import ArtifactName, ChannelName, Sha256, Subdir
from headgate.conda.shards import decode_stored
from headgate.delivery.located import Located
from headgate.delivery.sources import Landing
from headgate.http.client import Outgoing
from headgate.intake.failover import MirrorReader
from headgate.intake.scripts import learn_scripts, look_into_cached
from headgate.intake.sync import sync_subdir
from headgate.intake.upstream import UpstreamReader
from headgate.kernel.errors import Invalid
from tests.packages import archive, package

NAME, NOARCH = ChannelName("follower"), Subdir("noarch")
NONE = dict.fromkeys(("activate.d", "deactivate.d", "post_link", "pre_link", "pre_unlink"), False)
PACKAGES = dict([package("plain"), archive("linked", {"bin/.linked-post-link.sh": b"true\n"})])


class Mirror:
    """A mirror of a folder, held back by a rule on install scripts."""

    def __init__(self, services: Services, folder: Path) -> None:
        self._services = services
        self._database = services.core.database
        self._folder = folder

    def write(self, files: dict[str, bytes]) -> None:
        """Let the upstream list these files."""
        records = {}
        for filename, body in files.items():
            name, version, build = filename.removesuffix(".conda").rsplit("-", 2)
            digest = hashlib.sha256(body).hexdigest()
            records[filename] = {
                "name": name, "version": version, "build": build, "sha256": digest, "size": len(body),
            }  # fmt: skip
        (self._folder / "noarch").mkdir(exist_ok=True)
        document = {"info": {}, "packages": {}, "packages.conda": records}
        (self._folder / "noarch" / "repodata.json").write_text(json.dumps(document))

    def say(self, packages: Any) -> None:
        """Let the upstream's channeldata.json say this of packages."""
        (self._folder / "channeldata.json").write_text(json.dumps({"channeldata_version": 1, "packages": packages}))

    async def sync(self) -> int:
        """As the job does it: the subdir, then channeldata.json; of how many packages that said something new."""
        channel = await self.channel()
        source = channel.sources[0]
        await self._services.snapshots.reload()
        route = self._services.routes.of(source)
        scratch = self._services.core.store.folder.scratch
        upstream = UpstreamReader(Outgoing(file_roots=[self._folder]), route.urls[0], NOARCH, scratch)
        reader = MirrorReader([upstream], route.keep_base)

        async def progress(step: str, done: int, total: int) -> None:
            assert done <= total, step

        await sync_subdir(self._database, channel, source, NOARCH, reader, progress)
        return await learn_scripts(self._database, source, reader)

    async def channel(self) -> Channel:
        async with self._database.read() as connection:
            return await get_channel(connection, NAME)

    async def fetch(self, filename: str, body: bytes) -> None:
        """Write down that a file was fetched, as the chain of delivery does."""
        channel, digest = await self.channel(), Sha256(hashlib.sha256(body).hexdigest())
        path = self._services.core.store.path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        artifact = ArtifactName.parse(filename)
        located = Located(channel, channel.subdirs["noarch"], artifact, {"sha256": str(digest)}, digest, len(body))
        await Landing(self._database, self._services.core.store)(located, len(body))

    async def look(self) -> int:
        return await look_into_cached(self._database, self._services.core.store, ArchiveLimits(), 10)

    async def listed(self) -> set[str]:
        await self._services.snapshots.reload()
        digests = (await self._services.maps.get((await self.channel()).subdirs["noarch"])).digests.values()
        bodies = await self._services.shards.find_many(list(digests))
        return {filename for body in bodies.values() for filename, _ in decode_stored(body).records()}

    async def why(self, filename: str) -> str:
        async with self._database.read() as connection:
            world = await read_world(connection)
        told = await explain_file(self._database, world, await self.channel(), filename)
        return " ".join(reason.fact for one in told for reason in one.verdict.reasons)


@pytest.fixture
async def mirror(services: Services, tmp_path: Path) -> Mirror:
    folder = tmp_path / "upstream"
    folder.mkdir()
    await services.core.channels.create("tests", NAME, ChannelKind.MIRROR)
    await services.core.mirrors.add("tests", NAME, mirrors.Mirror(None, (folder.as_uri(),)))
    found = Mirror(services, folder)
    found.write(PACKAGES)
    return found


async def enforce(services: Services, **terms: str) -> None:
    rule = {"kind": "install-scripts", "action": "block", **terms}
    await services.core.policies.apply("tests", {"name": "scripts", "rule": [rule]})
    await services.core.policies.attach("tests", "scripts", Target(channel=NAME))


async def test_channeldata_of_the_upstream_tells_and_is_followed(mirror: Mirror, services: Services) -> None:
    await enforce(services)
    assert await mirror.sync() == 0
    assert await mirror.listed() == set(), "nothing is known"
    assert "It is not known whether it has install scripts" in await mirror.why("plain-1.0-0.conda")
    mirror.say({"plain": NONE, "linked": NONE | {"post_link": True}, "half": {"post_link": False}, "far": NONE})
    assert await mirror.sync() == 3, "who says it of some flags only, says nothing"
    assert await mirror.listed() == {"plain-1.0-0.conda"}
    assert "Its upstream says that linked runs scripts: post-link." in await mirror.why("linked-1.0-0.conda")
    assert await mirror.sync() == 0
    mirror.say({"plain": NONE | {"activate.d": True}, "linked": NONE})
    assert await mirror.sync() == 3
    assert await mirror.listed() == {"linked-1.0-0.conda"}


async def test_nothing_is_asked_while_no_policy_asks(mirror: Mirror) -> None:
    mirror.say({"plain": "no table"})
    assert await mirror.sync() == 0
    await mirror.fetch(*next(iter(PACKAGES.items())))
    assert await mirror.look() == 0


async def test_channeldata_that_makes_no_sense_changes_nothing(mirror: Mirror, services: Services) -> None:
    await enforce(services)
    mirror.say({"plain": NONE})
    await mirror.sync()
    mirror.say({"plain": "no table"})
    with pytest.raises(Invalid, match="channeldata"):
        await mirror.sync()
    assert await mirror.listed() == {"plain-1.0-0.conda"}


async def test_archive_of_a_fetched_file_is_surer_than_what_its_upstream_says(
    mirror: Mirror, services: Services
) -> None:
    await enforce(services, unknown="pass")
    mirror.say({"linked": NONE})
    await mirror.sync()
    assert await mirror.listed() == PACKAGES.keys()
    for filename, body in PACKAGES.items():
        await mirror.fetch(filename, body)
    assert await mirror.look() == 2
    assert await mirror.listed() == {"plain-1.0-0.conda"}
    assert "It runs scripts: post-link." in await mirror.why("linked-1.0-0.conda")
    assert await mirror.look() == 0, "each is read once"


async def test_archive_that_cannot_be_read_stays_unknown(mirror: Mirror, services: Services) -> None:
    await enforce(services)
    mirror.write({"odd-1.0-0.conda": b"not a zip"})
    await mirror.sync()
    await mirror.fetch("odd-1.0-0.conda", b"not a zip")
    assert (await mirror.look(), await mirror.look()) == (1, 0)
    assert await mirror.listed() == set()


async def test_much_news_is_left_to_the_job(
    mirror: Mirror, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgate.channels.revising.MOST_AT_ONCE", 1)
    await enforce(services)
    database = services.core.database
    await mirror.sync()
    await revise_subdir(database, NAME, "noarch")
    mirror.say(dict.fromkeys(("plain", "linked"), NONE))
    await mirror.sync()
    assert await mirror.listed() == set()
    async with database.read() as connection:
        assert [one.subdir for one in await find_stale(connection, await read_world(connection))] == ["noarch"]
    await revise_subdir(database, NAME, "noarch")
    assert await mirror.listed() == PACKAGES.keys()

"""Bundles made and taken in without a server: two data folders, and a key."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from headgate.airgap.container import PartsWriter, opening
from headgate.airgap.exporting import Prepared
from headgate.airgap.exports import Exports
from headgate.airgap.importing import Imported
from headgate.airgap.keys import generate_key, load_private_key, sign
from headgate.airgap.manifest import Selection
from headgate.bootstrap import Place, Services, build_services
from headgate.carrying import build_importer, opened_exporter
from headgate.channels.model import ChannelKind
from headgate.conda.names import ArtifactName, ChannelName, Subdir
from headgate.conda.shards import Shard, decode_stored
from headgate.intake.hosted import delete
from tests.packages import package

Packages = Sequence[tuple[str, bytes]]


async def quiet(step: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


@dataclass
class Side:
    """One side of the gap."""

    services: Services
    key: Path
    trusted: dict[str, str] = field(default_factory=dict)

    @classmethod
    async def open(cls, place: Place, key: Path) -> "Side":
        """Start a side that signs with the key, made when it is not there."""
        place.folder.create()
        public = generate_key(key) if not key.exists() else key.with_name(f"{key.name}.pub").read_text().split()[1]
        side = cls(build_services(place), key, {"them": public})
        await side.services.start()
        return side

    async def create(self, name: str, packages: Packages = ()) -> None:
        """A hosted channel with these files."""
        await self.services.core.channels.create("test", ChannelName(name), ChannelKind.HOSTED)
        await self.upload(name, packages)

    async def upload(self, name: str, packages: Packages) -> None:
        """Put files into a hosted channel."""
        await self.services.snapshots.reload()
        channel = self.services.catalog.get(name)
        for filename, body in packages:

            async def pieces(body: bytes = body):
                yield body

            await self.services.uploads.take("test", channel, filename, pieces())

    async def delete(self, name: str, subdir: str, filename: str) -> None:
        """Delete a file of a hosted channel."""
        channel = self.services.catalog.get(name)
        await self.services.hosted.submit(channel, delete("test", Subdir(subdir), ArtifactName.parse(filename)))

    async def export(
        self,
        name: str,
        target: Path,
        *,
        since: bytes | None = None,
        selection: Selection | None = None,
        part_bytes: int | None = None,
    ) -> bytes:
        """Write a signed bundle; its manifest."""
        core, export_id = self.services.core, uuid4().hex
        await self.prepare(name, selection or Selection(), since, export_id)
        exports = Exports(core.store)
        export = exports.open(export_id)
        with PartsWriter(target, part_bytes) as writer:
            writer.write(opening(export.data, sign(load_private_key(self.key), export.data)))
            async for piece in exports.iter_content(export):
                writer.write(piece)
            writer.commit()
        return export.data

    async def prepare(
        self, name: str, selection: Selection, since: bytes | None = None, export_id: str | None = None
    ) -> Prepared:
        """Prepare an export; what it came to."""
        async with opened_exporter(self.services.core) as exporter:
            return await exporter.prepare("test", export_id or uuid4().hex, name, selection, since, quiet)

    async def take(self, *parts: Path, channel: str | None = None, trusted: dict[str, str] | None = None) -> Imported:
        """Take a bundle in."""
        importer = build_importer(self.services.core)
        return await importer.take("test", parts, self.trusted if trusted is None else trusted, channel, quiet)

    async def digests(self, name: str) -> dict[str, dict[str, bytes]]:
        """subdir -> name -> digest of the published shard, of subdirs that have any."""
        await self.services.snapshots.reload()
        channel = self.services.catalog.find(name)
        found = {}
        for subdir, state in sorted((channel.subdirs if channel else {}).items()):
            found[subdir] = dict((await self.services.maps.get(state)).digests)
        return {subdir: names for subdir, names in found.items() if names}

    async def shard(self, name: str, subdir: str, package_name: str) -> Shard:
        """A published shard."""
        digest = (await self.digests(name))[subdir][package_name]
        body = await self.services.shards.find(digest)
        assert body is not None
        return decode_stored(body)


def team() -> Packages:
    """A few packages in two subdirs, one of which depends on another."""
    return [
        package("app", depends=["lib >=2", "plain"], noarch="generic"),
        package("plain", extension=".tar.bz2", noarch="generic"),
        package("lib", "1.0", subdir="linux-64"),
        package("lib", "2.0", subdir="linux-64", content=b"two" * 1000),
        package("other", subdir="linux-64"),
    ]

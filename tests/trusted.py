"""An upstream that is signed, and a mirror that follows it: what a mirror believes, told from inside."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headgate.bootstrap import Services
from headgate.channels import mirrors
from headgate.channels.documents import Renderer
from headgate.channels.model import ChannelKind
from headgate.channels.revisions import read_world
from headgate.channels.sources import read_published
from headgate.channels.why import explain_file
from headgate.conda.attestations import TrustRoot
from headgate.conda.content_trust import (
    KEY_MGR,
    PKG_MGR,
    ROOT,
    Delegation,
    canonical,
    describe,
    envelop,
    explain_signatures,
    public_of,
    sign,
)
from headgate.conda.names import ChannelName, Subdir
from headgate.http.client import Outgoing
from headgate.intake.failover import MirrorReader
from headgate.intake.sync import sync_subdir
from headgate.intake.upstream import UpstreamReader
from headgate.policy.proofs import Proof

FOLLOWER, SHOWN = ChannelName("follower"), ChannelName("shown")
NOARCH, LINUX = Subdir("noarch"), Subdir("linux-64")
ONE, TWO = "one-1.0-0.conda", "two-1.0-0.conda"


def record(filename: str, **more: Any) -> dict[str, Any]:
    name, version, build = filename.removesuffix(".conda").rsplit("-", 2)
    plain = {"name": name, "version": version, "build": build, "build_number": 0, "depends": [], "subdir": "noarch"}
    return plain | {"sha256": hashlib.sha256(filename.encode()).hexdigest(), "size": 10, "license": "MIT"} | more


@dataclass
class Upstream:
    """A folder that is signed by keys of its own, and syncs of it."""

    services: Services
    folder: Path
    root: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    manager: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    packages: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    ends_at: datetime = field(default_factory=lambda: datetime.now(UTC) + timedelta(days=30))

    def metadata(self, kind: str, version: int, signers: list[Ed25519PrivateKey], **named: Ed25519PrivateKey) -> bytes:
        delegations = {role: Delegation((public_of(key),), 1) for role, key in named.items()}
        return envelop(describe(kind, version, datetime.now(UTC), self.ends_at, delegations), signers)

    def first_root(self) -> bytes:
        return self.metadata(ROOT, 1, [self.root], **{ROOT: self.root, KEY_MGR: self.manager})

    def write_trust(self, version: int = 1) -> None:
        body = self.metadata(KEY_MGR, version, [self.manager], **{PKG_MGR: self.packages})
        (self.folder / "key_mgr.json").write_bytes(body)

    def write(
        self, records: Mapping[str, dict[str, Any]], signatures: Mapping[str, Any], subdir: Subdir = NOARCH
    ) -> None:
        (self.folder / subdir).mkdir(exist_ok=True)
        document = {"info": {}, "packages": {}, "packages.conda": records, "signatures": signatures}
        (self.folder / subdir / "repodata.json").write_text(json.dumps(document))

    def signed(self, one: Mapping[str, Any]) -> dict[str, Any]:
        return {public_of(self.packages): sign(self.packages, dict(one))}

    async def follow(self, **signatures: Any) -> None:
        settings = {"signatures": {"root": self.first_root().decode()} | signatures}
        whole = mirrors.new("main", [self.folder.as_uri()], None, {"settings": settings})
        await self.services.core.channels.create("tests", FOLLOWER, ChannelKind.MIRROR)
        await self.services.core.mirrors.add("tests", FOLLOWER, whole)
        await self.services.core.channels.create("tests", SHOWN, ChannelKind.VIRTUAL, members=[FOLLOWER])
        await self.services.snapshots.reload()

    async def change(self, section: str, **values: Any) -> None:
        await self.services.core.mirrors.set("tests", FOLLOWER, "main", {"settings": {section: values}})

    async def sync(self, subdir: Subdir = NOARCH, root: TrustRoot | None = None) -> None:
        await self.services.snapshots.reload()
        channel = self.services.catalog.get(FOLLOWER)
        source = channel.sources[0]
        scratch = self.services.core.store.folder.scratch
        reader = UpstreamReader(Outgoing(file_roots=[self.folder]), self.folder.as_uri(), subdir, scratch)
        if source.settings.signatures.is_signed:
            reader = reader.of_documents()
        following = MirrorReader([reader], self.services.routes.of(source).keep_base)
        await sync_subdir(self.services.core.database, channel, source, subdir, following, _ignore, root)
        await self.services.snapshots.reload()

    async def proofs(self, filename: str, channel: ChannelName = FOLLOWER) -> tuple[Proof, Proof]:
        """Of its signature and of its attestation."""
        database = self.services.core.database
        async with database.read() as connection:
            world = await read_world(connection)
        found = next(one for one in world.channels.values() if one.name == channel)
        (told,) = [one for one in await explain_file(database, world, found, filename) if one.channel == channel]
        return told.signature, told.attestation

    async def offered(self, subdir: Subdir = NOARCH) -> set[str]:
        channel = self.services.catalog.get(FOLLOWER)
        async with self.services.core.database.read() as connection:
            return set(await read_published(connection, channel.id, subdir, None))

    async def document(self, channel: ChannelName = FOLLOWER) -> dict[str, Any]:
        renderer = Renderer(self.services.core.database, self.services.core.store)
        rendered = await renderer.render(channel, "noarch", "repodata.json")
        found: dict[str, Any] = json.loads(self.services.core.store.path(rendered.sha256).read_bytes())
        return found


async def _ignore(step: str, done: int, total: int) -> None:
    pass


def is_true_to(upstream: Upstream, document: Mapping[str, Any], filename: str) -> bool:
    """Whether conda would take the record for signed."""
    wanted = Delegation((public_of(upstream.packages),), 1)
    message = canonical(document["packages.conda"][filename])
    return explain_signatures(message, document["signatures"][filename], wanted)[1] == ""

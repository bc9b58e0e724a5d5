"""Taking a bundle in: verified, staged where nobody sees it, then landed in one transaction.

    verify signature -> check the chain -> stage shards and files (each verified) -> look who vouches -> land (once)

What a killed import had staged is found by the next attempt, which steps over it; nothing was visible.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.airgap.advisories import ArrivingAdvisories
from headgate.airgap.container import members_of
from headgate.airgap.landing import Cargo, Head, land, read_head
from headgate.airgap.listing import iter_files
from headgate.airgap.manifest import ADVISORIES_SECTION, Manifest, Name, title
from headgate.airgap.papers import MAX_PAPER_BYTES, TRUST_SECTION
from headgate.airgap.reading import BundleReader, Member, Signed
from headgate.airgap.trust import read_trusted
from headgate.airgap.vouching import Examiner, Vouched
from headgate.channels.catalog import find_channel
from headgate.channels.proofs import save_sidecar
from headgate.channels.shards import save_shards
from headgate.channels.sources import read_source_shards, source_subdir_id
from headgate.conda.attestations import TrustRoot
from headgate.conda.names import ChannelName
from headgate.conda.shards import decode_shard
from headgate.db.engine import Database
from headgate.intake.sync import Progress
from headgate.kernel.errors import Conflict, Invalid
from headgate.kernel.threads import finish_in_thread
from headgate.storage.local import BlobBatch, BlobStore

_STAGED_BYTES = 32 << 20
# Each file of a batch stays open until the end of it.
_STAGED_MEMBERS = 256


@dataclass(frozen=True, slots=True)
class Imported:
    """What a bundle came to: `changed` names differ; `is_new` is False when the channel had taken it in already.

    `attestations` and `signatures` are those that are good here as well; of the `failed` ones, `failures` says some.
    """

    channel: str
    bundle: str
    number: int
    is_new: bool
    changed: int = 0
    files: int = 0
    attestations: int = 0
    signatures: int = 0
    failed: int = 0
    failures: tuple[str, ...] = ()
    told_of_advisories: str = ""
    """What became of the advisories that it brings; empty when it brings none."""
    policy: str = ""
    """The policy of the other side that let pass what it brings, and its version; empty when none was asked."""

    def told_besides(self) -> list[str]:
        """Sentences on who vouches for what came, and on its advisories; none when there is neither."""
        good = [f"{self.attestations} attestations and {self.signatures} signatures are good."]
        bad = [f"{self.failed} are not: {'; '.join(self.failures)}"]
        told = [self.told_of_advisories] if self.told_of_advisories else []
        told += [f"It holds what policy {self.policy} let pass."] if self.policy else []
        return (good if self.attestations or self.signatures else []) + (bad if self.failed else []) + told


class Importer:
    """Takes bundles in; their attestations are checked against `root`."""

    def __init__(self, database: Database, store: BlobStore, root: TrustRoot) -> None:
        self._database = database
        self._store = store
        self._root = root

    async def take(
        self, actor: str, parts: Sequence[Path], trusted: Mapping[str, str], channel: str | None, progress: Progress
    ) -> Imported:
        """Bring a channel (the manifest's own unless named) to the state that a bundle tells.

        Raises Refused `bundle-untrusted`; Invalid `bundle-…` for a bundle that is damaged or cut short; Conflict
        `bundle-gap`, `bundle-order`, `bundle-old`, `bundle-state-differs`, `bundle-incomplete`, `kind-unfit`.
        """
        reader = await finish_in_thread(BundleReader, parts)
        arriving = ArrivingAdvisories(self._store.folder)
        try:
            with reader:
                signed = await finish_in_thread(reader.verify, trusted)
                name = ChannelName.parse(channel or signed.manifest.channel)
                if await self._has_taken(name, signed):
                    return Imported(name, signed.id, signed.manifest.number, is_new=False)
                staging = _Staging(self._store, signed.manifest, reader.members(signed), arriving)
                await self._stage(staging, signed, progress)
            return await self._land(actor, name, signed, staging, progress)
        finally:
            arriving.drop()

    async def _land(
        self, actor: str, name: ChannelName, signed: Signed, staging: "_Staging", progress: Progress
    ) -> Imported:
        """Let all that was staged be seen, at once."""
        told = staging.sections.get(TRUST_SECTION)
        vouched = await Examiner(self._database, self._root, signed.manifest, staging.signatures, told).examine(name)
        await progress(f"{signed.title}: publishing", 0, 1)
        async with self._database.write() as connection:
            found = await find_channel(connection, name)
            if _is_taken(await read_head(connection, found), signed):
                return Imported(name, signed.id, signed.manifest.number, is_new=False)
            await _check_kept(connection, found.sources[0].id if found else None, signed.manifest)
            changed = await land(connection, self._store, actor, name, _cargo(signed, vouched))
            about_advisories = await _hand_on(connection, staging.arriving, signed)
        await progress(f"{signed.title}: published", 1, 1)
        return Imported(
            name,
            signed.id,
            signed.manifest.number,
            is_new=True,
            changed=changed,
            files=len(signed.manifest.files()),
            attestations=vouched.attestations,
            signatures=vouched.verified,
            failed=vouched.failed,
            failures=tuple(vouched.failures),
            told_of_advisories=about_advisories,
            policy=signed.manifest.policy_title,
        )

    async def _has_taken(self, name: ChannelName, signed: Signed) -> bool:
        async with self._database.read() as connection:
            return _is_taken(await read_head(connection, await find_channel(connection, name)), signed)

    async def _stage(self, staging: "_Staging", signed: Signed, progress: Progress) -> None:
        """Store what the bundle brings, under digests that nothing names yet."""
        total = sum(1 for _ in members_of(signed.manifest))
        while await finish_in_thread(staging.advance):
            if staging.shards or staging.sidecars:
                async with self._database.write() as connection:
                    await save_shards(connection, staging.shards)
                    for digest, body in staging.sidecars.items():
                        await save_sidecar(connection, digest, body)
                staging.shards.clear()
                staging.sidecars.clear()
            await progress(f"{signed.title}: reading", staging.done, total)


@dataclass(slots=True)
class _Staging:
    """Works through the members in a thread, some at a time; `shards` and `sidecars` wait to be saved.

    `signatures` and `sections` stay in memory until all is there.
    """

    store: BlobStore
    manifest: Manifest
    members: Iterator[Member]
    arriving: ArrivingAdvisories
    done: int = 0
    shards: dict[bytes, bytes] = field(default_factory=dict)
    sidecars: dict[str, bytes] = field(default_factory=dict)
    signatures: dict[str, bytes] = field(default_factory=dict)
    sections: dict[str, bytes] = field(default_factory=dict)
    _signed: set[str] = field(default_factory=set)
    _listed: dict[str, list[tuple[str, Name]]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for subdir in self.manifest.subdirs.values():
            for name, entry in subdir.names.items():
                self._listed[entry.shard].append((name, entry))
                if entry.signatures is not None:
                    self._signed.add(entry.signatures)

    def advance(self) -> int:
        """Take some more members; how many."""
        count, taken_bytes = 0, 0
        with self.store.batch() as batch:
            for member in islice(self.members, _STAGED_MEMBERS):
                self._take(member, batch)
                count += 1
                taken_bytes += member.size_bytes
                if taken_bytes > _STAGED_BYTES:
                    break
            if len(batch):
                batch.commit()
        self.done += count
        return count

    def _take(self, member: Member, batch: BlobBatch) -> None:
        match member.kind:
            case "shards":
                self._take_shard(member)
            case "files":
                self._take_file(member, batch)
            case "papers":
                self._take_paper(member)
            case _ if member.name == TRUST_SECTION:
                self.sections[member.name] = member.read()
            case _ if member.name == ADVISORIES_SECTION:
                self.arriving.lay_aside(member.pieces())
            case _:
                member.read()  # verified, and of no use to this version

    def _take_shard(self, member: Member) -> None:
        body = member.read()
        shard = decode_shard(body)
        found = {sha256 for _, sha256, _ in iter_files(shard)}
        for name, entry in self._listed[member.sha256]:
            if shard.find_foreign(name) or found != entry.digests():
                raise Invalid(
                    "bundle-invalid", f"The bundle contradicts itself: the shard of {name} lists other files."
                )
        self.shards[member.sha256.raw] = body

    def _take_paper(self, member: Member) -> None:
        if member.size_bytes > MAX_PAPER_BYTES:
            raise Invalid("bundle-invalid", f"{member.name} of the bundle has more than {MAX_PAPER_BYTES} bytes.")
        kept = self.signatures if member.sha256 in self._signed else self.sidecars
        kept[member.sha256] = member.read()

    def _take_file(self, member: Member, batch: BlobBatch) -> None:
        path = self.store.find(member.sha256)
        if path is not None and path.stat().st_size == member.size_bytes:
            return  # verified when it was stored
        writer = batch.writer()
        for piece in member.pieces():
            writer.write(piece)


async def _hand_on(connection: AsyncConnection, arriving: ArrivingAdvisories, signed: Signed) -> str:
    """Have the advisories read; what somebody says of all channels counts only from a key that the server trusts."""
    if not arriving.has_any:
        return ""
    if signed.key not in (await read_trusted(connection)).values():
        return "Its advisories were left out: the key that signed it is not among those that this server trusts."
    arriving.hand_on()
    return "Its advisories are being read."


def _is_taken(head: Head | None, signed: Signed) -> bool:
    """Whether the channel stands at this very bundle. Raises Conflict when the bundle does not come next."""
    manifest = signed.manifest
    if head is not None and head.bundle == signed.id:
        return True
    if head is not None and signed.id in head.earlier:
        raise Conflict("bundle-old", f"Bundle {signed.title} was taken in before; the channel has moved on since.")
    if not manifest.chain:
        if head is not None and head.key == signed.key and manifest.revision < head.revision:
            raise Conflict("bundle-old", f"Bundle {signed.title} is older than what the channel has.")
        return False
    if head is None or head.bundle != manifest.chain[-1]:
        raise _out_of_order(head, signed)
    return False


def _out_of_order(head: Head | None, signed: Signed) -> Conflict:
    manifest = signed.manifest
    named = [title(manifest.channel, number, one) for number, one in enumerate(manifest.chain)]
    if head is not None and head.bundle not in manifest.chain:
        return Conflict(
            "bundle-order",
            f"Bundle {signed.title} continues {named[-1]}, but the channel stands at #{head.number} "
            f"({head.bundle[:12]}), which is not of that chain. Take in a full bundle, or the increment that fits.",
        )
    missing = named if head is None else named[manifest.chain.index(head.bundle) + 1 :]
    return Conflict(
        "bundle-gap", f"Bundle {signed.title} needs what is missing here: take in {', '.join(missing)} first."
    )


async def _check_kept(connection: AsyncConnection, source_id: int | None, manifest: Manifest) -> None:
    """Raises Conflict `bundle-state-differs` unless the channel has every name that an increment leaves as it was."""
    for subdir, state in manifest.subdirs.items():
        kept = {name: entry.shard for name, entry in state.names.items() if not entry.is_new}
        if not kept:
            continue
        known: dict[str, Any] = {}
        if source_id is not None:
            known = await read_source_shards(connection, await source_subdir_id(connection, source_id, subdir))
        for name, digest in kept.items():
            if name not in known or known[name][1].hex() != digest:
                raise Conflict(
                    "bundle-state-differs",
                    f"The bundle leaves {subdir}/{name} as it was, but this channel has it otherwise. "
                    "Take in a full bundle.",
                )


def _cargo(signed: Signed, vouched: Vouched) -> Cargo:
    manifest = signed.manifest
    judged = f", of what policy {manifest.policy_title} let pass" if manifest.policy_title else ""
    return Cargo(
        bundle=signed.id,
        number=manifest.number,
        revision=manifest.revision,
        key=signed.key,
        subdirs={
            subdir: (state.info, {name: bytes.fromhex(entry.shard) for name, entry in state.names.items()})
            for subdir, state in manifest.subdirs.items()
        },
        cause=f"bundle {signed.title} taken in{judged}",
        vouched=vouched,
    )

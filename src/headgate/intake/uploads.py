"""Uploads: streamed to disk while hashed, read as an archive, and only then given to the channel."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from headgate.channels.model import Channel
from headgate.channels.proofs import Checked
from headgate.conda.archive_members import ArchiveLimits
from headgate.conda.archives import read_archive, to_record
from headgate.conda.attestations import TrustRoot
from headgate.conda.names import ArtifactName, Sha256, Subdir
from headgate.conda.records import stamp
from headgate.intake.attesting import check_attestations
from headgate.intake.hosted import Add, HostedWriter
from headgate.intake.scripts import script_flags
from headgate.kernel import clock
from headgate.kernel.errors import Invalid
from headgate.storage.local import BlobStore, BlobWriter


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What became of an upload; `is_new` is False when the channel had the same bytes already."""

    subdir: Subdir
    artifact: ArtifactName
    sha256: Sha256
    size_bytes: int
    is_new: bool


class Uploads:
    """Takes files for hosted channels."""

    def __init__(self, store: BlobStore, hosted: HostedWriter, limits: ArchiveLimits, root: TrustRoot) -> None:
        self._root = root
        self._store = store
        self._hosted = hosted
        self._limits = limits

    def check_size(self, size_bytes: int) -> None:
        """Raises Invalid `artifact-too-large` for a file of which that many bytes have come, or are announced."""
        if size_bytes > self._limits.max_bytes:
            raise Invalid("artifact-too-large", f"The file is larger than the {self._limits.max_bytes} bytes allowed.")

    async def take(
        self,
        actor: str,
        channel: Channel,
        filename: str,
        body: AsyncIterator[bytes],
        *,
        subdir: Subdir | None = None,
        may_replace_deleted: bool = False,
        attestations: bytes | None = None,
    ) -> Uploaded:
        """Receive a file; when this returns it is in the index.

        `subdir`, when given, must be the one that the archive names; `attestations` is a Sigstore bundle, or a list of
        them, which must prove who attests the file. Raises Invalid `artifact-…` for what is not a sound package of that
        name, Invalid `attestation-…`, Conflict `artifact-exists`, `artifact-deleted` or `kind-unfit`.
        """
        given = Given(actor, channel, ArtifactName.parse(filename), subdir, attestations)
        with self._store.writer() as writer:
            await self._receive(writer, body)
            return await self._add(given, writer, may_replace_deleted=may_replace_deleted)

    async def _receive(self, writer: BlobWriter, body: AsyncIterator[bytes]) -> None:
        async for piece in body:
            self.check_size(writer.size_bytes + len(piece))
            writer.write(piece)

    async def _add(self, given: "Given", writer: BlobWriter, *, may_replace_deleted: bool) -> Uploaded:
        writer.rewind()
        artifact, subdir = given.artifact, given.subdir
        info = await asyncio.to_thread(read_archive, writer.file, artifact, self._limits)
        # Old archives name no subdir; then the uploader has to.
        said = Subdir.parse(str(info.index.get("subdir", subdir or "")))
        if subdir is not None and subdir != said:
            raise Invalid("artifact-subdir-differs", f"{artifact} says that it belongs to {said}, not to {subdir}.")
        attested = await self._attested(given, said, writer.sha256)
        record = to_record(info, size=writer.size_bytes, md5=writer.md5, sha256=str(writer.sha256))
        stamp(record, known_ms=None, first_sync=False, now_ms=clock.now_ms())
        about = info.about | script_flags(info)
        sha256 = await asyncio.to_thread(writer.commit)
        change = Add(
            actor=given.actor,
            subdir=said,
            artifact=artifact,
            sha256=sha256,
            size_bytes=writer.size_bytes,
            record=record,
            about=about,
            store=self._store,
            may_replace_deleted=may_replace_deleted,
            attested=attested,
        )
        is_new = await self._hosted.submit(given.channel, change)
        return Uploaded(said, artifact, sha256, writer.size_bytes, is_new)

    async def _attested(self, given: "Given", subdir: Subdir, sha256: Sha256) -> Checked | None:
        """The attestations, once they are seen to be good. Raises Invalid `attestation-malformed`, `attestation-invalid`."""
        if given.attestations is None:
            return None
        checked = await check_attestations(self._root, given.artifact, subdir, sha256, given.attestations)
        if not checked.attested.is_verified:
            raise Invalid(
                "attestation-invalid",
                f"The attestation of {given.artifact} was refused, and so was the file: {checked.attested.reason}.",
                [checked.attested.reason],
            )
        return checked


@dataclass(frozen=True, slots=True)
class Given:
    """What came with the bytes of an upload."""

    actor: str
    channel: Channel
    artifact: ArtifactName
    subdir: Subdir | None
    attestations: bytes | None

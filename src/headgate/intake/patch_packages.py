"""Patch instructions that come as a package, as conda-forge makes them: `<subdir>/patch_instructions.json` in a noarch one."""

import asyncio
import tarfile
from collections.abc import AsyncIterator
from typing import BinaryIO

from headgate.conda.archive_members import ArchiveLimits, walk_archive
from headgate.conda.names import KNOWN_SUBDIRS, ArtifactName, Subdir
from headgate.kernel.errors import Invalid
from headgate.storage.local import BlobStore

_FILE = "patch_instructions.json"
_MOST_BYTES = 512 << 20
"""Of all instructions of a package together, unpacked: conda-forge's take about 40 MB."""
_LIMITS = ArchiveLimits(max_bytes=256 << 20, max_unpacked_bytes=1 << 30, max_members=10_000)


def read_patch_package(file: BinaryIO, name: ArtifactName) -> dict[Subdir, bytes]:
    """The instructions by subdir. Raises Invalid `patch-package-empty` when there are none, and `artifact-…`."""
    found: dict[Subdir, bytes] = {}

    def visit(path: str, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        subdir, _, last = path.partition("/")
        if last != _FILE or subdir not in KNOWN_SUBDIRS or not member.isreg():
            return
        if member.size + sum(map(len, found.values())) > _MOST_BYTES:
            raise Invalid("artifact-info-too-large", f"{name}: its instructions are larger than is allowed.")
        content = tar.extractfile(member)
        found[Subdir(subdir)] = b"" if content is None else content.read()

    walk_archive(file, name, _LIMITS, visit)
    if not found:
        raise Invalid("patch-package-empty", f"{name} holds no <subdir>/{_FILE}, so there is nothing to patch with.")
    return found


async def receive_patch_package(store: BlobStore, filename: str, body: AsyncIterator[bytes]) -> dict[Subdir, bytes]:
    """The same of a package that is being sent; nothing of it is kept."""
    artifact = ArtifactName.parse(filename)
    with store.writer() as writer:
        async for piece in body:
            if writer.size_bytes + len(piece) > _LIMITS.max_bytes:
                raise Invalid("artifact-too-large", f"The file is larger than the {_LIMITS.max_bytes} bytes allowed.")
            writer.write(piece)
        writer.rewind()
        return await asyncio.to_thread(read_patch_package, writer.file, artifact)

"""Reading a bundle: the signature first, then each member as the manifest promises it, and not a byte besides.

opened --verified by a trusted key--> members, one after the other --> the end
"""

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from headgate.airgap.container import (
    BLOCK,
    MANIFEST,
    SIGNATURE,
    PartsReader,
    bundle_bytes,
    ending,
    find_parts,
    member_head,
    members_of,
    padding,
)
from headgate.airgap.keys import SIGNATURE_BYTES, find_signer
from headgate.airgap.manifest import MAX_MANIFEST_BYTES, Manifest, decode_manifest, manifest_id, title
from headgate.conda.names import Sha256
from headgate.kernel.errors import Invalid

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Signed:
    """A manifest that a trusted key has signed; `id` names the bundle, `key` the signer by its hexadecimal digits."""

    manifest: Manifest
    id: Sha256
    key: str

    @property
    def title(self) -> str:
        """How sentences name the bundle."""
        return title(self.manifest.channel, self.manifest.number, self.id)


class BundleReader:
    """A bundle's files, opened; nothing of them is believed before `verify`."""

    def __init__(self, parts: Sequence[Path]) -> None:
        self._names = [path.name for path in parts]
        self._raw = PartsReader(parts)
        self._file: IO[bytes] = io.BufferedReader(self._raw, _PIECE)
        self.size_bytes = self._raw.size_bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read_manifest(self) -> bytes:
        """The manifest's bytes, unverified. Raises Invalid `bundle-invalid` or `bundle-truncated`."""
        self._file.seek(0)
        return self._read_member(MANIFEST, MAX_MANIFEST_BYTES)

    def verify(self, trusted: Mapping[str, str]) -> Signed:
        """The manifest, once a trusted key (name -> hexadecimal digits) proves to have signed it.

        Raises Refused `bundle-untrusted`, Invalid `bundle-invalid` or `bundle-truncated`.
        """
        data = self.read_manifest()
        signature = self._read_member(SIGNATURE, SIGNATURE_BYTES)
        key = find_signer(data, signature, trusted)
        signed = Signed(decode_manifest(data), manifest_id(data), key)
        self._check_length(signed, bundle_bytes(signed.manifest, len(data)))
        return signed

    def members(self, signed: Signed) -> Iterator["Member"]:
        """Every member behind the signature, in order; each is to be read, or skipped, before the next.

        Raises Invalid `bundle-damaged`.
        """
        for name, digest, size in members_of(signed.manifest):
            if self._file.read(BLOCK) != member_head(name, size):
                raise Invalid("bundle-damaged", f"The bundle is damaged: where {name} should begin is something else.")
            one = Member(self._file, name, Sha256(digest), size)
            yield one
            one.finish()
        if self._file.read(len(ending()) + 1) != ending():
            raise Invalid("bundle-damaged", "The bundle is damaged: something follows its last member.")

    def _read_member(self, name: str, most_bytes: int) -> bytes:
        head = self._file.read(BLOCK)
        try:
            info = tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise Invalid(
                "bundle-invalid", f"{self._names[0]} is not a bundle, or its beginning is damaged."
            ) from error
        if info.name != name or info.size > most_bytes or head != member_head(name, info.size):
            raise Invalid("bundle-invalid", f"{self._names[0]} is not a bundle: where its {name} should be is none.")
        data = self._file.read(info.size)
        if len(data) < info.size or self._file.read(len(padding(info.size))) != padding(info.size):
            raise Invalid("bundle-truncated", f"{self._names[0]} ends within its {name}.")
        return data

    def _check_length(self, signed: Signed, expected: int) -> None:
        if self.size_bytes < expected:
            raise Invalid(
                "bundle-truncated",
                f"Bundle {signed.title} has {expected} bytes, and {self.size_bytes} are here (in {self._shown()}): "
                "it was cut short, or its last parts are missing. Copy it again.",
            )
        if self.size_bytes > expected:
            raise Invalid(
                "bundle-damaged",
                f"Bundle {signed.title} has {expected} bytes, and {self.size_bytes} are here (in {self._shown()}): "
                "parts of another bundle are among them.",
            )

    def _shown(self) -> str:
        return self._names[0] if len(self._names) == 1 else f"{self._names[0]} to {self._names[-1]}"


class Member:
    """One member of a bundle: a shard, a file or a section, named by its digest."""

    def __init__(self, file: IO[bytes], name: str, sha256: Sha256, size_bytes: int) -> None:
        self.kind, _, self.name = name.partition("/")
        self.sha256 = sha256
        self.size_bytes = size_bytes
        self._file = file
        self._left = size_bytes
        self._digest = hashlib.sha256()

    def pieces(self) -> Iterator[bytes]:
        """Its bytes; when the last was given, they are verified. Raises Invalid `bundle-damaged`."""
        while self._left:
            piece = self._file.read(min(_PIECE, self._left))
            if not piece:
                raise Invalid("bundle-truncated", f"The bundle ends within {self.kind}/{self.name}.")
            self._left -= len(piece)
            self._digest.update(piece)
            yield piece
        if self._digest.hexdigest() != self.sha256:
            raise Invalid(
                "bundle-damaged",
                f"The bundle is damaged: {self.kind}/{self.name} has sha256 {self._digest.hexdigest()}. "
                "Copy it again; nothing of it was taken.",
            )

    def read(self) -> bytes:
        """All of them at once."""
        return b"".join(self.pieces())

    def finish(self) -> None:
        """Step over what was not read, and over the padding."""
        self._file.seek(self._left, io.SEEK_CUR)
        self._left = 0
        if self._file.read(len(padding(self.size_bytes))) != padding(self.size_bytes):
            raise Invalid("bundle-damaged", f"The bundle is damaged behind {self.kind}/{self.name}.")


def open_bundle(path: Path) -> BundleReader:
    """The bundle at a path, in one file or in parts. Raises NotFound `bundle-unknown`, Invalid `bundle-part-missing`."""
    return BundleReader(find_parts(path))

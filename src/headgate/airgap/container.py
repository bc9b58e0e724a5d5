"""How a bundle lies in files: one tar archive (GNU format, nothing compressed again), whole or cut into parts.

    manifest.json  manifest.sig  sections/<name>…  shards/<sha256>…  papers/<sha256>…  files/<sha256>…
                                                                                     in exactly this order

Parts are the archive cut at a size: FILE.001, FILE.002, … joined they are the archive. Sizes and order follow from the
manifest, so a reader knows every byte's place before it comes.
"""

import io
import re
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from headgate.airgap.keys import SIGNATURE_BYTES
from headgate.airgap.manifest import Manifest
from headgate.kernel.errors import Conflict, Invalid, NotFound, Unavailable

BLOCK = 512
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
_END = bytes(2 * BLOCK)
_PART = re.compile(r"\.(\d{3,})")


def member_head(name: str, size_bytes: int) -> bytes:
    """The block before a member; two equal members are equal byte by byte."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size_bytes, 0o644
    return info.tobuf(tarfile.GNU_FORMAT)


def padding(size_bytes: int) -> bytes:
    """What fills the last block of a member."""
    return bytes(-size_bytes % BLOCK)


def member(name: str, data: bytes) -> bytes:
    """A small member, whole."""
    return member_head(name, len(data)) + data + padding(len(data))


def opening(manifest: bytes, signature: bytes) -> bytes:
    """The beginning of a bundle: its manifest, signed."""
    return member(MANIFEST, manifest) + member(SIGNATURE, signature)


def ending() -> bytes:
    """The end of a bundle."""
    return _END


def members_of(manifest: Manifest) -> Iterator[tuple[str, str, int]]:
    """(name, sha256, size) of every member behind the signature, in order."""
    for name, section in sorted(manifest.sections.items()):
        yield f"sections/{name}", section.sha256, section.size
    for digest, size in manifest.shards().items():
        yield f"shards/{digest}", digest, size
    for digest, size in manifest.papers().items():
        yield f"papers/{digest}", digest, size
    for digest, size in manifest.files().items():
        yield f"files/{digest}", digest, size


def content_bytes(manifest: Manifest) -> int:
    """How long everything behind the signature is, the end included."""
    return sum(BLOCK + size + len(padding(size)) for _, _, size in members_of(manifest)) + len(_END)


def bundle_bytes(manifest: Manifest, manifest_bytes: int) -> int:
    """How long the whole bundle is."""
    head = BLOCK + manifest_bytes + len(padding(manifest_bytes)) + BLOCK + SIGNATURE_BYTES
    return head + len(padding(SIGNATURE_BYTES)) + content_bytes(manifest)


def find_parts(path: Path) -> list[Path]:
    """The files of a bundle: `path` itself, or its parts in order, whichever of them is named.

    Raises NotFound `bundle-unknown`, Invalid `bundle-part-missing`.
    """
    cut = _PART.fullmatch(path.suffix)
    stem = path.with_suffix("") if cut else path
    if path.is_file() and (cut is None or not path.with_suffix(".001").exists()):
        return [path]  # a number at the end of a name need not be that of a part
    parts = {
        int(found[1]): one
        for one in stem.parent.glob("*")
        if one.stem == stem.name and (found := _PART.fullmatch(one.suffix))
    }
    if not parts:
        raise NotFound("bundle-unknown", f"There is no bundle {path}, and there are no parts {stem.name}.001 and on.")
    for number in range(1, max(parts) + 1):
        if number not in parts:
            raise Invalid(
                "bundle-part-missing",
                f"Part {stem.name}.{number:03} is missing, while {stem.name}.{max(parts):03} is there. Bring it too.",
            )
    return [parts[number] for number in sorted(parts)]


class PartsReader(io.RawIOBase):
    """Several files, read as if they were one; the file at hand alone is open."""

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__()
        self._paths = paths
        self._sizes = [path.stat().st_size for path in paths]
        self._at = 0
        self._open: tuple[int, BinaryIO] | None = None
        self.size_bytes = sum(self._sizes)

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a byte of the whole."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size_bytes}[whence]
        return self._at

    def tell(self) -> int:
        """The byte that is read next."""
        return self._at

    def readinto(self, buffer: object) -> int:
        """Read on; 0 bytes at the end."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        place = self._place()
        if place is None:
            return 0
        number, offset = place
        file = self._file(number)
        file.seek(offset)
        piece = file.read(min(len(view), self._sizes[number] - offset))
        view[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def close(self) -> None:
        """Close the file at hand."""
        if self._open is not None:
            self._open[1].close()
            self._open = None
        super().close()

    def _place(self) -> tuple[int, int] | None:
        begin = 0
        for number, size in enumerate(self._sizes):
            if self._at < begin + size:
                return number, self._at - begin
            begin += size
        return None

    def _file(self, number: int) -> BinaryIO:
        if self._open is None or self._open[0] != number:
            if self._open is not None:
                self._open[1].close()
            self._open = (number, self._paths[number].open("rb"))
        return self._open[1]


class PartsWriter:
    """Writes a bundle to FILE, or to FILE.001 and on; under its own names once it is whole, by `commit`.

    Raises Conflict `bundle-exists` before anything is written, Unavailable `bundle-unwritable`.
    """

    def __init__(self, path: Path, part_bytes: int | None) -> None:
        self._path = path
        self._part_bytes = part_bytes
        self._written: list[Path] = []
        self._file: BinaryIO | None = None
        self._room = 0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        first = self._target(1)
        for one in {self._path, first}:
            if one.exists():
                raise Conflict("bundle-exists", f"{one} exists already; remove it, or choose another name.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        for path in self._written:
            path.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Append."""
        rest = memoryview(data)
        while rest:
            try:
                self._next_part()
                assert self._file is not None
                count = len(rest) if self._part_bytes is None else min(len(rest), self._room)
                self._file.write(rest[:count])
            except OSError as error:
                raise Unavailable("bundle-unwritable", f"{self._path} cannot be written: {error.strerror}.") from error
            self._room -= count
            rest = rest[count:]

    def commit(self) -> list[Path]:
        """Give every part its name; the names."""
        self._stack.close()
        targets = []
        for number, path in enumerate(self._written, 1):
            targets.append(self._target(number))
            path.replace(targets[-1])
        self._written = []
        return targets

    def _next_part(self) -> None:
        if self._file is not None and (self._part_bytes is None or self._room):
            return
        self._stack.close()
        target = self._target(len(self._written) + 1)
        part = target.with_name(f".{target.name}.part")
        self._written.append(part)
        self._file = self._stack.enter_context(part.open("wb"))
        self._room = self._part_bytes or 0

    def _target(self, number: int) -> Path:
        return self._path if self._part_bytes is None else self._path.with_name(f"{self._path.name}.{number:03}")


def is_bundle(path: Path) -> bool:
    """Whether a file begins as a bundle does."""
    with suppress(OSError), path.open("rb") as file:
        head = file.read(BLOCK)
        return head.startswith(MANIFEST.encode() + b"\0") and head[257:262] == b"ustar"
    return False

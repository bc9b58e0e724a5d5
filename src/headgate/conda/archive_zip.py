"""The outer zip of a `.conda` (CEP 35): its two components, the same two for every way to read a zip."""

import io
import struct
import zipfile
from collections.abc import Iterator
from contextlib import closing
from typing import IO, BinaryIO, cast

from conda_package_streaming.package_streaming import zstd

from headgate.conda.names import ArtifactName
from headgate.kernel.errors import Invalid

ZstdError: type[Exception] = zstd.ZstdError

# A zip's directory is read in one piece; that of a .conda has three entries.
_MAX_READ_BYTES = 1 << 20
_HEADER = struct.Struct("<4s14xII2H")
_IN_ZIP64 = 0xFFFF_FFFF


class _GuardedFile(io.RawIOBase):
    """The archive as zipfile sees it: a read of more than a directory of honest size is refused."""

    def __init__(self, file: BinaryIO, name: ArtifactName) -> None:
        self._file = file
        self._name = name

    def read(self, size: int = -1, /) -> bytes:
        if size > _MAX_READ_BYTES:
            raise Invalid("artifact-too-many-members", f"{self._name}: its zip directory alone takes {size} bytes.")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


def iter_components(file: BinaryIO, name: ArtifactName) -> Iterator[IO[bytes]]:
    """The decompressed tars `info` and `pkg`, each open until the next is asked for.

    Raises Invalid; and, while reading, what zipfile and zstd raise.
    """
    try:
        container = zipfile.ZipFile(cast("BinaryIO", _GuardedFile(file, name)))
    except zipfile.BadZipFile as error:
        raise Invalid(
            "artifact-truncated", f"{name}: its zip directory is missing or broken; send it again."
        ) from error
    with container:
        _check_layout(container, file, name)
        for component in ("info", "pkg"):
            member = _find_component(container, component, name)
            with container.open(member) as packed, closing(zstd.open(packed)) as source:
                yield cast("IO[bytes]", source)


def _check_layout(container: zipfile.ZipFile, file: BinaryIO, name: ArtifactName) -> None:
    """Some clients go by the directory at the end, others read from the front; both must meet the same members.

    So these follow each other without a gap, from the first byte to the directory, and both places agree on sizes.
    """
    expected = 0
    for member in sorted(container.infolist(), key=lambda member: member.header_offset):
        file.seek(member.header_offset)
        size, header_bytes = _read_local_header(file)
        if member.header_offset != expected or size != member.compress_size:
            raise Invalid(
                "artifact-zip-ambiguous", f"{name}: its zip reads differently from its front and from its end."
            )
        expected += header_bytes + size
    if expected != container.start_dir:
        raise Invalid("artifact-zip-ambiguous", f"{name}: its zip holds bytes that belong to no member.")


def _read_local_header(file: BinaryIO) -> tuple[int, int]:
    """(compressed size of the member, bytes of the header). Raises BadZipFile."""
    fixed = file.read(_HEADER.size)
    if len(fixed) < _HEADER.size or not fixed.startswith(b"PK\3\4"):
        raise zipfile.BadZipFile("a member has no header")
    _, size, _, name_bytes, extra_bytes = _HEADER.unpack(fixed)
    extra = file.read(name_bytes + extra_bytes)[name_bytes:]
    if size == _IN_ZIP64:
        size = _zip64_size(extra)
    return size, _HEADER.size + name_bytes + extra_bytes


def _zip64_size(extra: bytes) -> int:
    """The compressed size in the zip64 field of a local header, where it comes second."""
    while len(extra) >= 4:
        field, length = struct.unpack_from("<2H", extra)
        if field == 1 and length >= 16 and len(extra) >= 20:
            return int(struct.unpack_from("<Q", extra, 12)[0])
        extra = extra[4 + length :]
    raise zipfile.BadZipFile("a zip64 member does not say its size")


def _find_component(container: zipfile.ZipFile, component: str, name: ArtifactName) -> zipfile.ZipInfo:
    """The one member that holds a component; stored, since CEP 35 compresses within it."""
    wanted = f"{component}-{name.stem}.tar.zst"
    found = [member for member in container.infolist() if member.filename.startswith(f"{component}-")]
    if [member.filename for member in found] != [wanted]:
        raise Invalid(
            "artifact-component-missing", f"{name}: it must hold exactly one {component} component, {wanted}."
        )
    if found[0].compress_type != zipfile.ZIP_STORED:
        raise Invalid(
            "artifact-component-compressed", f"{name}: {wanted} must be stored in the zip, not compressed again."
        )
    return found[0]

"""Walking a package archive from a stranger: every member is looked at, nothing is unpacked, limits hold while reading.

The formats are those of CEP 35: `.tar.bz2`, and `.conda`, a zip of stored zstd-compressed tars.
"""

import bz2
import io
import posixpath
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import IO, BinaryIO

from conda_package_streaming.package_streaming import tar_generator

from headgate.conda.archive_zip import ZstdError, iter_components
from headgate.conda.names import ArtifactName
from headgate.kernel.errors import Invalid

_READ_BYTES = 256 << 10
# Headers that tarfile reads whole into memory (long names, pax records) may take this much between two members.
_HEADER_BYTES = 1 << 20
# Small packages may be nearly all zeros; the ratio says nothing about them.
_RATIO_FREE_BYTES = 16 << 20
# Shown each member: its path in the shortest form, the tar to read it from, and its header.
Visit = Callable[[str, tarfile.TarFile, tarfile.TarInfo], None]

_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What an archive may cost: sizes in bytes, `max_ratio` unpacked to packed, `max_info_bytes` read into memory."""

    max_bytes: int = 8 << 30
    max_members: int = 1_000_000
    max_unpacked_bytes: int = 64 << 30
    max_ratio: int = 500
    max_info_bytes: int = 128 << 20


@dataclass(slots=True)
class _Walk:
    """What one archive has cost so far, and the links it has made."""

    name: ArtifactName
    limits: ArchiveLimits
    packed_bytes: int
    unpacked_bytes: int = 0
    declared_bytes: int = 0
    members: int = 0
    links: set[str] = field(default_factory=set)

    def spend(self, size: int) -> None:
        """Count bytes that came out of a decompressor."""
        self.unpacked_bytes += size
        if self.unpacked_bytes > max(_RATIO_FREE_BYTES, self.packed_bytes * self.limits.max_ratio):
            raise Invalid(
                "artifact-ratio-too-high",
                f"{self.name}: it unpacks to more than {self.limits.max_ratio} times its own size, as bombs do.",
            )
        self._check_total(self.unpacked_bytes)

    def _check_total(self, size: int) -> None:
        if size > self.limits.max_unpacked_bytes:
            raise Invalid(
                "artifact-unpacks-too-large",
                f"{self.name}: it unpacks to more than the {self.limits.max_unpacked_bytes} bytes allowed.",
            )

    def check(self, member: tarfile.TarInfo) -> str:
        """The member's path, in its shortest form; raises when the member could do harm once unpacked."""
        self.members += 1
        if self.members > self.limits.max_members:
            raise Invalid(
                "artifact-too-many-members", f"{self.name}: it holds more than {self.limits.max_members} members."
            )
        # A sparse member takes fewer bytes here than it will on disk.
        self.declared_bytes += member.size
        self._check_total(self.declared_bytes)
        path = self._check_path(member.name)
        if member.issym() or member.islnk():
            self._check_link(member, path)
        elif not (member.isreg() or member.isdir()):
            raise Invalid(
                "artifact-special-file",
                f"{self.name}: {member.name!r} is a device, pipe or the like, not a file or link.",
            )
        return path

    def _check_path(self, name: str) -> str:
        if _CONTROL.search(name):
            raise Invalid("artifact-path-unprintable", f"{self.name}: the path {name!r} holds a control character.")
        if name.startswith(("/", "\\")) or _DRIVE.match(name):
            raise Invalid("artifact-path-absolute", f"{self.name}: the path {name!r} is absolute.")
        if ".." in re.split(r"[/\\]", name):
            raise Invalid("artifact-path-escapes", f"{self.name}: the path {name!r} climbs with '..'.")
        path = posixpath.normpath(name)
        parent = posixpath.dirname(path)
        while parent:
            if parent in self.links:
                raise Invalid(
                    "artifact-path-through-link", f"{self.name}: the path {name!r} passes through the link {parent!r}."
                )
            parent = posixpath.dirname(parent)
        return path

    def _check_link(self, member: tarfile.TarInfo, path: str) -> None:
        """A symbolic link may climb first and then descend, within the archive; a hard link names a member."""
        target = member.linkname
        steps = [step for step in re.split(r"[/\\]", target) if step not in ("", ".")]
        climbs = next((count for count, step in enumerate(steps) if step != ".."), len(steps))
        depth = path.count("/") if member.issym() else 0
        is_absolute = target.startswith(("/", "\\")) or _DRIVE.match(target)
        if is_absolute or climbs > depth or ".." in steps[climbs:] or _CONTROL.search(target):
            raise Invalid(
                "artifact-link-escapes", f"{self.name}: the link {path!r} points to {target!r}, which may be outside."
            )
        if member.issym():
            self.links.add(path)


class _Metered:
    """A decompressed tar that counts what it gives, and gives no more than the walk allows."""

    def __init__(self, source: IO[bytes], walk: _Walk) -> None:
        self._source = source
        self._walk = walk
        self._piece = b""
        self._position = 0
        self.next_header = 0

    def read(self, size: int) -> bytes:
        """Give more to tarfile, until it is further ahead of the next member than any honest header is long."""
        if self._position > self.next_header + _HEADER_BYTES + _READ_BYTES:
            raise Invalid(
                "artifact-header-too-large",
                f"{self._walk.name}: a member's header takes more than {_HEADER_BYTES} bytes.",
            )
        self._piece = self._source.read(min(size, _READ_BYTES))
        self._position += len(self._piece)
        self._walk.spend(len(self._piece))
        return self._piece

    def finish(self) -> None:
        """Read to the end, so that checksums are verified, and make sure that nothing hides behind the last member.

        tarfile takes a broken header for the end; others may read on.
        """
        rest = self._piece[max(0, self.next_header - self._position + len(self._piece)) :]
        while rest:
            if any(rest):
                raise Invalid("artifact-trailing-data", f"{self._walk.name}: bytes follow its last readable member.")
            rest = self._source.read(_READ_BYTES)
            self._walk.spend(len(rest))


def walk_archive(file: BinaryIO, name: ArtifactName, limits: ArchiveLimits, visit: Visit) -> None:
    """Check every member and show it to `visit`, which may read it from its tar at once. `file` must be seekable.

    Raises Invalid, with a code `artifact-...` for each way to be wrong.
    """
    walk = _Walk(name, limits, packed_bytes=file.seek(0, io.SEEK_END))
    file.seek(0)
    if walk.packed_bytes > limits.max_bytes:
        raise Invalid(
            "artifact-too-large",
            f"{name}: it is {walk.packed_bytes} bytes long; at most {limits.max_bytes} are allowed.",
        )
    _check_opening(file, name)
    try:
        for source in _iter_tars(file, name):
            _walk_tar(source, walk, visit)
    except EOFError as error:
        raise Invalid("artifact-truncated", f"{name}: it ends too early; send it again.") from error
    except (tarfile.TarError, zipfile.BadZipFile, ZstdError, OSError, ValueError, RuntimeError) as error:
        # OSError is what bz2 raises for bad data, RuntimeError covers tar headers nested too deep.
        raise Invalid("artifact-corrupt", f"{name}: it cannot be read: {error}.") from error


def _check_opening(file: BinaryIO, name: ArtifactName) -> None:
    """Tell apart, by the first bytes, what is no archive of the kind its name says."""
    opening = file.read(512)
    file.seek(0)
    if not opening:
        raise Invalid("artifact-empty", f"{name}: it is empty.")
    if opening.lstrip().startswith(b"<"):
        raise Invalid("artifact-html", f"{name}: it is a web page, not a package; look at what the address answers.")
    if not opening.startswith(b"PK" if name.extension == ".conda" else b"BZh"):
        raise Invalid("artifact-not-an-archive", f"{name}: it is not a {name.extension} archive.")


def _iter_tars(file: BinaryIO, name: ArtifactName) -> Iterator[IO[bytes]]:
    if name.extension == ".conda":
        yield from iter_components(file, name)
    else:
        with bz2.open(file) as source:
            yield source


def _walk_tar(source: IO[bytes], walk: _Walk, visit: Visit) -> None:
    metered = _Metered(source, walk)
    open_tar = partial(tarfile.open, bufsize=_READ_BYTES)
    for tar, member in tar_generator(metered, tarfile_open=open_tar):
        # tarfile keeps every member it has seen; a million of them would be a gigabyte.
        tar.members.clear()
        metered.next_header = tar.offset
        visit(walk.check(member), tar, member)
    metered.finish()

"""Members of zip archives as files: `file:///drop/main.zip/noarch/repodata.json`.

Nothing is ever unpacked to disk, so no name in an archive can leave its place; a member is found by its exact name,
must be a plain file, and may not grow beyond reason while it is read.
"""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO

from headgate.kernel.errors import Invalid, Unavailable

SUFFIX = ".zip"
MAX_RATIO = 200
_HARMLESS_BYTES = 16 << 20
_ENCRYPTED = 0x1


def split_zip(path: Path) -> tuple[Path, str] | None:
    """The archive and the member that a path within one names; None for any other path."""
    for parent in path.parents:
        if parent.suffix.lower() == SUFFIX and parent.is_file():
            return parent, path.relative_to(parent).as_posix()
    return None


def find_member(archive: Path, name: str) -> tuple[zipfile.ZipFile, zipfile.ZipInfo] | None:
    """The archive, opened, and the member of that very name; None when it has none.

    Raises Invalid `zip-invalid` for what is no zip archive, or a member that is a link, encrypted or a bomb.
    """
    opened = open_zip(archive)
    try:
        info = opened.getinfo(name)
    except KeyError:
        return None
    if info.is_dir():
        return None
    check_member(archive, info)
    return opened, info


def open_zip(archive: Path) -> zipfile.ZipFile:
    """The archive as it is now; the directories of the last few are remembered. Raises Invalid `zip-invalid`."""
    try:
        found = archive.stat()
        return _opened(archive, found.st_mtime_ns, found.st_size)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise Invalid("zip-invalid", f"{archive.name} is not a zip archive that can be read: {error}.") from error
    except OSError as error:
        raise Unavailable("upstream-unreachable", f"{archive.name} cannot be read: {error.strerror}.") from error


def check_member(archive: Path, info: zipfile.ZipInfo) -> None:
    """Raises Invalid `zip-invalid` for a member that is a link, encrypted or a bomb."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in {0, stat.S_IFREG}:
        raise Invalid("zip-invalid", f"{info.filename!r:.200} in {archive.name} is a link, not a file.")
    if info.flag_bits & _ENCRYPTED:
        raise Invalid("zip-invalid", f"{info.filename!r:.200} in {archive.name} is encrypted.")
    if info.file_size > max(_HARMLESS_BYTES, info.compress_size * MAX_RATIO):
        raise Invalid(
            "zip-invalid",
            f"{info.filename!r:.200} in {archive.name} unpacks to more than {MAX_RATIO} times its size.",
        )


@contextmanager
def reading_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    """The bytes of a member; what is wrong with them is Invalid `zip-invalid`."""
    try:
        with archive.open(info) as file:
            yield file
    except (zipfile.BadZipFile, NotImplementedError, zlib.error, EOFError, RuntimeError) as error:
        raise Invalid(
            "zip-invalid", f"{info.filename!r:.200} in {Path(archive.filename or '').name} is damaged: {error}."
        ) from error


@lru_cache(maxsize=4)
def _opened(archive: Path, _mtime_ns: int, _size: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(archive)

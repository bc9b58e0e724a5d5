"""Answers for file:// URLs, shaped as a web server would give them: 200, 206, 304, 403, 404, 416.

A path that goes on below a zip archive names a member of it.
"""

import asyncio
import os
import re
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from urllib.parse import unquote

from multidict import CIMultiDict

from headgate.http.answers import Answer
from headgate.http.zips import find_member, reading_member, split_zip
from headgate.kernel.errors import Invalid, Refused, Unavailable
from headgate.kernel.threads import finish_in_thread

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True, slots=True)
class _Slice:
    """What is sent of a file: status, headers, the first byte and how many."""

    status: int
    headers: dict[str, str]
    start: int = 0
    length: int = 0


@asynccontextmanager
async def open_file(url: str, roots: Sequence[Path], method: str, headers: Mapping[str, str]) -> AsyncIterator[Answer]:
    """Opens the file a file:// URL names.

    The file, with every symbolic link followed, must lie under one of `roots`, else Refused `file-root`. Its ETag is
    `"<mtime in ns>-<size>"`. One byte range is honoured, If-None-Match and If-Range too.
    """
    path = await asyncio.to_thread(_allowed, url, roots)
    zipped = None if path is None else await asyncio.to_thread(split_zip, path)
    if zipped is not None:
        async with _open_member(url, *zipped, method, headers) as answer:
            yield answer
        return
    file = _Slice(404, {}) if path is None else await asyncio.to_thread(_open, path)
    if isinstance(file, _Slice):
        yield _answer(url, file, None)
        return
    with file:
        part = _slice(os.fstat(file.fileno()), CIMultiDict(headers))
        yield _answer(url, part, None if method == "HEAD" else file)


def _allowed(url: str, roots: Sequence[Path]) -> Path | None:
    """The path with every link followed; None for a loop of them. Raises Refused `file-root`."""
    path = _path(url)
    try:
        real = path.resolve()
    except (OSError, RuntimeError):
        return None
    if not any(real.is_relative_to(root.resolve()) for root in roots):
        raise Refused(
            "file-root", f"{url} lies outside the folders that may be read; an administrator can add its folder."
        )
    return real


def _open(real: Path) -> FileIO | _Slice:
    """A regular file, or the answer that says why there is none."""
    try:
        # A pipe must not block, and a link put there since must not be followed.
        descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        return _Slice(403, {})
    except OSError:
        return _Slice(404, {})
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return FileIO(descriptor)
    os.close(descriptor)
    return _Slice(404, {})


@asynccontextmanager
async def _open_member(
    url: str, archive: Path, name: str, method: str, headers: Mapping[str, str]
) -> AsyncIterator[Answer]:
    """A member of a zip archive, always whole; its ETag is its checksum and size."""
    found = await asyncio.to_thread(find_member, archive, name)
    if found is None:
        yield _answer(url, _Slice(404, {}), None)
        return
    opened, info = found
    etag = f'"{info.CRC:08x}-{info.file_size}"'
    if etag in (known.strip() for known in CIMultiDict(headers).get("If-None-Match", "").split(",")):
        yield _answer(url, _Slice(304, {"ETag": etag}), None)
        return
    told = {"ETag": etag, "Content-Length": str(info.file_size)}

    async def pieces(size: int) -> AsyncGenerator[bytes, None]:
        if method == "HEAD":
            return
        with reading_member(opened, info) as file:
            while piece := await finish_in_thread(file.read, size):
                yield piece

    yield Answer(200, told, url, pieces, body_bytes=None if method == "HEAD" else info.file_size)


def _path(url: str) -> Path:
    host, slash, path = url.partition(":")[2].removeprefix("//").partition("/")
    name = slash + unquote(path)
    if host not in {"", "localhost"} or not slash or "\0" in name:
        raise Invalid("upstream-url", f"{url} does not name a file on this machine: write file:///path/to/channel.")
    return Path(name)


def _slice(found: os.stat_result, asked: Mapping[str, str]) -> _Slice:
    size = found.st_size
    etag = f'"{found.st_mtime_ns}-{size}"'
    base = {"ETag": etag, "Accept-Ranges": "bytes"}
    if etag in (known.strip() for known in asked.get("If-None-Match", "").split(",")):
        return _Slice(304, base)
    span = _RANGE.fullmatch(asked.get("Range", ""))
    if span is None or asked.get("If-Range", etag) != etag or span[0] == "bytes=-":
        return _Slice(200, base | {"Content-Length": str(size)}, 0, size)
    start, end = _bounds(span[1], span[2], size)
    if start >= end:
        return _Slice(416, base | {"Content-Range": f"bytes */{size}", "Content-Length": "0"})
    extra = {"Content-Range": f"bytes {start}-{end - 1}/{size}", "Content-Length": str(end - start)}
    return _Slice(206, base | extra, start, end - start)


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    """The half-open span of a byte range; empty when it cannot be satisfied."""
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size


def _answer(url: str, part: _Slice, file: FileIO | None) -> Answer:
    async def pieces(size: int) -> AsyncGenerator[bytes, None]:
        at, end = part.start, part.start + part.length
        while file is not None and at < end:
            try:
                piece = await asyncio.to_thread(os.pread, file.fileno(), min(size, end - at), at)
            except OSError as error:
                raise Unavailable("upstream-cut", f"{url} could not be read further: {error.strerror}.") from error
            if not piece:
                return
            at += len(piece)
            yield piece

    return Answer(part.status, part.headers, url, pieces, body_bytes=part.length if file is not None else None)

"""Large JSON documents written in pieces: maps that must come later wait, already encoded, in spools."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import IO, Any

import msgspec

PIECE_BYTES = 256 << 10
_SPOOL_BYTES = 8 << 20
_encoder = msgspec.json.Encoder(order="deterministic")


def encode(value: Any) -> bytes:
    """JSON with sorted keys, so that equal values have equal bytes."""
    return _encoder.encode(value)


def encode_members(values: Mapping[str, Any]) -> bytes:
    """The members of a JSON map, without its braces."""
    return _encoder.encode(values)[1:-1]


class MapSpool:
    """The encoded members of one JSON map, in memory while they are few, else in an unnamed file."""

    def __init__(self, stack: ExitStack) -> None:
        spool = tempfile.SpooledTemporaryFile(_SPOOL_BYTES)  # noqa: SIM115 - the stack closes it
        self._file: IO[bytes] = stack.enter_context(spool)
        self._comma = b""

    def add(self, members: bytes) -> None:
        """Append members as `encode_members` gave them; none is fine."""
        if members:
            self._file.write(self._comma + members)
            self._comma = b","

    def iter_pieces(self) -> Iterator[bytes]:
        """All members so far, from the first."""
        self._file.seek(0)
        while piece := self._file.read(PIECE_BYTES):
            yield piece


def join_members(members: Iterable[bytes]) -> Iterator[bytes]:
    """Put commas between encoded members, passing over empty ones."""
    comma = b""
    for member in members:
        if member:
            yield comma + member
            comma = b","


def gather(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join small pieces into ones of at least 256 KiB; the last may be smaller."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= PIECE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)

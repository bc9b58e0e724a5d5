"""The outline of a repodata document, by which the next one is shortened to what differs. Pure.

    {"info":…,"packages":{  run , run , run  },"packages.conda":{  run , run  },"removed":[…],…}

A run is the text of members of a map that follow each other and name one package; an outline has the digest of every
run. Runs that the next document has as well are replaced by marks, `"/first/last":0`. What is left is a document, so the
parser that reads it tells which map a mark stands in: nothing else has to know JSON.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Self

import msgspec
import xxhash
import zstandard

# To be raised when a run is cut or digested in another way.
_KIND: Final = 1
# When a run is not where it was: how many bytes on, and how many of the runs that follow, are looked for.
_REACHES: Final = (256 << 10, 16 << 20)
_RUNS_AHEAD: Final = 16
# With more interruptions than this part of the runs, comparing costs more than it saves.
_MOST_INTERRUPTED: Final = 0.2
_FEW: Final = 100


class Style(msgspec.Struct, array_like=True, frozen=True):
    """What stands between a file name and its record, and between members."""

    colon: bytes
    comma: bytes


STYLES: Final = (Style(b": ", b",\n    "), Style(b": ", b", "), Style(b":", b","))
"""How documents are written; no one begins like another that comes after it."""


class Outline(msgspec.Struct, array_like=True):
    """The runs of a document in their order: first file names, lengths in bytes, digests."""

    style: Style
    firsts: list[str] = []
    lengths: list[int] = []
    digests: list[bytes] = []
    kind: int = _KIND

    def extend(self, firsts: Sequence[str], lengths: Sequence[int], digests: Sequence[bytes]) -> None:
        """Some more runs."""
        self.firsts.extend(firsts)
        self.lengths.extend(lengths)
        self.digests.extend(digests)

    def key(self, run: int) -> bytes:
        """What the text of a run begins with."""
        return key_of(self.firsts[run], self.style)

    def pack(self) -> bytes:
        """As it is kept."""
        return zstandard.compress(msgspec.msgpack.encode(self), level=1)

    @classmethod
    def unpack(cls, kept: bytes) -> Self | None:
        """As it was; None when it is of another time."""
        try:
            outline = msgspec.msgpack.decode(zstandard.decompress(kept), type=cls)
        except (zstandard.ZstdError, msgspec.DecodeError):
            return None
        return outline if outline.kind == _KIND else None


class Shortened(NamedTuple):
    """A document with marks, and which runs of its outline each of them stands for."""

    text: bytes
    marks: dict[str, range]


def key_of(filename: str, style: Style | None = None) -> bytes:
    """How a member begins whose file name needs no escapes, without what comes before the record in a style."""
    return f'"{filename}"'.encode() + (b"" if style is None else style.colon)


digest_run: Final = xxhash.xxh3_128_digest
"""The digest of a run, 16 bytes, ten times as fast as SHA-256. An upstream that makes two runs with one digest hides its own
change from us, and nothing else."""


def find_runs(document: bytes, outline: Outline) -> list[int]:
    """Where in a document each run of an outline is found, in the same order, in bytes; -1 of those that are not."""
    view, comma = memoryview(document), len(outline.style.comma)
    lengths, digests = outline.lengths, outline.digests
    most = _FEW + _MOST_INTERRUPTED * len(lengths)
    places = [-1] * len(lengths)
    at = run = interruptions = 0
    while run < len(lengths):
        end = at + lengths[run]
        if digest_run(view[at:end]) == digests[run]:
            places[run] = at
            run, at = run + 1, end + comma
            continue
        interruptions += 1
        ahead = _look_ahead(document, outline, run, at)
        if ahead is None or interruptions > most:
            break
        run, at = ahead
    return places


def _look_ahead(document: bytes, outline: Outline, run: int, at: int) -> tuple[int, int] | None:
    """The next run that is found again, and where."""
    view = memoryview(document)
    following = range(run, min(run + _RUNS_AHEAD, len(outline.firsts)))
    for reach in _REACHES:
        for one in following:
            place = document.find(outline.key(one), at, at + reach)
            if place >= 0 and digest_run(view[place : place + outline.lengths[one]]) == outline.digests[one]:
                return one, place
    return None


def shorten(document: bytes, outline: Outline, places: Sequence[int]) -> Shortened:
    """Put marks where runs of the outline are."""
    view, end = memoryview(document), 0
    pieces: list[bytes | memoryview] = []
    marks = {}
    for runs in _neighbours(places, outline):
        mark = f"/{runs[0]}/{runs[-1]}"
        marks[mark] = runs
        pieces += [view[end : places[runs[0]]], key_of(mark, outline.style), b"0"]
        end = places[runs[-1]] + outline.lengths[runs[-1]]
    return Shortened(b"".join([*pieces, view[end:]]), marks)


def _neighbours(places: Sequence[int], outline: Outline) -> Iterator[range]:
    """Runs that stand right behind each other, in both documents."""
    comma = len(outline.style.comma)
    first, follows = 0, -1
    for run, place in enumerate([*places, -1]):
        if place < 0 or place != follows:
            if first < run and places[first] >= 0:
                yield range(first, run)
            first = run
        follows = -1 if place < 0 else place + outline.lengths[run] + comma

r"""One zstd frame put together from runs of blocks, each compressed by itself: what did not change is copied.

    HEADER  run  raw  run  raw ... END          RFC 8878, 3.1.1

Within a frame a block may lean on what came before it: on bytes, offsets and tables. Each run here leans on nothing but
itself. It is made the way zstd makes frames in several threads, where each job begins afresh; with no overlap between
jobs, and a job ended by every flush, runs may stand in any order. `tests/properties/test_conda_blocks.py` holds zstd to it.

Clients see a single frame: several do not read beyond the first.
"""

from typing import Final

from zstandard import COMPRESSOBJ_FLUSH_BLOCK, ZstdCompressionParameters, ZstdCompressor, frame_header_size

_LEVEL: Final = 3
# A single one is not free yet when the next run comes, and is waited for with a spinning core.
_THREADS: Final = 2
_NO_OVERLAP: Final = 1
_MOST_RAW: Final = 128 << 10
_LAST_RAW: Final = 1


class BlockCompressor:
    """Compresses runs of blocks, all for frames with the same header."""

    def __init__(self) -> None:
        parameters = ZstdCompressionParameters.from_level(_LEVEL, threads=_THREADS, overlap_log=_NO_OVERLAP)
        self._stream = ZstdCompressor(compression_params=parameters).compressobj()
        opening = self.run(b"headgate")
        self.header: Final = opening[: frame_header_size(opening)]

    def run(self, plain: bytes) -> bytes:
        """The blocks of some bytes; none for none."""
        return self._stream.compress(plain) + self._stream.flush(COMPRESSOBJ_FLUSH_BLOCK) if plain else b""


def raw_run(plain: bytes) -> bytes:
    """Blocks that hold bytes as they are; for a few."""
    pieces = (plain[start : start + _MOST_RAW] for start in range(0, len(plain), _MOST_RAW))
    return b"".join((len(piece) << 3).to_bytes(3, "little") + piece for piece in pieces)


END: Final = _LAST_RAW.to_bytes(3, "little")
"""The last block of a frame, which is empty."""

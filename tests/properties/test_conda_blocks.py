"""Runs of blocks lean on nothing but themselves: in any order, copied or made anew, they are one frame that every reader takes."""

import random

import zstandard
from hypothesis import given
from hypothesis import strategies as st

from headgate.conda.blocks import END, BlockCompressor, raw_run

# Text that repeats itself, so that a run would gladly lean on the one before, were it let.
WORDS = [b'"depends":["python >=3.11,<3.12"],', b'"sha256":"', b'"license":"BSD-3-Clause",', b'"build":"py311_0",']


def texts() -> st.SearchStrategy[bytes]:
    words = st.sampled_from(WORDS) | st.binary(max_size=40)
    return st.builds(lambda some, times: b"".join(some) * times, st.lists(words, max_size=12), st.integers(1, 300))


@given(st.lists(texts(), max_size=12), st.randoms(use_true_random=False))
def test_runs_stand_in_any_order(plains: list[bytes], chance: random.Random) -> None:
    compressor, other = BlockCompressor(), BlockCompressor()
    runs = [chance.choice([compressor, other]).run(plain) for plain in plains]
    order = chance.sample(range(len(plains)), len(plains))
    frame = compressor.header + b"".join(runs[number] + raw_run(b",") for number in order) + END
    assert zstandard.ZstdDecompressor().decompressobj().decompress(frame) == b"".join(plains[n] + b"," for n in order)
    assert other.header == compressor.header


def test_runs_of_many_megabytes_are_one_frame_and_small_ones_are_small() -> None:
    chance = random.Random(1)
    plains = [b"".join(chance.choice(WORDS) for _ in range(400_000)), b"", chance.randbytes(300_000)]
    compressor = BlockCompressor()
    frame = compressor.header + b"".join([*map(compressor.run, plains), raw_run(plains[2])]) + END
    reader = zstandard.ZstdDecompressor().decompressobj()
    assert reader.decompress(frame) == b"".join([*plains, plains[2]])
    assert reader.eof
    assert reader.unused_data == b""
    assert len(compressor.run(plains[0])) < len(plains[0]) / 10
    found = zstandard.get_frame_parameters(frame)
    assert (found.has_checksum, found.dict_id) == (False, 0)

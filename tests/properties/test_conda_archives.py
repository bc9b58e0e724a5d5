"""Law: whatever bytes arrive, they are read or refused with a code; nothing else ever comes out of the readers."""

import bz2
import contextlib
import io

from hypothesis import given
from hypothesis import strategies as st

from headgate.conda.archives import ArchiveLimits, read_archive
from headgate.conda.names import ArtifactName
from headgate.conda.repodata import split_repodata
from headgate.conda.shards import Shard, decode_index, decode_shard, encode_index, encode_shard
from headgate.kernel.errors import Invalid
from tests.unit.conda.making import STEM, conda, file, info, link, tar, wire_record

LIMITS = ArchiveLimits(max_unpacked_bytes=64 << 20)
TAR = tar([*info(about={"x": 1}), file("long/" * 40, b"z" * 2000), link("l", "long")])
CONDA = conda([file("bin/x", b"x" * 1000)])
SHARD = encode_shard(Shard(packages={f"{STEM}.tar.bz2": wire_record()}))[1]
INDEX = encode_index("linux-64", {"demo": bytes(32)}, created_at=None)
REPODATA = b'{"info":{},"packages":{"demo-1.0-0.tar.bz2":{"md5":"00"}},"removed":["demo-0-0.conda"]}'


def spoilt(data: bytes) -> st.SearchStrategy[bytes]:
    """The same with a few bytes replaced, inserted or dropped."""
    places = st.integers(0, len(data) - 1)
    edits = st.lists(st.tuples(places, st.integers(0, 600), st.binary(max_size=12)), min_size=1, max_size=4)

    def apply(changes: list[tuple[int, int, bytes]]) -> bytes:
        changed = bytearray(data)
        for place, dropped, inserted in changes:
            changed[place : place + dropped] = inserted
        return bytes(changed)

    return edits.map(apply)


def with_right_checksums(archive: bytes) -> bytes:
    """So that what is wrong in a header is met by its reader, not by its checksum."""
    right = bytearray(archive)
    for start in range(0, len(right) - 511, 512):
        if right[start + 257 : start + 262] == b"ustar":
            right[start + 148 : start + 156] = b" " * 8
            right[start + 148 : start + 156] = b"%06o\0 " % sum(right[start : start + 512])
    return bytes(right)


@given(spoilt(CONDA) | spoilt(CONDA[-300:]).map(lambda end: CONDA[:-300] + end) | st.binary(max_size=50))
def test_conda_archives_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(Invalid):
        read_archive(io.BytesIO(data), ArtifactName.parse(f"{STEM}.conda"), LIMITS)


@given(spoilt(TAR).map(with_right_checksums).map(bz2.compress) | spoilt(bz2.compress(TAR)))
def test_tar_bz2_archives_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(Invalid):
        read_archive(io.BytesIO(data), ArtifactName.parse(f"{STEM}.tar.bz2"), LIMITS)


@given(spoilt(SHARD) | spoilt(INDEX) | st.binary(max_size=50))
def test_shards_and_indexes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(Invalid):
        decode_shard(data)
    with contextlib.suppress(Invalid):
        decode_index(data)


@given(spoilt(REPODATA) | st.binary(max_size=50))
def test_repodata_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(Invalid):
        for fragments in split_repodata(data).names.values():
            encode_shard(fragments.decode())

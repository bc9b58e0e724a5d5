"""Which files a shard lists that can be carried."""

from collections.abc import Iterator

from headgate.conda.names import ArtifactName, Sha256
from headgate.conda.records import Record
from headgate.conda.shards import Shard
from headgate.kernel.errors import Invalid


def iter_files(shard: Shard) -> Iterator[tuple[ArtifactName, Sha256, Record]]:
    """Every file that could be delivered: what has no sha256, or no conda file name, is listed but never sent."""
    for filename, record in shard.records():
        raw = record.get("sha256")
        if not isinstance(raw, bytes):
            continue
        try:
            yield ArtifactName.parse(filename), Sha256.from_raw(raw), record
        except Invalid:
            continue

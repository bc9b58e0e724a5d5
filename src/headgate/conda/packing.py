"""Shards straight from the raw records of a document: each name is decoded, stamped and encoded while it is warm.

Names of which something has to be said or remembered besides (records that cannot be read or belong elsewhere, purls,
attestations) are left to those who do.
"""

from dataclasses import dataclass

from headgate.conda.records import stamp
from headgate.conda.repodata import Fragments
from headgate.conda.shards import encode_shard
from headgate.kernel.errors import Invalid


@dataclass(frozen=True, slots=True)
class Packer:
    """Packs the shards of names that were never seen before: as by `records.stamp`, each record is told when it first was.

    `now_ms` in milliseconds.
    """

    first_sync: bool
    now_ms: int

    def pack(self, name: str, fragments: Fragments) -> tuple[bytes, bytes] | None:
        """The digest and the compressed bytes, as `encode_shard` gives them; None for what is not plain."""
        try:
            shard = fragments.decode()
            if shard.find_foreign(name):
                return None
            for _, record in shard.records():
                if "purls" in record or "attestations_sha256" in record:
                    return None
                stamp(record, known_ms=None, first_sync=self.first_sync, now_ms=self.now_ms)
            return encode_shard(shard)
        except (Invalid, RecursionError):
            return None

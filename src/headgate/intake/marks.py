"""What few records bear, looked for in one pass over all of them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from headgate.advisories.identities import purls_of
from headgate.conda.shards import Shard


@dataclass(frozen=True, slots=True)
class Marks:
    """Names with attestations (nobody looks at the others again), and the purls of names that have any."""

    attested: set[str]
    purls: dict[str, set[str]]


def marks_of(batch: Mapping[str, Shard]) -> Marks:
    """The marks of some shards, by name."""
    marks = Marks(set(), {})
    for name, shard in batch.items():
        for _, rec in shard.records():
            if "attestations_sha256" in rec:
                marks.attested.add(name)
            if "purls" in rec:
                marks.purls.setdefault(name, set()).update(purls_of(rec))
    return marks

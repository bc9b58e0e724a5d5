"""What of our old shard a new one of the upstream takes on: when records were first seen, and files that we keep. Pure."""

from collections.abc import Collection

from headgate.conda.records import stamp
from headgate.conda.shards import Shard


def carry_over(new: Shard, old: Shard | None, cached: Collection[str], *, is_first: bool, now_ms: int) -> Shard:
    """The upstream's shard, each record stamped with when it was first seen, and what we must keep of the old one."""
    if old is None:
        for _, rec in new.records():
            stamp(rec, known_ms=None, first_sync=is_first, now_ms=now_ms)
        return new
    before = dict(old.records())
    for filename, rec in new.records():
        earlier = before.get(filename)
        # Other bytes under an old name are news: their clock starts again.
        is_same = earlier is not None and earlier.get("sha256") == rec.get("sha256")
        known_ms = earlier.get("indexed_timestamp") if earlier is not None and is_same else None
        stamp(rec, known_ms=known_ms, first_sync=is_first, now_ms=now_ms)
    if cached:
        _keep(new, old, set(cached))
    return new


def _keep(new: Shard, old: Shard, filenames: set[str]) -> None:
    for theirs, ours in ((new.packages, old.packages), (new.conda, old.conda)):
        for filename, rec in ours.items():
            if filename in filenames:
                theirs.setdefault(filename, rec)
    for group, ours in old.v3.items():
        for stem, rec in ours.items():
            if f"{stem}.{group}" in filenames:
                new.v3.setdefault(group, {}).setdefault(stem, rec)
    listed = {filename for filename, _ in new.records()}
    new.removed[:] = [filename for filename in new.removed if filename not in listed]


def empty_shard() -> Shard:
    """One that may be filled."""
    return Shard(packages={}, conda={}, v3={}, removed=[])

"""The same channel from an upstream that has shards: day 0, then day 1, of which only changed shards are fetched."""

from pathlib import Path

from bench.scale import DOCUMENT, SUBDIR, scale_folder
from bench.sync import follow, next_day_figure, of
from bench.sync_work import unpacked
from bench.timing import Bench, Figure, at_most
from headgate.conda.repodata import split_repodata
from headgate.conda.shards import encode_index, encode_shard

_PATH = "sync of shards"
_INDEXED = "until the shard index is committed"


def run(bench: Bench) -> list[Figure]:
    first, second = follow(bench, "sharded", _place_shards)
    full, next_day = [first], [second]
    return [
        Figure(_PATH, "full", of(full, "sum"), "s", note=f"{first['changed']:,} names, a request each"),
        Figure(_PATH, f"full, {_INDEXED}", of(full, "sync"), "s"),
        next_day_figure(_PATH, full, next_day),
        Figure(_PATH, f"next day, {_INDEXED}", of(next_day, "sync"), "s"),
        Figure(_PATH, "peak memory, full", [first["sync_peak"] / 1e9], "GB", aim=at_most(1)),
    ]


def _place_shards(day: int, channel: Path) -> None:
    """Make the folder `channel` an upstream with shards that is at this day."""
    folder = channel / SUBDIR
    (folder / "shards").mkdir(parents=True, exist_ok=True)
    digests = {}
    for name, fragments in split_repodata(unpacked(scale_folder() / f"day{day}" / SUBDIR / DOCUMENT)).names.items():
        digests[name], body = encode_shard(fragments.decode())
        (folder / "shards" / f"{digests[name].hex()}.msgpack.zst").write_bytes(body)
    part = folder / "index.part"
    part.write_bytes(encode_index(SUBDIR, digests, created_at=None))
    part.replace(folder / "repodata_shards.msgpack.zst")

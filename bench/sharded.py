"""The same channel from an upstream that has shards: day 0, then day 1, of which only changed shards are fetched."""

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import zstandard

from bench.peers import plain_files
from bench.scale import DOCUMENT, SUBDIR, scale_folder
from bench.timing import Bench, Figure, at_most, on_core, ratio_of, run_child
from headgate.conda.repodata import split_repodata
from headgate.conda.shards import encode_index, encode_shard
from tests.live import headgate

_PATH, _FULL = "sync of shards", "the full one"
_CHANNEL = "unapproved-conda"


def run(bench: Bench) -> list[Figure]:
    folder, data = bench.folder("sharded-upstream") / SUBDIR, bench.scratch / "sharded-data"
    answers = []
    with ExitStack() as stack:
        with on_core(bench.client_core):
            upstream = stack.enter_context(plain_files(bench, folder.parent))
        made = headgate("init", "--data", data, "--upstream", upstream.url)
        assert made.returncode == 0, made.stderr
        for day in (0, 1):
            _place_shards(day, folder)
            answers.append(run_child("bench.sync_work", "headgate", data, _CHANNEL, SUBDIR, core=bench.server_core))
    shutil.rmtree(data)
    shutil.rmtree(folder)
    return _figures(*answers)


def _place_shards(day: int, folder: Path) -> None:
    """Make the folder a subdir of an upstream with shards, as it is at this day."""
    (folder / "shards").mkdir(parents=True, exist_ok=True)
    with (scale_folder() / f"day{day}" / SUBDIR / DOCUMENT).open("rb") as file:
        document = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()
    digests = {}
    for name, fragments in split_repodata(document).names.items():
        digests[name], body = encode_shard(fragments.decode())
        (folder / "shards" / f"{digests[name].hex()}.msgpack.zst").write_bytes(body)
    part = folder / "index.part"
    part.write_bytes(encode_index(SUBDIR, digests, created_at=None))
    part.replace(folder / "repodata_shards.msgpack.zst")


def _figures(full: dict[str, Any], next_day: dict[str, Any]) -> list[Figure]:
    total, later = ([one["sync"]["wall"] + one["render"]["wall"]] for one in (full, next_day))
    note = f"{full['changed']:,} names, a request each"
    return [
        Figure(_PATH, "full", total, "s", note=note),
        Figure(_PATH, "full, until the shard index is committed", [full["sync"]["wall"]], "s"),
        Figure(
            _PATH,
            "next day",
            later,
            "s",
            _FULL,
            ratio_of(later, total),
            at_most(0.2, is_ratio=True),
            f"{next_day['changed']:,} names",
        ),
        Figure(_PATH, "next day, until the shard index is committed", [next_day["sync"]["wall"]], "s"),
        Figure(_PATH, "peak memory, full", [full["sync_peak"] / 1e9], "GB", aim=at_most(1)),
    ]

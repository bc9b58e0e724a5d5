"""The smaller documents of a channel: run_exports, channeldata, current_repodata."""

import json

import pytest

from headgate.conda.channeldata import render_channeldata, summarise
from headgate.conda.current import current_repodata
from headgate.conda.records import Record
from headgate.conda.run_exports import render_run_exports
from headgate.conda.shards import Shard
from headgate.kernel.errors import Invalid
from tests.unit.conda.making import wire_record


def shard_of(*records: Record, extension: str = ".conda") -> Shard:
    files = {f"{r['name']}-{r['version']}-{r['build']}{extension}": r for r in records}
    return Shard(conda=files) if extension == ".conda" else Shard(packages=files)


def test_run_exports_name_every_file() -> None:
    weak = {"weak": ["demo >=1"]}
    shards = [
        shard_of(wire_record("a", run_exports=weak)),
        Shard(
            packages={"b-1.0-0.tar.bz2": wire_record("b")},
            v3={
                "conda": {"b-3.0-0": wire_record("b", "3.0", run_exports=weak)},
                "tar.bz2": {"b-4.0-0": wire_record("b", "4.0")},
                "whl": {"b-4.0-py3-none-any": wire_record("b", "4.0")},
            },
        ),
    ]
    assert json.loads(b"".join(render_run_exports("linux-64", shards))) == {
        "info": {"platform": "linux", "arch": "64", "subdir": "linux-64", "version": 0},
        "packages": {"b-1.0-0.tar.bz2": {"run_exports": {}}, "b-4.0-0.tar.bz2": {"run_exports": {}}},
        "packages.conda": {"a-1.0-0.conda": {"run_exports": weak}, "b-3.0-0.conda": {"run_exports": weak}},
    }


def test_channeldata_speaks_of_the_newest() -> None:
    by_subdir = {
        "linux-64": shard_of(
            wire_record(version="1.10", timestamp=1_600_000_000, license="MIT", run_exports={"weak": ["demo 1.10"]}),
            wire_record(version="1.9", timestamp=1_700_000_000_000, license="GPL", run_exports={"strong": ["demo"]}),
        ),
        "noarch": shard_of(wire_record(version="1.2")),
        "win-64": Shard(removed=["demo-1.0-0.conda"]),
    }
    about = {"summary": "Demo.", "home": "https://x", "license": None, "post_link": True, "extra": 1, "doc_url": ""}
    entry = summarise("demo", by_subdir, about)
    assert entry == {
        "activate.d": False,
        "binary_prefix": False,
        "deactivate.d": False,
        "post_link": True,
        "pre_link": False,
        "pre_unlink": False,
        "text_prefix": False,
        "run_exports": {"1.10": {"weak": ["demo 1.10"]}, "1.9": {"strong": ["demo"]}},
        "subdirs": ["linux-64", "noarch"],
        "timestamp": 1_700_000_000,
        "version": "1.10",
        "license": "MIT",
        "summary": "Demo.",
        "home": "https://x",
    }
    document = json.loads(b"".join(render_channeldata(["noarch", "linux-64"], [("demo", entry)])))
    assert document == {"channeldata_version": 1, "subdirs": ["linux-64", "noarch"], "packages": {"demo": entry}}


def test_a_package_without_files_has_no_entry() -> None:
    with pytest.raises(Invalid) as error:
        summarise("demo", {"noarch": Shard()}, None)
    assert error.value.code == "package-empty"


def test_current_keeps_the_newest_and_what_it_needs() -> None:
    shards = [
        shard_of(
            wire_record("app", "2.0", depends=["lib >=1,<2", "absent", "__glibc >=2", "bad =="]),
            wire_record("app", "1.0", depends=["lib <1"]),
        ),
        shard_of(
            wire_record("lib", "2.0"),
            wire_record("lib", "1.5", depends=["deep 1.*"]),
            wire_record("lib", "1.5", "1", depends=["deep 1.*"]),
            wire_record("lib", "1.4"),
            wire_record("lib", "0.9"),
        ),
        shard_of(wire_record("deep", "3.0"), wire_record("deep", "1.0")),
        shard_of(wire_record("old", "1.0"), wire_record("old", "0.9"), extension=".tar.bz2"),
        Shard(removed=["gone-1.0-0.conda"]),
    ]
    kept = [sorted(filename for filename, _ in shard.records()) for shard in current_repodata(iter(shards))]
    assert kept == [
        ["app-2.0-0.conda"],
        ["lib-1.5-0.conda", "lib-1.5-1.conda", "lib-2.0-0.conda"],
        ["deep-1.0-0.conda", "deep-3.0-0.conda"],
        ["old-1.0-0.tar.bz2"],
    ]

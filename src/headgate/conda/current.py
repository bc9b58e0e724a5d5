"""current_repodata.json: the newest of everything and what that needs, for conda's classic solver.

That solver tries it before the whole of repodata, and falls back by itself when it cannot solve with it. It does not
know v3 records, so they are left out.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from headgate.conda.records import Record
from headgate.conda.shards import Shard, decode_shard, encode_shard
from headgate.conda.specs import age_key, matches, parse_spec
from headgate.kernel.errors import Invalid

_VERSION_OF_KEY = slice(2)


@dataclass(slots=True)
class _Package:
    """One package: what is kept of it, by file name, and all of it as a compressed shard, being many times larger."""

    kept: dict[str, Record]
    everything: bytes

    def keep_newest_match(self, spec_text: str) -> dict[str, Record]:
        """Keep the newest version that satisfies a spec none of the kept ones does; returns what was added."""
        try:
            spec = parse_spec(spec_text)
        except Invalid:
            return {}
        if any(matches(spec, record) for record in self.kept.values()):
            return {}
        records = _installable(decode_shard(self.everything))
        added = _newest({filename: record for filename, record in records.items() if matches(spec, record)})
        self.kept |= added
        return added


def current_repodata(shards: Iterable[Shard]) -> list[Shard]:
    """The newest version of every name, all its builds, and the newest versions that satisfy their dependencies.

    Shards come and go in the order of names, each with the records of one; every dependency that anything in `shards`
    satisfies is satisfied within the result.
    """
    packages = dict(_start(shards))
    waiting = [record for package in packages.values() for record in package.kept.values()]
    settled: set[str] = set()
    while waiting:
        for dependency in _depends(waiting.pop()):
            if dependency not in settled:
                settled.add(dependency)
                package = packages.get(_head(dependency))
                waiting += package.keep_newest_match(dependency).values() if package else ()
    return [_as_shard(package.kept) for package in packages.values()]


def _start(shards: Iterable[Shard]) -> Iterator[tuple[str, _Package]]:
    for shard in shards:
        records = _installable(shard)
        if records:
            name = str(next(iter(records.values())).get("name"))
            yield name, _Package(kept=_newest(records), everything=encode_shard(shard)[1])


def _installable(shard: Shard) -> dict[str, Record]:
    return shard.packages | shard.conda


def _newest(records: dict[str, Record]) -> dict[str, Record]:
    versions = {filename: age_key(record)[_VERSION_OF_KEY] for filename, record in records.items()}
    newest = max(versions.values(), default=None)
    return {filename: record for filename, record in records.items() if versions[filename] == newest}


def _depends(record: Record) -> list[str]:
    depends = record.get("depends")
    return [text for text in depends if isinstance(text, str)] if isinstance(depends, list) else []


def _head(dependency: str) -> str:
    """The package name of a dependency in its usual form, without parsing the rest."""
    return dependency.split(" ", 1)[0].split("[", 1)[0]


def _as_shard(records: dict[str, Record]) -> Shard:
    return Shard(
        packages={filename: record for filename, record in records.items() if filename.endswith(".tar.bz2")},
        conda={filename: record for filename, record in records.items() if not filename.endswith(".tar.bz2")},
    )

"""Writing the shards of an export: those that are new, the papers that go with them, and what of each name travels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO

import msgspec

from headgate.airgap.container import member
from headgate.airgap.listing import iter_files
from headgate.airgap.manifest import Manifest, Name
from headgate.airgap.papers import PaperFinder, Papers
from headgate.airgap.selection import Picked
from headgate.channels.shards import read_shards
from headgate.channels.sifting import Packed, Sieve
from headgate.conda.names import ArtifactName, Sha256
from headgate.conda.records import Record
from headgate.conda.shards import decode_stored, encode_shard
from headgate.db.engine import Database, chunks
from headgate.kernel.errors import Unavailable
from headgate.storage.local import BlobStore

_NAMES_AT_ONCE = 500


@dataclass(slots=True)
class Wanted:
    """The files that the bundle brings: the size of those that are in the store, and of all others how to fetch them."""

    store: BlobStore
    missing: dict[Sha256, tuple[str, ArtifactName, Record]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def add(self, sha256: Sha256, subdir: str, artifact: ArtifactName, listed: Record) -> None:
        """Note a file; one that is here leaves no more behind than its size."""
        if sha256 in self.sizes or sha256 in self.missing:
            return
        path = self.store.find(sha256)
        if path is None:
            self.missing[sha256] = (subdir, artifact, listed)
        else:
            self.sizes[sha256] = path.stat().st_size


@dataclass(frozen=True, slots=True)
class Basis:
    """What decides on the shards that travel: the bundle before, what was picked, and the policy that judges the rest."""

    earlier: Manifest | None
    picked: Picked | None
    sieve: Sieve | None


class ShardWriter:
    """Writes the shards that are new into one file and their papers into another; tells of each name what of it travels."""

    def __init__(
        self,
        database: Database,
        files: tuple[IO[bytes], IO[bytes]],
        wanted: Wanted,
        basis: Basis,
        finder: PaperFinder,
    ) -> None:
        self._database = database
        self._file, self._papers = files
        self._wanted = wanted
        self._basis = basis
        self._finder = finder
        self._written: set[bytes] = set()
        self._written_papers: set[str] = set()

    async def write(self, subdir: str, digests: Mapping[str, bytes]) -> dict[str, Name]:
        """The entries of a subdir's names; the sizes of files are not known yet."""
        state = None if self._basis.earlier is None else self._basis.earlier.subdirs.get(subdir)
        names: dict[str, Name] = {}
        for some in chunks(sorted(digests), _NAMES_AT_ONCE):
            bodies = await self._bodies(subdir, {name: digests[name] for name in some})
            papers = await self._finder.find(subdir, {name: body for name, (_, body) in bodies.items()})
            for name, (digest, body) in bodies.items():
                before = state.names.get(name) if state else None
                entry = self._entry(subdir, digest, body, before)
                names[name] = await self._with_papers(subdir, entry, papers[name], before) if name in papers else entry
        return names

    async def _with_papers(self, subdir: str, entry: Name, papers: Papers, before: Name | None) -> Name:
        signatures = papers.signatures_digest
        wanted = {*papers.sidecars, *(() if signatures is None else (signatures,))}
        had = frozenset() if before is None else before.paper_digests()
        brought = await self._finder.read(subdir, papers, wanted - had)
        for digest, body in sorted(brought.items()):
            if digest not in self._written_papers:
                self._written_papers.add(digest)
                self._papers.write(member(f"papers/{digest}", body))
        return msgspec.structs.replace(
            entry,
            papers={digest: len(body) for digest, body in brought.items()},
            papers_held=tuple(sorted(wanted & had)),
            signatures=signatures,
        )

    async def _bodies(self, subdir: str, digests: Mapping[str, bytes]) -> dict[str, Packed]:
        """The shards that travel; those of which nothing does are left out."""
        picked, sieve = self._basis.picked, self._basis.sieve
        if picked is not None:
            return {name: encode_shard(picked[subdir, name]) for name in digests}
        found = await read_bodies(self._database, subdir, digests)
        if sieve is None:
            return found
        sifted = await sieve.sift(subdir, found)
        return {name: one.passing for name, one in sifted.items() if one.passing is not None}

    def _entry(self, subdir: str, digest: bytes, body: bytes, before: Name | None) -> Name:
        if before is not None and before.shard == digest.hex():
            held = tuple(sorted(before.digests()))
            return Name(shard=before.shard, shard_bytes=before.shard_bytes, is_new=False, held=held)
        had = frozenset() if before is None else before.digests()
        files = {sha256: (artifact, listed) for artifact, sha256, listed in iter_files(decode_stored(body))}
        for sha256, (artifact, listed) in files.items():
            if sha256 not in had:
                self._wanted.add(sha256, subdir, artifact, listed)
        if digest not in self._written:
            self._written.add(digest)
            self._file.write(member(f"shards/{digest.hex()}", body))
        return Name(
            shard=digest.hex(),
            shard_bytes=len(body),
            is_new=True,
            files=dict.fromkeys((sha256 for sha256 in files if sha256 not in had), 0),
            held=tuple(sorted(sha256 for sha256 in files if sha256 in had)),
        )


async def read_bodies(database: Database, subdir: str, digests: Mapping[str, bytes]) -> dict[str, Packed]:
    """The published shards of some names of a subdir. Raises Unavailable `export-stale` when one has left meanwhile."""
    async with database.read() as connection:
        bodies = await read_shards(connection, digests.values())
    gone = [name for name, digest in digests.items() if digest not in bodies]
    if gone:
        raise Unavailable("export-stale", f"{subdir}/{gone[0]} changed while the bundle was made. Export again.")
    return {name: (digest, bodies[digest]) for name, digest in digests.items()}

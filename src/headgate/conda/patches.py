"""Hot-fixes: `patch_instructions.json` of a channel, applied to shards as conda-index applies them.

A fix replaces or deletes keys of records that exist. A fix of a `.tar.bz2` also holds for the `.conda` of the same
stem, and so do `revoke` (kept, but made impossible to install) and `remove` (withdrawn from the index).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Self

import msgspec

from headgate.conda.names import package_of
from headgate.conda.records import Record
from headgate.conda.shards import Shard
from headgate.kernel.errors import Invalid

REVOKED_DEPENDENCY = "package_has_been_revoked"
# What says which bytes a record means, and when we first saw it, is not for a hot-fix to change.
UNPATCHED = frozenset(
    {
        "name",
        "version",
        "build",
        "build_number",
        "subdir",
        "fn",
        "url",
        "md5",
        "sha256",
        "size",
        "legacy_bz2_md5",
        "legacy_bz2_size",
        "attestations_sha256",
        "indexed_timestamp",
    }
)

Fixes = dict[str, dict[str, Any]]


class PatchInstructions(msgspec.Struct, rename={"conda": "packages.conda", "version": "patch_instructions_version"}):
    """What to change: fixes by file name (`v3`: by group, then stem), and the file names to revoke and to remove."""

    version: int = 1
    packages: Fixes = {}
    conda: Fixes = {}
    v3: dict[str, Fixes] = {}
    revoke: list[str] = []
    remove: list[str] = []

    @classmethod
    def parse(cls, document: bytes) -> Self:
        """Read patch_instructions.json, version 1 or 2 (CEP 21). Raises Invalid `patch-invalid`."""
        try:
            patch = msgspec.json.decode(document, type=cls)
        except (ValueError, RecursionError) as error:
            raise Invalid("patch-invalid", f"This is not a patch_instructions.json: {error}.") from error
        if patch.version not in (0, 1, 2):
            raise Invalid("patch-invalid", f"Patch instructions of version {patch.version}; 1 and 2 are understood.")
        return patch

    @property
    def is_empty(self) -> bool:
        """Whether they change nothing."""
        return not (self.packages or self.conda or any(self.v3.values()) or self.revoke or self.remove)

    def names(self) -> set[str]:
        """The names of the packages touched; keys that name none are passed over."""
        keys = {*self.packages, *self.conda, *self.revoke, *self.remove}
        return {package_of(key) for key in keys.union(*self.v3.values()) if key.count("-") >= 2 and key[0] != "-"}


def apply_patches(shard: Shard, patch: PatchInstructions) -> Shard:
    """The shard with the instructions applied; the given one is left as it was.

    Untouched records are shared, and `removed` comes back sorted.
    """
    inherited = {_as_conda(filename): fix for filename, fix in patch.packages.items()}
    hand = _Hand(revoke=_both(patch.revoke), remove=_both(patch.remove), removed=set(shard.removed))
    return Shard(
        packages=hand.edit(shard.packages, [patch.packages]),
        conda=hand.edit(shard.conda, [inherited, patch.conda]),
        v3={group: hand.edit(records, [patch.v3.get(group, {})], f".{group}") for group, records in shard.v3.items()},
        removed=sorted(hand.removed),
    )


def _as_conda(filename: str) -> str:
    return filename.removesuffix(".tar.bz2") + ".conda" if filename.endswith(".tar.bz2") else filename


def _both(filenames: Iterable[str]) -> set[str]:
    return {form for filename in filenames for form in (filename, _as_conda(filename))}


@dataclass(slots=True)
class _Hand:
    """Goes through the maps of one shard; `removed` gathers what it takes out."""

    revoke: set[str]
    remove: set[str]
    removed: set[str]

    def edit(self, records: dict[str, Record], fixes: Sequence[Fixes], extension: str = "") -> dict[str, Record]:
        """One map, with fixes in the order given; `extension` completes its keys to file names."""
        edited = {}
        for key, record in records.items():
            if key + extension in self.remove:
                self.removed.add(key + extension)
                continue
            patched = reduce(_patched, (fix[key] for fix in fixes if key in fix), record)
            edited[key] = _revoked(patched) if key + extension in self.revoke else patched
        return edited


def _patched(record: Record, fix: dict[str, Any]) -> Record:
    kept = {key: value for key, value in record.items() if key not in fix or key in UNPATCHED}
    return kept | {key: value for key, value in fix.items() if value is not None and key not in UNPATCHED}


def _revoked(record: Record) -> Record:
    depends = [dependency for dependency in record.get("depends", []) if dependency != REVOKED_DEPENDENCY]
    return record | {"revoked": True, "depends": [*depends, REVOKED_DEPENDENCY]}

"""What a channel corrects in its records before it publishes them: patch instructions, and deprecated versions to avoid."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.conda.patches import PatchInstructions, apply_patches
from headgate.conda.records import Record
from headgate.conda.shards import Shard
from headgate.conda.specs import matches, parse_spec
from headgate.db import tables
from headgate.db.tables_life import deprecation

AVOIDED = "deprecated"
"""The feature that an avoided record tracks: conda, mamba and rattler choose one with fewer features if there is any."""


@dataclass(frozen=True, slots=True)
class Corrections:
    """Patch instructions, and the match specs to avoid, by package."""

    patch: PatchInstructions
    avoided: Mapping[str, Sequence[str]] = field(default_factory=dict)
    digest: bytes = b""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is corrected."""
        return self.patch.is_empty and not self.avoided

    def names(self) -> set[str]:
        """The packages that may be corrected."""
        return self.patch.names() | self.avoided.keys()

    def apply(self, shard: Shard) -> Shard:
        """The corrected shard; the given one is left as it was."""
        patched = shard if self.patch.is_empty else apply_patches(shard, self.patch)
        names = {str(record.get("name")) for _, record in patched.records()} if self.avoided else set()
        specs = [spec for name in names for spec in self.avoided.get(name, ())]
        return _avoiding(patched, specs) if specs else patched


def corrections_of(document: bytes, avoided: Mapping[str, Sequence[str]]) -> Corrections:
    """Corrections by these patch instructions. Raises Invalid `patch-invalid`."""
    digest = hashlib.sha256(document + msgspec.json.encode(avoided, order="sorted")).digest()
    return Corrections(PatchInstructions.parse(document), avoided, digest)


async def read_corrections(connection: AsyncConnection, channel_id: int, subdir: str) -> Corrections:
    """What holds for a subdir as this connection sees it."""
    columns = tables.subdir.c
    chosen = select(columns.patch).where(columns.channel_id == channel_id, columns.name == subdir)
    document = (await connection.execute(chosen)).scalar_one_or_none() or b"{}"
    return corrections_of(document, await read_avoided(connection, channel_id))


async def read_avoided(connection: AsyncConnection, channel_id: int) -> dict[str, list[str]]:
    """The match specs of deprecated versions that solvers are to avoid, by package."""
    columns = deprecation.c
    statement = select(columns.package, columns.spec).where(columns.channel_id == channel_id, columns.is_avoided)
    found: dict[str, list[str]] = {}
    for row in await connection.execute(statement.order_by(columns.spec)):
        found.setdefault(row.package, []).append(row.spec)
    return found


def _avoiding(shard: Shard, specs: Sequence[str]) -> Shard:
    wanted = [parse_spec(spec) for spec in specs]

    def edit(records: Mapping[str, Record]) -> dict[str, Record]:
        return {
            key: _tracking(record) if any(matches(spec, record) for spec in wanted) else record
            for key, record in records.items()
        }

    v3 = {group: edit(records) for group, records in shard.v3.items()}
    return Shard(packages=edit(shard.packages), conda=edit(shard.conda), v3=v3, removed=shard.removed)


def _tracking(record: Record) -> Record:
    features: Any = record.get("track_features") or ""
    known = features if isinstance(features, list) else str(features).replace(",", " ").split()
    if AVOIDED in known:
        return record
    more = [*known, AVOIDED]
    return record | {"track_features": more if isinstance(features, list) else " ".join(more)}

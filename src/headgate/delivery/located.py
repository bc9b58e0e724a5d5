"""From a name that a client asks for to what is known of its bytes."""

from collections import OrderedDict
from dataclasses import dataclass

import msgspec
from sqlalchemy import select

from headgate.channels.catalog import Catalog
from headgate.channels.maps import Maps
from headgate.channels.model import Channel, ChannelKind, SubdirState
from headgate.channels.shards import ShardCache
from headgate.conda.names import ArtifactName, Sha256
from headgate.conda.records import Record, from_wire
from headgate.conda.shards import decode_stored
from headgate.db import tables
from headgate.db.engine import Database
from headgate.kernel.errors import NotFound, Refused

_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Located:
    """An artifact of a channel that serves bytes itself (never a virtual one), with what its record promises."""

    channel: Channel
    subdir: SubdirState
    artifact: ArtifactName
    record: Record
    sha256: Sha256
    size_bytes: int | None


class Locator:
    """Finds artifacts through the published maps: what the index does not list is not there."""

    def __init__(self, database: Database, catalog: Catalog, maps: Maps, shards: ShardCache) -> None:
        self._database = database
        self._catalog = catalog
        self._maps = maps
        self._shards = shards
        self._records: OrderedDict[tuple[bytes, str], Record] = OrderedDict()

    async def locate(self, channel: Channel, subdir: str, artifact: ArtifactName) -> Located:
        """The artifact, in the member that brings it when the channel is virtual.

        Raises NotFound `artifact-unknown`; Refused `artifact-unverifiable` for a record without sha256.
        """
        state = channel.subdirs.get(subdir)
        record = None if state is None else await self._listed(state, artifact)
        if record is None and state is not None:
            record = await self._unlisted(state, artifact)
        if record is None or state is None:
            raise NotFound("artifact-unknown", f"There is no {artifact} in {channel.name}/{subdir}.")
        if "sha256" not in record:
            raise Refused(
                "artifact-unverifiable", f"The record of {artifact} has no sha256, so its bytes cannot be verified."
            )
        if channel.kind is ChannelKind.VIRTUAL:
            return await self._in_member(channel, subdir, artifact, record)
        return Located(channel, state, artifact, record, Sha256(record["sha256"]), record.get("size"))

    async def _listed(self, state: SubdirState, artifact: ArtifactName) -> Record | None:
        digest = (self._maps.find_hot(state) or await self._maps.get(state)).digests.get(artifact.name)
        if digest is None:
            return None
        key = (digest, artifact.filename)
        if key not in self._records:
            body = await self._shards.find(digest)
            wire = None if body is None else decode_stored(body).find(artifact.filename)
            if wire is None:
                return None
            self._records[key] = from_wire(wire)
            if len(self._records) > _REMEMBERED:
                self._records.popitem(last=False)
        return self._records[key]

    async def _unlisted(self, state: SubdirState, artifact: ArtifactName) -> Record | None:
        """The record of a file that we hold though the index no longer lists it: a yanked one, for instance."""
        columns = tables.artifact.c
        async with self._database.read() as connection:
            found = await connection.execute(
                select(columns.record).where(
                    columns.subdir_id == state.id, columns.filename == artifact.filename, columns.status != "deleted"
                )
            )
            body = found.scalar_one_or_none()
        return None if body is None else msgspec.json.decode(body, type=dict)

    async def _in_member(self, channel: Channel, subdir: str, artifact: ArtifactName, record: Record) -> Located:
        for source in channel.sources:
            member = self._catalog.find(source.member or "")
            if member is None:
                continue
            try:
                found = await self.locate(member, subdir, artifact)
            except NotFound:
                continue
            if found.sha256 == record["sha256"]:
                return found
        raise NotFound("artifact-unknown", f"No member of {channel.name} has {artifact} any more.")

"""From a name that a client asks for to what is known of its bytes."""

from collections import OrderedDict
from dataclasses import dataclass, replace

import msgspec
from sqlalchemy import select

from headgate.channels.artifacts import LAPSED, verdict_of_lapsed
from headgate.channels.catalog import Catalog
from headgate.channels.gatekeeper import Gatekeeper, refuse
from headgate.channels.maps import Maps
from headgate.channels.model import Channel, ChannelKind, SubdirState
from headgate.channels.shards import ShardCache
from headgate.conda.names import ArtifactName, Sha256
from headgate.conda.records import Record, from_wire
from headgate.conda.shards import decode_stored
from headgate.db import tables
from headgate.db.engine import Database
from headgate.kernel.errors import NotFound, Refused
from headgate.policy.verdicts import ALLOWED

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
    shown_by: tuple[tuple[Channel, SubdirState], ...] = ()
    """The virtual channels on the way to it, the one that was asked first."""


class Locator:
    """Finds artifacts through the published maps: what the index does not list is not there."""

    def __init__(
        self, database: Database, catalog: Catalog, maps: Maps, shards: ShardCache, gatekeeper: Gatekeeper
    ) -> None:
        self._gatekeeper = gatekeeper
        self._database = database
        self._catalog = catalog
        self._maps = maps
        self._shards = shards
        self._records: OrderedDict[tuple[bytes, str], Record] = OrderedDict()

    async def locate(self, channel: Channel, subdir: str, artifact: ArtifactName) -> Located:
        """The artifact, in the member that brings it when the channel is virtual.

        Raises NotFound `artifact-unknown`; Refused `artifact-unverifiable` for a record without sha256, `policy-blocked`
        or `policy-held` for a file that is missing because the gate keeps it out, `approval-ended`.
        """
        found = await self._find(channel, subdir, artifact)
        if found is None:
            verdict = await self._gatekeeper.find_withheld(channel, subdir, artifact)
            refuse(channel, artifact, subdir, verdict or ALLOWED)
            raise NotFound("artifact-unknown", f"There is no {artifact} in {channel.name}/{subdir}.")
        return found

    async def _find(self, channel: Channel, subdir: str, artifact: ArtifactName) -> Located | None:
        state = channel.subdirs.get(subdir)
        record = None if state is None else await self._listed(state, artifact)
        if record is None and state is not None:
            record = await self._unlisted(state, artifact)
        if record is None or state is None:
            return None
        if "sha256" not in record:
            raise Refused(
                "artifact-unverifiable", f"The record of {artifact} has no sha256, so its bytes cannot be verified."
            )
        if channel.kind is ChannelKind.VIRTUAL:
            return await self._in_member(channel, state, artifact, record)
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
                select(columns.record, columns.status, columns.ends_at).where(
                    columns.subdir_id == state.id, columns.filename == artifact.filename, columns.status != "deleted"
                )
            )
            row = found.one_or_none()
        if row is not None and row.status == LAPSED:
            reason = verdict_of_lapsed(row.ends_at).reasons[0]
            raise Refused("approval-ended", f"{artifact}: {reason.fact} {reason.remedy}", [reason.sentence])
        return None if row is None else msgspec.json.decode(row.record, type=dict)

    async def _in_member(
        self, channel: Channel, state: SubdirState, artifact: ArtifactName, record: Record
    ) -> Located | None:
        for source in channel.sources:
            member = self._catalog.find(source.member or "")
            found = None if member is None else await self._find(member, state.name, artifact)
            if found is not None and found.sha256 == record["sha256"]:
                return replace(found, shown_by=((channel, state), *found.shown_by))
        return None

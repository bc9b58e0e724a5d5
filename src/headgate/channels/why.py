"""Why a file may pass, or may not: the gate's verdicts on single records of a channel, with their reasons."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.channels.artifacts import LAPSED, verdict_of_lapsed
from headgate.channels.consistency import HIDDEN
from headgate.channels.gating import judge_knowing
from headgate.channels.model import Channel, ChannelKind
from headgate.channels.revisions import World, read_chains, read_setting
from headgate.channels.shards import read_shards
from headgate.channels.sources import read_published
from headgate.conda.names import ArtifactName
from headgate.conda.records import RecordView, from_wire, to_wire
from headgate.conda.shards import decode_stored
from headgate.db import tables
from headgate.db.engine import Database
from headgate.kernel.errors import Invalid
from headgate.policy.gate import Gate
from headgate.policy.proofs import ABSENT, Proof
from headgate.policy.specs import Spec, parse_policy_spec
from headgate.policy.verdicts import Evaluation, Verdict

# Held by channels without policies: everything passes.
_OPEN = Gate(())


@dataclass(frozen=True, slots=True)
class Explanation:
    """One file and what the gate of `channel` says of it; in a virtual channel that may be a member's gate."""

    channel: str
    subdir: str
    filename: str
    verdict: Verdict
    valid_until: datetime | None
    signature: Proof
    attestation: Proof
    record: RecordView
    """In its wire form, as it was judged."""
    ends_at: datetime | None = None
    """Until when the file may stay, where its approval has an end."""

    def as_json(self) -> dict[str, Any]:
        """What the API shows."""
        return {
            "channel": self.channel,
            "subdir": self.subdir,
            "filename": self.filename,
            "outcome": self.verdict.outcome,
            "is_passing": self.verdict.is_passing,
            "reasons": [one.as_json() for one in self.verdict.reasons],
            "valid_until": self.valid_until,
            "signature": self.signature.as_json(),
            "attestation": self.attestation.as_json(),
            "ends_at": self.ends_at,
        }


async def explain_file(database: Database, world: World, channel: Channel, place: str) -> list[Explanation]:
    """Verdicts on `subdir/filename`, or on the file in every subdir. Raises Invalid `artifact-name-invalid`."""
    subdir, _, filename = place.rpartition("/")
    artifact = ArtifactName.parse(filename)
    async with database.read() as connection:
        return [
            one
            for name in ([subdir] if subdir else sorted(channel.subdirs))
            for one in await _explain(connection, world, channel, name, artifact.name)
            if one.filename == filename
        ]


async def explain_spec(database: Database, world: World, channel: Channel, text: str) -> list[Explanation]:
    """Verdicts on every record that matches a spec; its name must be exact. Raises Invalid `match-spec-invalid`."""
    spec = parse_policy_spec(text)
    if spec.exact_name is None:
        raise Invalid("match-spec-invalid", f"{text[:80]!r} names no single package; ask for one at a time.")
    found = []
    async with database.read() as connection:
        for subdir in sorted(channel.subdirs):
            found.extend(await _explain(connection, world, channel, subdir, spec.exact_name, spec))
    return found


async def _explain(
    connection: AsyncConnection, world: World, channel: Channel, subdir: str, name: str, spec: Spec | None = None
) -> list[Explanation]:
    gate = world.gate_of(channel) or _OPEN
    setting = await read_setting(connection, world, channel, subdir, gate)
    chain = (await read_chains(connection, channel, subdir, [name])).get(name, ())
    found: dict[str, Explanation] = {}
    if chain:
        evaluation, facts = await judge_knowing(connection, setting, name, chain, has_proofs=True)
        hidden = await _hidden(connection, channel, subdir, name, evaluation)
        for filename, record in evaluation.judged.records():
            if spec is None or spec.surely_matches(from_wire(record)):
                verdict = evaluation.verdict(filename)
                if verdict.is_passing and filename in hidden:
                    verdict = HIDDEN
                found[filename] = Explanation(
                    channel.name,
                    subdir,
                    filename,
                    verdict,
                    evaluation.valid_until,
                    facts.signatures.get(filename, ABSENT),
                    facts.attestations.get(filename, ABSENT),
                    record,
                )
    if channel.kind is ChannelKind.HOSTED and subdir in channel.subdirs:
        await _add_ends(connection, channel, subdir, name, found, spec)
    if channel.kind is ChannelKind.VIRTUAL:
        for source in channel.sources:
            member = world.channels.get(source.member_id or 0)
            for one in await _explain(connection, world, member, subdir, name, spec) if member else ():
                found.setdefault(one.filename, one)
    return sorted(found.values(), key=lambda one: one.filename)


async def _add_ends(
    connection: AsyncConnection, channel: Channel, subdir: str, name: str, found: dict[str, Explanation],
    spec: Spec | None,
) -> None:  # fmt: skip
    """Say of files how long they may stay, and of those that may not any more that their approval has ended."""
    columns = tables.artifact.c
    rows = await connection.execute(
        select(columns.filename, columns.status, columns.ends_at, columns.record).where(
            columns.subdir_id == channel.subdirs[subdir].id, columns.package == name, columns.ends_at.is_not(None)
        )
    )
    for row in rows:
        if row.filename in found:
            found[row.filename] = replace(found[row.filename], ends_at=row.ends_at)
        elif row.status == LAPSED:
            record = msgspec.json.decode(row.record, type=dict)
            if spec is None or spec.surely_matches(record):
                found[row.filename] = Explanation(
                    channel.name, subdir, row.filename, verdict_of_lapsed(row.ends_at), None, ABSENT, ABSENT,
                    to_wire(record), row.ends_at,
                )  # fmt: skip


async def _hidden(
    connection: AsyncConnection, channel: Channel, subdir: str, name: str, evaluation: Evaluation
) -> set[str]:
    """Files that pass, and are not listed because they could not be installed."""
    if not channel.settings.is_hiding_broken:
        return set()
    digests = await read_published(connection, channel.id, subdir, [name])
    bodies = await read_shards(connection, digests.values())
    listed = {filename for body in bodies.values() for filename, _ in decode_stored(body).records()}
    return {filename for filename, _ in evaluation.published.records()} - listed

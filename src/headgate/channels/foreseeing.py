"""What the gate of a channel would say of files that are not in it yet."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.channels.gating import judge_name
from headgate.channels.model import Channel
from headgate.channels.revisions import World, read_chains, read_setting
from headgate.conda.names import ArtifactName
from headgate.conda.records import Record, to_wire
from headgate.conda.shards import Shard
from headgate.policy.verdicts import Verdict


def shard_of(records: Mapping[str, Record]) -> Shard:
    """A shard of records in JSON form, by file name."""
    shard = Shard(packages={}, conda={}, v3={}, removed=[])
    for filename, record in records.items():
        artifact, wire = ArtifactName.parse(filename), to_wire(record)
        if wire.get("schema_version", 1) >= 3:
            shard.v3.setdefault(artifact.extension.removeprefix("."), {})[artifact.stem] = wire
        else:
            (shard.conda if artifact.extension == ".conda" else shard.packages)[filename] = wire
    return shard


async def foresee(
    connection: AsyncConnection, world: World, channel: Channel, subdir: str, records: Mapping[str, Record]
) -> dict[str, Verdict]:
    """The verdicts of those files (records in JSON form, by file name) that the channel's gate would hold back."""
    gate = world.gate_of(channel)
    if gate is None or not records:
        return {}
    setting = await read_setting(connection, world, channel, subdir, gate)
    by_name: dict[str, dict[str, Record]] = defaultdict(dict)
    for filename, record in records.items():
        by_name[ArtifactName.parse(filename).name][filename] = record
    chains = await read_chains(connection, channel, subdir, by_name)
    held: dict[str, Verdict] = {}
    for name, some in by_name.items():
        evaluation = await judge_name(connection, setting, name, chains.get(name, ()), shard_of(some))
        verdicts = {filename: evaluation.verdict(filename) for filename in some}
        held |= {filename: verdict for filename, verdict in verdicts.items() if not verdict.is_passing}
    return held


def sentences(verdicts: Iterable[Verdict]) -> list[str]:
    """Why, for people."""
    return [one.sentence for verdict in verdicts for one in verdict.reasons if not one.outcome.is_passing]

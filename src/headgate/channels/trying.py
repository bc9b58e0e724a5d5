"""Do these specs still solve? Asked of a channel as it is, and as a draft would make it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.channels.gating import compose, read_told
from headgate.channels.model import Channel
from headgate.channels.revisions import World, read_chains, read_setting
from headgate.channels.shards import read_shards
from headgate.channels.simulation import Draft
from headgate.conda.shards import Shard
from headgate.conda.solving import Solved, solve_shards
from headgate.db.engine import Database
from headgate.kernel.errors import Invalid
from headgate.policy.gate import Gate
from headgate.policy.specs import parse_policy_spec

_OPEN = Gate(())
_MOST_NAMES = 20_000


@dataclass(slots=True)
class _Both:
    """The published shards of one subdir, before and after."""

    before: list[Shard] = field(default_factory=list)
    after: list[Shard] = field(default_factory=list)


async def try_specs(
    database: Database, world: World, channel: Channel, draft: Draft, specs: Sequence[str], platform: str
) -> tuple[Solved, Solved]:
    """Solve the specs before and after. Raises Invalid `match-spec-invalid` for a spec without an exact name."""
    changed = replace(world, policies=draft.on(world.policies))
    gates = world.gate_of(channel) or _OPEN, changed.gate_of(channel) or _OPEN
    subdirs = {subdir: _Both() for subdir in (platform, "noarch") if subdir in channel.subdirs}
    wanted, seen = {_name(spec) for spec in specs}, set[str]()
    async with database.read() as connection:
        while wanted and len(seen) < _MOST_NAMES:
            seen |= wanted
            found: set[str] = set()
            for subdir, both in subdirs.items():
                found |= await _gather(connection, world, channel, subdir, gates, wanted, both)
            wanted = found - seen
    before = await solve_shards({subdir: both.before for subdir, both in subdirs.items()}, specs, platform)
    return before, await solve_shards({subdir: both.after for subdir, both in subdirs.items()}, specs, platform)


async def _gather(
    connection: AsyncConnection,
    world: World,
    channel: Channel,
    subdir: str,
    gates: tuple[Gate, Gate],
    names: set[str],
    into: _Both,
) -> set[str]:
    """Judge the shards of these names by both gates; the names that they depend on."""
    setting = await read_setting(connection, world, channel, subdir, gates[0])
    chains = await read_chains(connection, channel, subdir, names)
    told = await read_told(connection, replace(setting, gate=Gate((*gates[0].attached, *gates[1].attached))), names)
    bodies = await read_shards(connection, (digest for chain in chains.values() for _, digest in chain))
    needed: set[str] = set()
    for name, chain in chains.items():
        shard, facts = compose(setting, name, chain, bodies, told)
        into.before.append(gates[0].evaluate(shard, facts, setting.now).published)
        into.after.append(gates[1].evaluate(shard, facts, setting.now).published)
        needed.update(_names(into.before[-1]), _names(into.after[-1]))
    return needed


def _names(shard: Shard) -> Iterable[str]:
    for _, record in shard.records():
        for dependency in record.get("depends") or ():
            head = str(dependency).partition(" ")[0].partition("[")[0]
            if head and not head.startswith("__"):
                yield head.lower()


def _name(spec: str) -> str:
    name = parse_policy_spec(spec).exact_name
    if name is None:
        raise Invalid("match-spec-invalid", f"{spec[:80]!r} names no single package; give one at a time.")
    return name

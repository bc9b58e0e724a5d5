"""What of the published shards would pass if a policy were enforced here, whatever its mode is and wherever it holds.

Judged by the channel's whole gate with that policy in it, at one moment. Shards are taken as they were published, so what
is told of them holds for them, though the sources have moved on since.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec

from headgate.channels.gating import Chain, Setting, Told, compose, read_told, rule_quickly
from headgate.channels.model import Channel
from headgate.channels.policing import PolicyService, PolicyState, Target, scope_of
from headgate.channels.revisions import World, read_chains, read_setting, read_world
from headgate.channels.shards import read_shards
from headgate.channels.simulation import Draft
from headgate.conda.shards import Shard, decode_stored, encode_shard
from headgate.db.engine import Database
from headgate.kernel import clock
from headgate.policy.gate import Gate, Judging
from headgate.policy.model import Mode, Policy
from headgate.policy.verdicts import Verdict

Packed = tuple[bytes, bytes]
"""The digest of a shard, and its bytes."""


@dataclass(frozen=True, slots=True)
class Sifted:
    """What of a published shard passes (None: nothing does), and the verdicts that keep the rest back, by file name."""

    passing: Packed | None
    held: Mapping[str, Verdict] = field(default_factory=dict)


class Sieve:
    """Judges the published shards of one channel; `held_back` counts the records that did not pass."""

    def __init__(self, database: Database, world: World, channel: Channel, state: PolicyState, gate: Gate) -> None:
        self.state = state
        self.held_back = 0
        self._database = database
        self._world = world
        self._channel = channel
        self._gate = gate
        self._now: datetime = clock.now()
        self._settings: dict[str, Setting] = {}

    async def sift(self, subdir: str, published: Mapping[str, Packed]) -> dict[str, Sifted]:
        """Judge the shards of some names, at most some hundreds."""
        async with self._database.read() as connection:
            if subdir not in self._settings:
                self._settings[subdir] = await read_setting(
                    connection, self._world, self._channel, subdir, self._gate, self._now
                )
            setting = self._settings[subdir]
            chains = await read_chains(connection, self._channel, subdir, published.keys())
            told = await read_told(connection, setting, published.keys())
            bodies = dict(published.values())
            bodies |= await read_shards(connection, _others(chains, bodies))
        found = await asyncio.to_thread(_sift_all, setting, published, chains, bodies, told)
        self.held_back += sum(len(one.held) for one in found.values())
        return found


async def open_sieve(database: Database, channel: Channel, name: str) -> Sieve:
    """One that judges as of now. Raises NotFound `policy-unknown`."""
    state = await PolicyService(database).get(name)
    async with database.read() as connection:
        attachment = await scope_of(connection, Target(channel=channel.name))
        world = await read_world(connection)
    draft = Draft(policy=replace(state.policy, mode=Mode.ENFORCE), attachment=attachment)
    world = replace(world, policies=draft.on(world.policies))
    return Sieve(database, world, channel, state, world.gate_of(channel) or Gate(()))


def meaning_of(policy: Policy) -> str:
    """A sha256 in hex that changes when the policy comes to say something else; its mode is no part of that."""
    rules = {key: value for key, value in policy.document.items() if key != "mode"}
    return hashlib.sha256(msgspec.json.encode(rules, order="sorted", enc_hook=str)).hexdigest()


def _others(chains: Mapping[str, Chain], known: Mapping[bytes, bytes]) -> set[bytes]:
    return {digest for chain in chains.values() for _, digest in chain if digest not in known}


def _sift_all(
    setting: Setting,
    published: Mapping[str, Packed],
    chains: Mapping[str, Chain],
    bodies: Mapping[bytes, bytes],
    told: Told,
) -> dict[str, Sifted]:
    judging = Judging(setting.gate, setting.now)
    return {
        name: _sift_quickly(setting, judging, name, packed, chains.get(name, ()), bodies, told)
        or _sift_closely(setting, name, packed, chains.get(name, ()), bodies, told)
        for name, packed in published.items()
    }


def _sift_quickly(
    setting: Setting,
    judging: Judging,
    name: str,
    packed: Packed,
    chain: Chain,
    bodies: Mapping[bytes, bytes],
    told: Told,
) -> Sifted | None:
    """None: only a close look will do, as for every shard that is not published as its one source has it."""
    if [digest for _, digest in chain] != [packed[0]]:
        return None
    quick = rule_quickly(setting, [judging], name, chain, bodies, told)
    if quick is None:
        return None
    glance, (ruling,) = quick
    held = ruling.held_back
    return Sifted(glance.fragments.encode_without(held), held) if held else Sifted(packed)


def _sift_closely(
    setting: Setting, name: str, packed: Packed, chain: Chain, bodies: Mapping[bytes, bytes], told: Told
) -> Sifted:
    shard = decode_stored(packed[1])
    # As it was published, before whatever the sources say of the same files now.
    judged, facts = compose(setting, name, chain, bodies, told, shard)
    verdicts = setting.gate.evaluate(judged, facts, setting.now).held_back
    listed = [filename for filename, _ in shard.records()]
    held = {filename: verdicts[filename] for filename in listed if filename in verdicts}
    return Sifted(_packed(shard, listed, held), held) if held else Sifted(packed)


def _packed(shard: Shard, listed: Iterable[str], held: Mapping[str, Verdict]) -> Packed | None:
    left = shard.only({filename for filename in listed if filename not in held})
    return None if left.is_empty else encode_shard(left)

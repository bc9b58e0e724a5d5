"""What would be: a draft policy or exemption tried on a channel, record by record, without changing anything."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import msgspec

from headgate.channels.gating import Chain, Setting, Told, compose, read_told, rule_quickly
from headgate.channels.model import Channel
from headgate.channels.policies import Attachment, PolicyBook
from headgate.channels.revisions import World, read_chains, read_setting
from headgate.channels.shards import read_shards
from headgate.conda.specs import age_key
from headgate.db.engine import Database
from headgate.policy.exemptions import Exemption
from headgate.policy.gate import Gate, Judging
from headgate.policy.model import Policy
from headgate.policy.verdicts import Ruling, Verdict

_BATCH = 1_000
_OPEN = Gate(())


class Change(msgspec.Struct, frozen=True, gc=False):
    """A record that would appear or disappear, with the rules that held it back before, or would.

    `downloads`: how often it was downloaded lately, where somebody counted.
    """

    subdir: str
    filename: str
    name: str
    version: str
    rules: tuple[str, ...]
    downloads: int = 0


@dataclass(slots=True)
class Simulation:
    """What a draft would change in a channel.

    `lost`: names that would lose their last version, per subdir. `next_versions`: for names that lose records, the
    oldest version that passes above what they lose, or else the newest that passes at all.
    """

    names: int = 0
    appearing: list[Change] = field(default_factory=list)
    disappearing: list[Change] = field(default_factory=list)
    lost: list[tuple[str, str]] = field(default_factory=list)
    next_versions: dict[str, str | None] = field(default_factory=dict)

    @property
    def leaving(self) -> set[tuple[str, str]]:
        """(subdir, filename) of what would disappear."""
        return {(one.subdir, one.filename) for one in self.disappearing}

    def by_rule(self) -> tuple[Counter[str], Counter[str]]:
        """How many records would appear, and disappear, by `policy/rule`."""
        return _count(self.appearing), _count(self.disappearing)

    def by_name(self) -> tuple[Counter[str], Counter[str]]:
        """The same by package name."""
        return Counter(one.name for one in self.appearing), Counter(one.name for one in self.disappearing)

    def weigh(self, downloads: Mapping[tuple[str, str], int]) -> None:
        """Note how often each record was downloaded, by (subdir, file name); the most downloaded come first then."""
        self.appearing, self.disappearing = _weighed(self.appearing, downloads), _weighed(self.disappearing, downloads)

    def downloads_by_rule(self) -> Counter[str]:
        """Downloads of what would disappear, by the rule that takes it away."""
        return _sum((rule, one.downloads) for one in self.disappearing for rule in one.rules)

    def downloads_by_name(self) -> Counter[str]:
        """The same by package name."""
        return _sum((one.name, one.downloads) for one in self.disappearing)


def _weighed(changes: Iterable[Change], downloads: Mapping[tuple[str, str], int]) -> list[Change]:
    found = [
        msgspec.structs.replace(one, downloads=count)
        if (count := downloads.get((one.subdir, one.filename), 0))
        else one
        for one in changes
    ]
    return sorted(found, key=lambda one: -one.downloads)


def _sum(pairs: Iterable[tuple[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for key, number in pairs:
        if number:
            total[key] += number
    return total


def _count(changes: Iterable[Change]) -> Counter[str]:
    return Counter(rule for one in changes for rule in one.rules)


@dataclass(frozen=True, slots=True)
class Draft:
    """A policy as if it were attached (and enforced) there, or an exemption as if it were made."""

    policy: Policy | None = None
    exemption: Exemption | None = None
    attachment: Attachment | None = None

    def on(self, book: PolicyBook) -> PolicyBook:
        """The book with the draft in it."""
        if self.policy is not None and self.attachment is not None:
            book = book.with_policy(self.policy, replace(self.attachment, policy=self.policy.name))
        return book if self.exemption is None else book.with_exemption(self.exemption)


async def simulate(database: Database, world: World, channel: Channel, draft: Draft) -> Simulation:
    """Try a draft on every subdir of a channel."""
    after = replace(world, policies=draft.on(world.policies))
    old, new = world.gate_of(channel) or _OPEN, after.gate_of(channel) or _OPEN
    result = Simulation()
    async with database.read() as connection:
        for subdir in sorted(channel.subdirs):
            setting = await read_setting(connection, world, channel, subdir, old)
            chains = await read_chains(connection, channel, subdir, None)
            told = await read_told(connection, replace(setting, gate=_both(old, new)), chains.keys())
            result.names += len(chains)
            names = sorted(chains)
            for start in range(0, len(names), _BATCH):
                some = {name: chains[name] for name in names[start : start + _BATCH]}
                bodies = await read_shards(connection, (digest for chain in some.values() for _, digest in chain))
                await asyncio.to_thread(_compare_all, setting, (old, new), some, bodies, told, result)
    return result


def _both(old: Gate, new: Gate) -> Gate:
    return Gate((*old.attached, *new.attached))


def _compare_all(
    setting: Setting,
    gates: Sequence[Gate],
    chains: Mapping[str, Chain],
    bodies: Mapping[bytes, bytes],
    told: Told,
    into: Simulation,
) -> None:
    judgings = [Judging(gate, setting.now) for gate in gates]
    for name, chain in chains.items():
        quick = rule_quickly(setting, judgings, name, chain, bodies, told)
        if quick is not None:
            glance, (before, after) = quick
            if before.verdicts or after.verdicts:
                _compare(setting.subdir, name, (before, after), glance.version_of, into)
        else:
            shard, facts = compose(setting, name, chain, bodies, told)
            versions = {filename: str(record.get("version")) for filename, record in shard.records()}
            before, after = (gate.evaluate(shard, facts, setting.now) for gate in gates)
            _compare(setting.subdir, name, (before, after), versions, into)


def _compare(
    subdir: str, name: str, rulings: tuple[Ruling, Ruling], versions: Mapping[str, str], into: Simulation
) -> None:
    before, after = rulings[0].held_back, rulings[1].held_back
    rules = {
        key: tuple(sorted({f"{policy}/{rule}" for policy, rule in one.rules}))
        for key, one in (rulings[0].distinct | rulings[1].distinct).items()
    }

    def changes(filenames: Iterable[str], held: Mapping[str, Verdict]) -> list[Change]:
        return [
            Change(subdir, filename, name, versions[filename], rules[id(held[filename])])
            for filename in sorted(filenames)
        ]

    into.appearing += changes(before.keys() - after.keys(), before)
    gone = changes(after.keys() - before.keys(), after)
    into.disappearing += gone
    if gone:
        passing = {version for filename, version in versions.items() if filename not in after}
        if not passing:
            into.lost.append((subdir, name))
        into.next_versions[name] = _next_version({one.version for one in gone}, passing)


def _next_version(gone: Collection[str], passing: Collection[str]) -> str | None:
    newest_gone = max(map(_order, gone))[:2]
    above = [one for one in passing if _order(one)[:2] > newest_gone]
    return min(above, key=_order) if above else max(passing, key=_order, default=None)


@lru_cache(maxsize=16_384)
def _order(version: str) -> tuple[Any, ...]:
    return (*age_key({"version": version})[:2], version)

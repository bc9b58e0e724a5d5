"""What would be: a draft policy or exemption tried on a channel, record by record, without changing anything."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from headgate.channels.gating import Chain, Setting, Told, compose, read_told
from headgate.channels.model import Channel
from headgate.channels.policies import Attachment, PolicyBook
from headgate.channels.revisions import World, read_chains, read_setting
from headgate.channels.shards import read_shards
from headgate.conda.specs import age_key
from headgate.db.engine import Database
from headgate.policy.exemptions import Exemption
from headgate.policy.facts import Facts
from headgate.policy.gate import Gate, Look
from headgate.policy.glance import Glance
from headgate.policy.model import Policy
from headgate.policy.verdicts import Evaluation

_BATCH = 1_000
_OPEN = Gate(())


@dataclass(frozen=True, slots=True)
class Change:
    """A record that would appear or disappear, with the rules that held it back before, or would."""

    subdir: str
    filename: str
    name: str
    version: str
    rules: tuple[str, ...]


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

    def by_rule(self) -> tuple[Counter[str], Counter[str]]:
        """How many records would appear, and disappear, by `policy/rule`."""
        return _count(self.appearing), _count(self.disappearing)

    def by_name(self) -> tuple[Counter[str], Counter[str]]:
        """The same by package name."""
        return Counter(one.name for one in self.appearing), Counter(one.name for one in self.disappearing)


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
                await asyncio.to_thread(_try_all, setting, new, some, bodies, told, result)
    return result


def _both(old: Gate, new: Gate) -> Gate:
    return Gate((*old.attached, *new.attached))


def _try_all(
    setting: Setting,
    new: Gate,
    chains: Mapping[str, Chain],
    bodies: Mapping[bytes, bytes],
    told: Told,
    into: Simulation,
) -> None:
    patched = setting.corrections.names()
    for name, chain in chains.items():
        looks = (None, None) if name in patched or len(chain) > 1 else _looks(setting, new, name, chain, bodies, told)
        if any(look is None or look.is_needed for look in looks):
            shard, facts = compose(setting, name, chain, bodies, told)
            before = setting.gate.evaluate(shard, facts, setting.now, looks[0])
            _compare(setting.subdir, name, before, new.evaluate(shard, facts, setting.now, looks[1]), into)


def _looks(
    setting: Setting, new: Gate, name: str, chain: Chain, bodies: Mapping[bytes, bytes], told: Told
) -> tuple[Look | None, Look | None]:
    source, digest = chain[0]
    facts = Facts(name=name, origin=setting.origin(source), owner=told.owners.get(name), book=setting.book)
    try:
        glance = Glance(bodies[digest])
        return setting.gate.look(glance, facts, setting.now), new.look(glance, facts, setting.now)
    except Exception:  # noqa: BLE001 - whatever is odd about it, the close look says
        return None, None


def _compare(subdir: str, name: str, before: Evaluation, after: Evaluation, into: Simulation) -> None:
    old, new = (
        {file for file, _ in before.published.records()},
        {file for file, _ in after.published.records()},
    )
    records = dict(before.judged.records())

    def changes(filenames: Iterable[str], told: Evaluation) -> list[Change]:
        return [
            Change(
                subdir,
                filename,
                name,
                str(records[filename].get("version")),
                tuple(sorted({f"{policy}/{rule}" for policy, rule in told.verdict(filename).rules})),
            )
            for filename in sorted(filenames)
        ]

    into.appearing += changes(new - old, before)
    gone = changes(old - new, after)
    into.disappearing += gone
    if gone and not new:
        into.lost.append((subdir, name))
    if gone:
        into.next_versions[name] = _next_version([records[one.filename] for one in gone], [records[one] for one in new])


def _next_version(gone: Sequence[Mapping[str, object]], passing: Sequence[Mapping[str, object]]) -> str | None:
    newest_gone = max(age_key(dict(one))[:2] for one in gone)
    above = [one for one in passing if age_key(dict(one))[:2] > newest_gone]
    if above:
        return str(min(above, key=lambda one: age_key(dict(one)))["version"])
    return str(max(passing, key=lambda one: age_key(dict(one)))["version"]) if passing else None

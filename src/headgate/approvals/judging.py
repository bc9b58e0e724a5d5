"""What the gate of a channel would say of records that the channel does not have yet, and what is known of them."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.advisories.findings import Assessment, Coverage
from headgate.channels.gating import compose, read_told
from headgate.channels.model import Channel
from headgate.channels.revisions import World, read_chains, read_setting, read_world
from headgate.channels.shards import read_shards
from headgate.conda.names import package_of
from headgate.conda.records import Record
from headgate.conda.shards import Shard, merge_shards
from headgate.conda.specs import age_key
from headgate.db import tables
from headgate.db.engine import Database, chunks
from headgate.policy.facts import Facts
from headgate.policy.gate import Gate
from headgate.policy.verdicts import ALLOWED, Evaluation, Verdict

# Held by channels without policies: everything passes but what is known to be malicious.
_OPEN = Gate(())
_NOTHING = Assessment(Coverage.NOT_CHECKED, "Nobody asked.")
_SCRIPTS = ("post_link", "pre_link", "pre_unlink", "activate.d", "deactivate.d")


@dataclass(frozen=True, slots=True)
class Opinion:
    """What is said of one file that is to pass.

    `scripts`: those that run at install, removal or activation; None while nobody has read the archive. `alternative`:
    where the verdict holds it back, the next version that would pass, else the newest one that would.
    """

    verdict: Verdict = ALLOWED
    assessment: Assessment = _NOTHING
    scripts: tuple[str, ...] | None = None
    alternative: str | None = None


UNASKED = Opinion()


@dataclass(slots=True)
class Judgements:
    """Evaluations by subdir and package name; of a name that is not among them everything passes."""

    world: World
    evaluations: dict[str, dict[str, Evaluation]] = field(default_factory=dict)
    scripts: dict[bytes, tuple[str, ...]] = field(default_factory=dict)
    """Those of archives that were read here, by sha256."""

    def passing(self, subdir: str, name: str, shard: Shard) -> Shard:
        """The part of a shard that would pass."""
        evaluation = self.evaluations.get(subdir, {}).get(name)
        if evaluation is None or not evaluation.held_back:
            return shard
        return shard.only({filename for filename, _ in shard.records()} - evaluation.held_back.keys())

    def opinion(self, subdir: str, filename: str, record: Record) -> Opinion:
        """What is said of a file; its record in wire form."""
        name = package_of(filename)
        evaluation = self.evaluations.get(subdir, {}).get(name)
        verdict = ALLOWED if evaluation is None else evaluation.verdict(filename)
        sha256 = record.get("sha256")
        return Opinion(
            verdict=verdict,
            assessment=self.world.book.assess(name, {filename: record})[filename],
            scripts=self.scripts.get(sha256) if isinstance(sha256, bytes) else None,
            alternative=None if evaluation is None or verdict.is_passing else next_version(record, evaluation),
        )


class Judge:
    """Asks the gate of a channel about records that would come into it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self) -> Judgements:
        """Judgements on nothing yet, of the world as it is now."""
        async with self._database.read() as connection:
            return Judgements(await read_world(connection))

    async def judge(self, channel: Channel, shards: Mapping[str, Mapping[str, Shard]], into: Judgements) -> None:
        """Add evaluations of what `shards` (by subdir and name) would bring into a channel."""
        async with self._database.read() as connection:
            for subdir, some in shards.items():
                known = into.evaluations.setdefault(subdir, {})
                new = {name: shard for name, shard in some.items() if name not in known}
                if new:
                    known |= await _judge(connection, channel, subdir, new, into)

    async def read_scripts(self, sha256s: Collection[str], into: Judgements) -> None:
        """Add what is known of the scripts of archives with these digests."""
        columns = tables.artifact.c
        async with self._database.read() as connection:
            for some in chunks(sorted(sha256s)):
                statement = select(columns.sha256, columns.about).where(columns.sha256.in_(some))
                for row in await connection.execute(statement.where(columns.about.is_not(None))):
                    found = tuple(one for one in _SCRIPTS if (row.about or {}).get(one))
                    into.scripts[bytes.fromhex(row.sha256)] = found


async def judge_in(
    connection: AsyncConnection, channel: Channel, subdir: str, shards: Mapping[str, Shard]
) -> Judgements:
    """The same in an open transaction, of the shards of one subdir."""
    into = Judgements(await read_world(connection))
    into.evaluations[subdir] = await _judge(connection, channel, subdir, shards, into)
    return into


async def _judge(
    connection: AsyncConnection, channel: Channel, subdir: str, shards: Mapping[str, Shard], into: Judgements
) -> dict[str, Evaluation]:
    gate = into.world.gate_of(channel) or _OPEN
    setting = await read_setting(connection, into.world, channel, subdir, gate)
    told = await read_told(connection, setting, shards.keys())
    if gate is _OPEN:
        return {}
    chains = await read_chains(connection, channel, subdir, shards.keys())
    bodies = await read_shards(connection, (digest for chain in chains.values() for _, digest in chain))

    def evaluate() -> dict[str, Evaluation]:
        found = {}
        for name, shard in shards.items():
            own, facts = compose(setting, name, chains.get(name, ()), bodies, told)
            merged = merge_shards([own, shard])
            found[name] = gate.evaluate(merged, _informed(facts, merged, told.about_of.get(name, {})), setting.now)
        return found

    return await asyncio.to_thread(evaluate)


def _informed(facts: Facts, shard: Shard, shown: Mapping[str, Mapping[str, object]]) -> Facts:
    """The facts with what the archives of newcomers showed, as far as they were read here."""
    if not shown:
        return facts
    about = {
        filename: shown[digest.hex()]
        for filename, record in shard.records()
        if isinstance(digest := record.get("sha256"), bytes) and digest.hex() in shown
    }
    return replace(facts, about=about)


def next_version(record: Record, evaluation: Evaluation) -> str | None:
    """The oldest version above a record's that passes, or else the newest that passes at all."""
    passing = [one for _, one in evaluation.published.records()]
    return next_of(record, passing)


def next_of(record: Record, passing: list[Record]) -> str | None:
    """The same of a list of records."""
    above = [one for one in passing if age_key(one)[:2] > age_key(record)[:2]]
    if above:
        return str(min(above, key=age_key).get("version"))
    return str(max(passing, key=age_key).get("version")) if passing else None

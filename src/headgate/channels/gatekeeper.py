"""The gate at the door: asked for every file that a client wants, whatever the index said a moment ago."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.channels.catalog import TOPIC as CHANNELS
from headgate.channels.catalog import Catalog
from headgate.channels.consistency import HIDDEN
from headgate.channels.gating import Setting, judge_name
from headgate.channels.knowledge import latest_assessments
from headgate.channels.maps import Maps
from headgate.channels.model import Channel, SubdirState
from headgate.channels.policies import TOPIC, Policies
from headgate.channels.proofs import TOPIC as PROOFS
from headgate.channels.revisions import World, read_chains, read_setting
from headgate.conda.names import ArtifactName
from headgate.conda.records import Record, to_wire
from headgate.conda.shards import Shard, decode_stored
from headgate.db.engine import Database
from headgate.db.snapshots import Snapshots
from headgate.db.watch import Watch
from headgate.kernel import clock
from headgate.kernel.errors import Refused
from headgate.policy.gate import Gate
from headgate.policy.memo import Memo
from headgate.policy.verdicts import ALLOWED, Evaluation, Outcome, Verdict

_REMEMBERED = 5_000


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the gate said of a name: the sha256 of what passes, by file name, and the other verdicts."""

    passing: Mapping[str, object]
    verdicts: Mapping[str, Verdict]


class Gatekeeper:
    """Gives verdicts on files; remembers them until a policy, an advisory, the index or time changes them."""

    def __init__(
        self,
        database: Database,
        snapshots: Snapshots,
        catalog: Catalog,
        policies: Policies,
        maps: Maps,
        timed: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        """`timed` is told how many seconds each evaluation took."""
        self._timed = timed
        self._snapshots = snapshots
        self._database = database
        self._catalog = catalog
        self._policies = policies
        self._maps = maps
        self._answers: Memo[_Answer] = Memo(_REMEMBERED)

    async def refresh(self) -> None:
        """See what others have committed."""
        if not self._snapshots.is_current():
            await self._snapshots.refresh()

    async def forget(self, connection: AsyncConnection) -> None:
        """Think again of every file: something was found out about who vouches for them."""
        self._answers.clear()

    def gate_of(self, channel: Channel) -> Gate | None:
        """The channel's gate; None, found without any work, where everything passes."""
        has_feeds = latest_assessments(self._database).newest_feed_at() is not None
        return self._policies.book.gate_of(channel, has_feeds=has_feeds)

    async def verdict(self, channel: Channel, subdir: SubdirState, artifact: ArtifactName, record: Record) -> Verdict:
        """The verdict on a file, whether the index lists it or not; `record` is in JSON form."""
        gate = self.gate_of(channel)
        if gate is None:
            return ALLOWED
        answer = await self._answer(gate, channel, subdir, artifact.name)
        wire = to_wire(record)
        if artifact.filename in answer.verdicts:
            verdict = answer.verdicts[artifact.filename]
            if not verdict.is_passing:
                return verdict
        if artifact.filename in answer.passing and answer.passing[artifact.filename] == wire.get("sha256"):
            return answer.verdicts.get(artifact.filename, ALLOWED)
        evaluation = await self._evaluate(gate, channel, subdir.name, artifact.name, _alone(artifact, wire))
        return evaluation.verdict(artifact.filename)

    async def find_withheld(self, channel: Channel, subdir: str, artifact: ArtifactName) -> Verdict | None:
        """The verdict that keeps a file out of the channel, or out of the member that would bring it; None: no such file."""
        await self.refresh()
        gate = self.gate_of(channel)
        state = channel.subdirs.get(subdir)
        if gate is not None and state is not None:
            answer = await self._answer(gate, channel, state, artifact.name)
            verdict = answer.verdicts.get(artifact.filename, ALLOWED)
            if not verdict.is_passing:
                return verdict
            if channel.settings.is_hiding_broken and artifact.filename in answer.passing:
                return HIDDEN
        for source in channel.sources:
            member = self._catalog.find(source.member or "")
            found = None if member is None else await self.find_withheld(member, subdir, artifact)
            if found is not None:
                return found
        return None

    async def may_show(self, channel: Channel, subdir: SubdirState, digest: bytes, body: bytes) -> bool:
        """Whether a shard may be shown: one of an earlier revision not, when it tells of what is now held back."""
        gate = self.gate_of(channel)
        if gate is None:
            return True
        shown = (self._maps.find_hot(subdir) or await self._maps.get(subdir)).digests
        records = dict(decode_stored(body).records())
        name = next((str(record.get("name")) for record in records.values()), "")
        if shown.get(name) == digest or not records:
            return True
        answer = await self._answer(gate, channel, subdir, name)
        return all(answer.verdicts.get(filename, ALLOWED).is_passing for filename in records)

    async def _answer(self, gate: Gate, channel: Channel, subdir: SubdirState, name: str) -> _Answer:
        published = (self._maps.find_hot(subdir) or await self._maps.get(subdir)).digests.get(name)
        book, now = latest_assessments(self._database), clock.now()
        key = (subdir.id, name, published, gate.digest, book.digest(name), book.newest_feed_at())
        known = self._answers.find(key, now)
        if known is None:
            evaluation = await self._evaluate(gate, channel, subdir.name, name, None)
            passing = {filename: record.get("sha256") for filename, record in evaluation.published.records()}
            known = _Answer(passing, evaluation.verdicts)
            self._answers.keep(key, known, now, evaluation.valid_until)
        return known

    async def _evaluate(self, gate: Gate, channel: Channel, subdir: str, name: str, extra: Shard | None) -> Evaluation:
        began = time.perf_counter()
        channels = {one.id: one for one in self._catalog.all()}
        world = World(channels, self._policies.book, latest_assessments(self._database))
        async with self._database.read() as connection:
            setting: Setting = await read_setting(connection, world, channel, subdir, gate)
            chain = (await read_chains(connection, channel, subdir, [name])).get(name, ())
            evaluation = await judge_name(connection, setting, name, chain, extra)
        self._timed(time.perf_counter() - began)
        return evaluation


def open_gatekeeper(database: Database, watch: Watch) -> Gatekeeper:
    """One with a memory of its own, for who serves no doors."""
    snapshots, catalog, policies = Snapshots(database, watch), Catalog(), Policies()
    snapshots.follow(CHANNELS, catalog.load)
    snapshots.follow(TOPIC, policies.load)
    gatekeeper = Gatekeeper(database, snapshots, catalog, policies, Maps(database))
    snapshots.follow(PROOFS, gatekeeper.forget)
    return gatekeeper


def refuse(channel: Channel, artifact: ArtifactName, subdir: str, verdict: Verdict) -> None:
    """Raises Refused `policy-blocked` or `policy-held` with the verdict's reasons, unless it is a passing one."""
    if verdict.is_passing:
        return
    is_blocked = verdict.outcome is Outcome.BLOCK
    reasons = [one.sentence for one in verdict.reasons if not one.outcome.is_passing]
    raise Refused(
        "policy-blocked" if is_blocked else "policy-held",
        f"{artifact} is {'blocked' if is_blocked else 'held back'} in {channel.name}: {reasons[0]} "
        f"More: /api/v1/channels/{channel.name}/why?file={subdir}/{artifact.filename}",
        reasons,
    )


def _alone(artifact: ArtifactName, wire: Record) -> Shard:
    if artifact.extension == ".conda":
        return Shard(conda={artifact.filename: wire})
    return Shard(packages={artifact.filename: wire})

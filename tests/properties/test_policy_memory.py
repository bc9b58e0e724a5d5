"""Laws of what the gate remembers: whoever asks a second time is told what somebody is told who asks for the first time."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.channels.corrections import corrections_of
from headgate.channels.gating import Answers, Chain, Passed, Setting, pass_names
from headgate.channels.model import Channel, ChannelKind, ChannelSettings, Privacy, Source, SourceKind
from headgate.channels.shards import save_shards
from headgate.conda.names import ChannelName
from headgate.conda.shards import Shard, encode_shard
from headgate.db import tables
from headgate.db.engine import Database
from headgate.policy.exemptions import Exemption
from headgate.policy.facts import Facts
from headgate.policy.gate import Attached, Gate, Judging
from headgate.policy.glance import Glance
from tests.properties.test_policy_gate import exemptions, facts, policies, shards
from tests.unit.policy.making import NOW

GATES = st.builds(lambda some, exempt: Gate(tuple(some), tuple(exempt)), policies(), exemptions())
MOMENTS = st.sampled_from([timedelta(0), timedelta(hours=5), timedelta(days=1), timedelta(days=3), timedelta(days=13)])
SOURCES = (Source(1, SourceKind.UPSTREAM, 0, name="main"), Source(2, SourceKind.UPSTREAM, 1, name="second"))


@dataclass
class Scene:
    """A database of shards, and what is asked of it."""

    database: Database
    runner: asyncio.Runner

    def asked(self, setting: Setting, sources: list[Shard], answers: Answers) -> Passed:
        """What the gate makes of the merged shards of one name."""
        return self.runner.run(self._asked(setting, sources, answers))

    async def _asked(self, setting: Setting, sources: list[Shard], answers: Answers) -> Passed:
        encoded = [encode_shard(one) for one in sources]
        chain: Chain = [(source, digest) for source, (digest, _) in zip(SOURCES, encoded, strict=False)]
        async with self.database.write() as connection:
            await save_shards(connection, dict(encoded))
            return (await pass_names(connection, setting, {"demo": chain}, answers, does_save=False))["demo"]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    database = Database(f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('memory') / 'shards.db'}")

    async def prepare() -> None:
        async with database.write() as connection:
            await connection.run_sync(tables.shard.create)

    with asyncio.Runner() as runner:
        runner.run(prepare())
        yield Scene(database, runner)
        runner.run(database.close())


@st.composite
def questions(draw: st.DrawFn) -> list[tuple[Setting, list[Shard]]]:
    """A few, among which some are alike: few gates, few books, few shards, few moments."""
    kept = draw(st.lists(st.lists(shards(), min_size=1, max_size=2), min_size=1, max_size=2))
    gates, books = draw(st.lists(GATES, min_size=1, max_size=2)), draw(st.lists(facts(), min_size=1, max_size=2))
    name = ChannelName("team")
    channel = Channel(1, name, ChannelKind.MIRROR, Privacy.PUBLIC, ChannelSettings(), 0, NOW, sources=SOURCES)
    found = []
    for _ in range(draw(st.integers(2, 5))):
        setting = Setting(
            channels={1: channel},
            channel=channel,
            subdir="noarch",
            gate=draw(st.sampled_from(gates)),
            book=draw(st.sampled_from(books)).book,
            corrections=corrections_of(b"{}", {}),
            corrected=frozenset(),
            now=NOW + draw(MOMENTS),
        )
        found.append((setting, draw(st.sampled_from(kept))))
    return found


@given(asked=questions())
@settings(max_examples=60)
def test_remembered_answers_equal_fresh_ones(scene: Scene, asked: list[tuple[Setting, list[Shard]]]) -> None:
    remembered = Answers()
    for setting, sources in asked:
        assert scene.asked(setting, sources, remembered) == scene.asked(setting, sources, Answers())


@given(st.lists(shards(), min_size=2, max_size=4), policies(), exemptions(), facts())
def test_what_is_remembered_from_shard_to_shard_changes_no_verdict(
    several: list[Shard], given_policies: list[Attached], exempt: list[Exemption], told: Facts
) -> None:
    gate = Gate(tuple(given_policies), tuple(exempt))
    judging = Judging(gate, NOW)
    for shard in (*several, *several):
        glance = Glance(encode_shard(shard)[1])
        ruling = judging.rule(glance, told)
        assert ruling == gate.rule(glance, told, NOW)
        if ruling is not None:
            assert ruling.verdicts == gate.evaluate(shard, told, NOW).verdicts

"""Makes plans: what of a source, with what it needs, would go into a target.

For each platform:

    wants -> names reachable -> the target's gate -> one solve per environment -> files, each with what is said of it

The solver is first given only what the target's policy lets pass. When that has no solution it is given everything, so
that people see which rule is in the way.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.approvals.candidates import NOARCH, Candidates, Reader, head_of
from headgate.approvals.closure import Chosen, close_over
from headgate.approvals.judging import Judge, Judgements, next_of
from headgate.approvals.plans import Item, ItemState, Plan, Problem, Wish
from headgate.approvals.wants import Want, parse_wants
from headgate.channels.model import Channel
from headgate.channels.why import explain_spec
from headgate.conda.names import KNOWN_SUBDIRS, Subdir
from headgate.conda.records import Record, from_wire
from headgate.conda.specs import age_key, matches, parse_spec, version_key
from headgate.db import tables
from headgate.db.engine import Database, chunks
from headgate.intake.hosted import require_hosted
from headgate.kernel.errors import Conflict, HeadgateError, Invalid, NotFound

_SCAN = 1_000
_USUAL = Subdir("linux-64")
_MOST_REASONS = 5


@dataclass(slots=True)
class _Draft:
    """A plan in the making."""

    wish: Wish
    wants: Sequence[Want]
    judgements: Judgements
    items: dict[tuple[Subdir, str], Item] = field(default_factory=dict)
    found: set[str] = field(default_factory=set)
    """Texts of wants that something fits."""
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Sides:
    """What there is to choose from on one platform; `passing` is the part of the source that policy lets pass."""

    platform: Subdir
    target: Candidates
    source: Candidates
    passing: Candidates

    def fitting(self, want: Want) -> list[Chosen]:
        """What fits a want: of the target if there is anything, else of the source."""
        for is_new, side in ((False, self.target), (True, self.source)):
            found = [Chosen(subdir, filename, is_new) for subdir, filename, _ in _fitting(want, side)]
            if found:
                return found
        return []


@dataclass(frozen=True, slots=True)
class Held:
    """The bytes that a channel has, or had, under a name, and until when."""

    sha256: str
    ends_at: datetime | None


class Planner:
    """Makes plans; changes nothing."""

    def __init__(self, database: Database, reader: Reader) -> None:
        self._database = database
        self.reader = reader
        self._judge = Judge(database)

    async def plan(self, wish: Wish) -> Plan:
        """Work out what would pass.

        Raises Conflict `kind-unfit` when the target is not hosted, `closure-unsolvable` with the solver's words; NotFound
        `want-unknown` for what the source does not publish; Invalid as `parse_wants` does, and `promotion-circular`.
        """
        plan = await self.look(wish)
        if plan.problems:
            first = plan.problems[0]
            raise NotFound(
                "want-unknown", first.sentence, [*first.reasons, *(one.sentence for one in plan.problems[1:])]
            )
        if plan.failures:
            raise Conflict("closure-unsolvable", plan.failures[0], plan.failures)
        return plan

    async def look(self, wish: Wish) -> Plan:
        """The same with what cannot be had told in the plan.

        Raises Conflict `kind-unfit`, Invalid as `plan` does, and `version-invalid` for a machine that makes no sense.
        """
        require_hosted(wish.target)
        if wish.source.id == wish.target.id:
            raise Invalid("promotion-circular", f"Source and target are both {wish.target.name}.")
        for version in wish.machine.values():
            version_key(version)
        draft = _Draft(wish, parse_wants(wish.texts), await self._judge.open())
        platforms = wish.platforms or _platforms_of(wish.source, draft.wants)
        for platform in platforms:
            await self._look_on(draft, platform)
        items = [draft.items[key] for key in sorted(draft.items)]
        problems = [await self._problem(draft, want) for want in draft.wants if want.text not in draft.found]
        return Plan(wish, platforms, items, problems, draft.failures)

    async def needed_by_others(self, channel: Channel, items: Collection[Item]) -> list[tuple[str, str]]:
        """(subdir, file name) of those items without which something else in the channel could not be installed.

        That is: a package that is not among them depends on one, and nothing else in the channel satisfies it.
        """
        leaving: dict[tuple[str, str], Record] = {(item.subdir, item.filename): item.record for item in items}
        everything = await self._everything(channel)
        staying = {place: record for place, record in everything.items() if place not in leaving}
        kept: set[tuple[str, str]] = set()
        while needed := await asyncio.to_thread(_missed, staying, leaving):
            kept |= needed
            staying |= {place: leaving.pop(place) for place in needed}
        return sorted(kept)

    async def _everything(self, channel: Channel) -> dict[tuple[str, str], Record]:
        found: dict[tuple[str, str], Record] = {}
        for subdir in channel.subdirs:
            for some in chunks(sorted(await self.reader.names(channel, subdir)), _SCAN):
                for shard in (await self.reader.read(channel, subdir, some)).values():
                    found |= {(subdir, filename): record for filename, record in shard.records()}
        return found

    async def _look_on(self, draft: _Draft, platform: Subdir) -> None:
        """Add what the wants come to on one platform."""
        wish = draft.wish
        digests = [want for want in draft.wants if want.sha256 is not None and want.is_for(platform)]
        named = [want for want in draft.wants if want.sha256 is None and want.is_for(platform)]
        named += await self._by_digest(wish.source, platform, digests)
        if not named:
            return
        locked = [want for want in named if want.is_locked or not wish.has_closure]
        solved = [want for want in named if want not in locked]
        sides = await self._sides(draft, platform, {want.name for want in locked}, {want.name for want in solved})
        known = await asyncio.to_thread(lambda: [want for want in named if sides.fitting(want)])
        draft.found |= {want.text for want in known}
        chosen = set(_taken(sides, [want for want in known if want in locked]))
        by_environment: defaultdict[str, list[Want]] = defaultdict(list)
        for want in known:
            if want not in locked:
                by_environment[want.environment].append(want)
        for some in by_environment.values():
            try:
                chosen |= set(await _solved(sides, some, wish.machine))
            except Conflict as error:
                draft.failures.append(error.message)
        await self._add(draft, sides, sorted(chosen), {want.name for want in known})

    async def _sides(self, draft: _Draft, platform: Subdir, alone: set[str], names: set[str]) -> _Sides:
        channels = (draft.wish.target, draft.wish.source)
        target, source = await self.reader.reachable(channels, platform, names)
        if alone - names:
            more = await self.reader.of_names(channels, platform, alone - names)
            target, source = target.with_more(more[0]), source.with_more(more[1])
        await self._judge.judge(draft.wish.target, source.shards, draft.judgements)
        passing = Candidates(
            {
                subdir: {name: draft.judgements.passing(subdir, name, shard) for name, shard in shards.items()}
                for subdir, shards in source.shards.items()
            }
        )
        return _Sides(platform, target, source, passing)

    async def _add(self, draft: _Draft, sides: _Sides, chosen: Sequence[Chosen], asked: Collection[str]) -> None:
        new = [one for one in chosen if (Subdir(one.subdir), one.filename) not in draft.items]
        digests = {record["sha256"].hex() for one in new if "sha256" in (record := _wire(sides, one))}
        await self._judge.read_scripts(digests, draft.judgements)
        async with self._database.read() as connection:
            held = await _held(connection, draft.wish.target, new)
        for one in new:
            item = _item(one, _wire(sides, one), draft.judgements, held, asked)
            draft.items[item.subdir, item.filename] = item

    async def _by_digest(self, channel: Channel, platform: Subdir, wants: Sequence[Want]) -> list[Want]:
        """Wants of a digest as wants of the file that has it; a digest alone is found by looking through everything."""
        found: list[Want] = []
        wanted = {bytes.fromhex(want.sha256): want for want in wants if want.sha256 is not None}
        for subdir in dict.fromkeys((platform, NOARCH)) if wanted else ():
            names = sorted(await self.reader.names(channel, subdir))
            for some in chunks(names, _SCAN):
                for shard in (await self.reader.read(channel, subdir, some)).values():
                    for filename, record in shard.records():
                        want = wanted.get(record.get("sha256", b""))
                        if want is not None:
                            (file,) = parse_wants([f"{subdir}/{filename}"])
                            found.append(replace(file, text=want.text, environment=want.environment))
        return found

    async def _problem(self, draft: _Draft, want: Want) -> Problem:
        """Why nothing fits a want: policy of the source holds it back, or the source does not have it."""
        source = draft.wish.source
        sentence = f"Channel {source.name} publishes nothing that is {want.text}."
        try:
            told = await explain_spec(self._database, draft.judgements.world, source, want.spec) if want.spec else []
        except HeadgateError:
            told = []
        held = [one for one in told if not one.verdict.is_passing]
        if not held:
            return Problem(want.text, sentence)
        reasons = dict.fromkeys(
            f"{one.filename}: {why.sentence}"
            for one in held
            for why in one.verdict.reasons
            if not why.outcome.is_passing
        )
        return Problem(
            want.text,
            f"Policy of channel {source.name} holds back {want.text}.",
            is_withheld=True,
            reasons=list(reasons)[:_MOST_REASONS],
            alternative=await self._alternative(source, want, [one.filename for one in held]),
        )

    async def _alternative(self, source: Channel, want: Want, withheld: Sequence[str]) -> str | None:
        """The next version after those withheld that the source publishes, else the newest it does."""
        passing: list[Record] = []
        for subdir in source.subdirs:
            for shard in (await self.reader.read(source, subdir, [want.name])).values():
                passing += [record for _, record in shard.records()]
        versions = [filename.rsplit("-", 2)[1] for filename in withheld]
        newest = max(({"version": one} for one in versions), key=age_key)
        return next_of(newest, passing)


async def _solved(sides: _Sides, wants: Sequence[Want], machine: Mapping[str, str]) -> list[Chosen]:
    """Files of one environment: of what may pass if that suffices, else of everything."""
    specs = list(dict.fromkeys(want.spec for want in wants))
    try:
        return await close_over(specs, sides.platform, sides.target, sides.passing, machine)
    except Conflict:
        if sides.passing.shards == sides.source.shards:
            raise
    return await close_over(specs, sides.platform, sides.target, sides.source, machine)


def _taken(sides: _Sides, wants: Iterable[Want]) -> set[Chosen]:
    """What is taken as it is: files of locks, and every build of the newest version that satisfies other wants."""
    chosen: set[Chosen] = set()
    for want in wants:
        if want.is_locked:
            chosen |= set(sides.fitting(want))
            continue
        newest = _newest(_fitting(want, sides.passing) or _fitting(want, sides.source))
        chosen |= {Chosen(*place, sides.target.find(*place) is None) for place in newest}
    return chosen


def _fitting(want: Want, side: Candidates) -> list[tuple[str, str, Record]]:
    spec = parse_spec(want.spec)
    return [one for one in side.records(want.name) if want.subdir in {None, one[0]} and matches(spec, one[2])]


def _newest(fitting: Sequence[tuple[str, str, Record]]) -> list[tuple[str, str]]:
    newest = max((age_key(record)[:2] for _, _, record in fitting), default=None)
    return [(subdir, filename) for subdir, filename, record in fitting if age_key(record)[:2] == newest]


def _missed(
    staying: Mapping[tuple[str, str], Record], leaving: Mapping[tuple[str, str], Record]
) -> set[tuple[str, str]]:
    """What of `leaving` satisfies a dependency of `staying` that nothing staying satisfies."""
    names = {str(record.get("name")) for record in leaving.values()}
    wanted = {spec for record in staying.values() for spec in record.get("depends", ()) if head_of(spec) in names}
    missed: set[tuple[str, str]] = set()
    for spec in map(parse_spec, sorted(wanted)):
        if not any(matches(spec, record) for record in staying.values()):
            missed |= {place for place, record in leaving.items() if matches(spec, record)}
    return missed


def _platforms_of(channel: Channel, wants: Iterable[Want]) -> list[Subdir]:
    """The platforms that the wants name; else those that the channel has anything for.

    A channel of nothing but noarch is tried on the usual one.
    """
    named = [want.platform or want.subdir for want in wants]
    if all(one is not None and not one.is_noarch for one in named):
        return sorted({one for one in named if one is not None})
    found = [state.name for state in channel.subdirs.values() if state.name in KNOWN_SUBDIRS and state.name != NOARCH]
    return sorted(found) or [_USUAL]


async def _held(
    connection: AsyncConnection, channel: Channel, chosen: Iterable[Chosen]
) -> Mapping[tuple[str, str], Held]:
    """What the channel has, or had, under the names of the chosen ones."""
    by_subdir: defaultdict[str, list[str]] = defaultdict(list)
    for one in chosen:
        by_subdir[one.subdir].append(one.filename)
    held: dict[tuple[str, str], Held] = {}
    columns = tables.artifact.c
    for subdir, filenames in by_subdir.items():
        state = channel.subdirs.get(subdir)
        for some in chunks(filenames) if state is not None else ():
            statement = select(columns.filename, columns.sha256, columns.ends_at)
            rows = await connection.execute(
                statement.where(columns.subdir_id == state.id, columns.filename.in_(some)) if state else statement
            )
            held |= {(subdir, row.filename): Held(row.sha256, row.ends_at) for row in rows}
    return held


def _wire(sides: _Sides, chosen: Chosen) -> Record:
    wire = (sides.source if chosen.is_new else sides.target).find(chosen.subdir, chosen.filename)
    if wire is None:
        raise Conflict("promotion-outdated", f"{chosen.filename} changed while the plan was made. Try again.")
    return wire


def _item(
    chosen: Chosen,
    wire: Record,
    judgements: Judgements,
    held: Mapping[tuple[str, str], Held],
    asked: Collection[str],
) -> Item:
    record = from_wire(wire)
    there = held.get((chosen.subdir, chosen.filename))
    ends_at = None if there is None or chosen.is_new else there.ends_at
    state = ItemState.NEW if chosen.is_new else ItemState.PRESENT if ends_at is None else ItemState.ENDING
    if chosen.is_new and "sha256" not in record:
        state = ItemState.UNVERIFIABLE
    elif chosen.is_new and there is not None and there.sha256 != record["sha256"]:
        state = ItemState.CONFLICT
    opinion = judgements.opinion(chosen.subdir, chosen.filename, wire)
    return Item(Subdir(chosen.subdir), chosen.filename, state, record.get("name") in asked, record, opinion, ends_at)

"""After filtering: records that pass, but whose dependencies nothing in the channel can satisfy any more.

A record that cannot be installed is no help to others, so the question is asked again without it, until nothing more
breaks. A dependency that nothing in the channel ever satisfied is not the gate's doing, and breaks nothing; conditional
dependencies and virtual packages (`__glibc`) are left to the solver. A noarch record breaks when it does on every
platform that it was ever fit for.

Only what a change can concern is looked at: the names that changed, what depends on those of them that have lost records,
and records that were found broken earlier and may be whole again.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.channels.dependencies import head_of, iter_needs, read_heads, remember_heads
from headgate.channels.gating import Answers, Chain, Note, Passed, Setting, Told, compose, pass_names
from headgate.channels.shards import read_shards, save_shards
from headgate.conda.fragments import decode_fragments
from headgate.conda.records import Record
from headgate.conda.shards import decode_stored, unpack_shard
from headgate.conda.specs import matches, parse_spec
from headgate.db import tables_gate
from headgate.kernel.errors import Invalid
from headgate.policy.verdicts import EXEMPTION, Outcome, Reason, Verdict

BROKEN = "consistency/unsatisfiable"
"""Counts hidden records among what rules hold back."""
_NOARCH = "noarch"
_NOTHING_TOLD = Told({}, {}, None)

HIDDEN = Verdict(
    Outcome.HOLD,
    (
        Reason(
            "consistency",
            "unsatisfiable",
            Outcome.HOLD,
            "Nothing in the channel satisfies what it depends on, since policies hold that back.",
            "It is listed again once that may pass.",
        ),
    ),
)
"""Of a record that passes every rule, and is not listed because it could not be installed."""

Place = tuple[str, str]
"""A subdir and a package name."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that passes, and the dependency of it that cannot be had; `is_last`: of its name nothing else is whole."""

    subdir: str
    filename: str
    dependency: str
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class Ground:
    """A channel as its transaction sees it. `published` and `chains` are by name; `subdirs` gives their ids."""

    connection: AsyncConnection
    answers: Answers
    subdirs: Mapping[str, int]
    published: Callable[[str], Awaitable[dict[str, bytes]]]
    chains: Callable[[str, Collection[str]], Awaitable[dict[str, Chain]]]
    setting: Callable[[str], Awaitable[Setting]]


@dataclass(slots=True)
class Settled:
    """What is left of every place that was looked at, and what broke there."""

    passed: dict[str, dict[str, Passed]] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)


async def settle(
    ground: Ground, fresh: Mapping[str, Mapping[str, Passed]], *, is_whole: bool = False, does_save: bool = True
) -> Settled:
    """What is whole, after the gate let `fresh` pass (by subdir and name); `is_whole`: look at everything else too."""
    return await _Settling(ground, does_save=does_save).run(fresh, is_whole=is_whole)


class _State(Enum):
    """How a dependency stands on a platform; `NEVER`: nothing there ever satisfied it."""

    THERE = auto()
    LOST = auto()
    NEVER = auto()


class _Settling:
    """One pass: first what was hidden comes back as far as the change can concern it, then what is broken goes."""

    def __init__(self, ground: Ground, *, does_save: bool) -> None:
        self._ground = ground
        self._does_save = does_save
        self._digests: dict[str, dict[str, bytes]] = {}
        self._touched: dict[Place, Passed] = {}
        self._bodies: dict[bytes, bytes] = {}
        self._hidden: set[Place] = set()
        self._wounded: set[str] = set()
        self._gone: dict[Place, dict[str, str]] = {}
        self._left: dict[Place, dict[str, Record]] = {}
        self._all: dict[Place, list[Record]] = {}
        self._states: dict[tuple[str, str], _State] = {}
        self._settings: dict[str, Setting] = {}

    async def run(self, fresh: Mapping[str, Mapping[str, Passed]], *, is_whole: bool) -> Settled:
        """See `settle`."""
        for subdir in self._ground.subdirs:
            self._digests[subdir] = await self._ground.published(subdir)
        await self._read_notes(fresh)
        for subdir, some in fresh.items():
            self._touch(subdir, some)
        changed = {name for some in fresh.values() for name in some}
        if is_whole:
            changed |= self._wounded
        await self._bring_back(changed)
        waiting = await self._users(self._wounded, self._touched) | await self._users(self._wounded & changed)
        while waiting:
            shrunk = await self._break(waiting)
            self._wounded |= shrunk
            self._states = {key: state for key, state in self._states.items() if head_of(key[1]) not in shrunk}
            waiting = await self._users(shrunk)
        return await self._settled()

    async def _read_notes(self, fresh: Mapping[str, Mapping[str, Passed]]) -> None:
        """Which names lack something, and of which something was hidden."""
        columns = tables_gate.gate_name.c
        for subdir, number in self._ground.subdirs.items():
            rows = await self._ground.connection.execute(
                select(columns.name, columns.held).where(columns.subdir_id == number)
            )
            held = {row.name: row.held for row in rows}
            self._hidden.update((subdir, name) for name, counts in held.items() if BROKEN in counts)
            held |= {name: passed.note.held for name, passed in fresh.get(subdir, {}).items()}
            self._wounded.update(name for name, counts in held.items() if _lacks(counts))

    def _touch(self, subdir: str, passed: Mapping[str, Passed]) -> None:
        digests = self._digests[subdir]
        for name, one in passed.items():
            self._touched[subdir, name] = one
            if one.digest is None:
                digests.pop(name, None)
            else:
                digests[name] = one.digest
            if one.digest is not None and one.body is not None:
                self._bodies[one.digest] = one.body
                remember_heads(one.digest, one.body)

    async def _bring_back(self, changed: set[str]) -> None:
        """Show again what was hidden, if it depends, by way of hidden ones or at once, on what changed."""
        left = {place for place in self._hidden if place not in self._touched}
        heads = await self._raw_heads(left)
        reached = set(changed)
        while found := {place for place in left if heads.get(place, frozenset()) & reached or place[1] in reached}:
            left -= found
            reached |= {name for _, name in found}
            await self._pass(found)

    async def _raw_heads(self, places: Collection[Place]) -> dict[Place, frozenset[str]]:
        found: dict[Place, frozenset[str]] = {}
        for subdir, names in _by_subdir(places).items():
            chains = await self._ground.chains(subdir, names)
            known = await read_heads(self._ground.connection, {one for chain in chains.values() for _, one in chain})
            for name, chain in chains.items():
                found[subdir, name] = frozenset().union(*(known[digest] for _, digest in chain if digest in known))
        return found

    async def _pass(self, places: Collection[Place]) -> None:
        """Ask the gate anew what passes there, whatever was hidden of it."""
        for subdir, names in _by_subdir(places).items():
            setting, chains = await self._setting(subdir), await self._ground.chains(subdir, names)
            passed = await pass_names(
                self._ground.connection, setting, chains, self._ground.answers, does_save=self._does_save
            )
            self._touch(subdir, passed)

    async def _setting(self, subdir: str) -> Setting:
        if subdir not in self._settings:
            self._settings[subdir] = await self._ground.setting(subdir)
        return self._settings[subdir]

    async def _users(self, names: Collection[str], among: Collection[Place] | None = None) -> set[Place]:
        """The places whose records depend on any of these names."""
        if not names:
            return set()
        wanted, found = frozenset(names), set[Place]()
        for subdir, digests in self._digests.items():
            some = (
                digests
                if among is None
                else {name: digests[name] for where, name in among if where == subdir and name in digests}
            )
            heads = await read_heads(self._ground.connection, set(some.values()))
            found.update((subdir, name) for name, digest in some.items() if heads[digest] & wanted)
        return found

    async def _break(self, places: set[Place]) -> set[str]:
        """Take out what is broken in these places; the names of which that was."""
        await self._pass({place for place in places if place not in self._touched})
        present = {place for place in places if place[1] in self._digests[place[0]]}
        needs = {place: await self._needs(place) for place in sorted(present)}
        await self._look_up(
            {head for some in needs.values() for depends in some.values() for head in map(head_of, depends)}
        )
        shrunk: set[str] = set()
        for place, some in needs.items():
            for filename, depends in some.items():
                missing = self._missing(place[0], depends)
                if missing is not None:
                    self._gone.setdefault(place, {})[filename] = missing
                    self._left.get(place, {}).pop(filename, None)
                    shrunk.add(place[1])
        return shrunk

    async def _needs(self, place: Place) -> dict[str, list[str]]:
        """What the files that are left depend on, as far as it is on names that lack something."""
        gone = self._gone.get(place, {})
        needs = {}
        for filename, depends in iter_needs(await self._body(place)):
            mattering = [one for one in depends if head_of(one) in self._wounded]
            if mattering and filename not in gone:
                needs[filename] = mattering
        return needs

    async def _body(self, place: Place) -> bytes:
        digest = self._digests[place[0]][place[1]]
        if digest not in self._bodies:
            self._bodies |= await read_shards(self._ground.connection, [digest])
        return self._bodies[digest]

    async def _look_up(self, names: Collection[str]) -> None:
        """Have the records of these names at hand: what is left of them, and all that there ever were."""
        for subdir, digests in self._digests.items():
            new = [name for name in names if (subdir, name) not in self._all]
            if not new:
                continue
            setting, chains = await self._setting(subdir), await self._ground.chains(subdir, new)
            bodies = await read_shards(self._ground.connection, {one for chain in chains.values() for _, one in chain})
            for name in new:
                shard = compose(setting, name, chains[name], bodies, _NOTHING_TOLD)[0] if name in chains else None
                self._all[subdir, name] = [] if shard is None else [record for _, record in shard.records()]
                gone = self._gone.get((subdir, name), {})
                here = decode_stored(await self._body((subdir, name))).records() if name in digests else ()
                self._left[subdir, name] = {filename: record for filename, record in here if filename not in gone}

    def _missing(self, subdir: str, depends: Sequence[str]) -> str | None:
        """The first dependency that cannot be had any more; for noarch, on no platform that it was ever fit for."""
        platforms = [one for one in self._digests if one != _NOARCH] or [_NOARCH]
        states = {
            platform: [self._state(platform, one) for one in depends]
            for platform in (platforms if subdir == _NOARCH else [subdir])
        }
        ever = [any(some[number] is not _State.NEVER for some in states.values()) for number in range(len(depends))]
        missing = None
        for some in states.values():
            if _State.LOST in some:
                missing = missing or depends[some.index(_State.LOST)]
            elif not any(state is _State.NEVER and ever[number] for number, state in enumerate(some)):
                return None
        return missing

    def _state(self, platform: str, spec: str) -> "_State":
        key = (platform, spec)
        if key not in self._states:
            self._states[key] = self._look(platform, spec)
        return self._states[key]

    def _look(self, platform: str, spec: str) -> "_State":
        try:
            wanted = parse_spec(spec)
        except Invalid:
            return _State.THERE  # whatever it means, it is not the gate that broke it
        places = [(subdir, head_of(spec)) for subdir in {platform, _NOARCH}]
        if any(matches(wanted, record) for place in places for record in self._left.get(place, {}).values()):
            return _State.THERE
        was_there = any(matches(wanted, record) for place in places for record in self._all.get(place, ()))
        return _State.LOST if was_there else _State.NEVER

    async def _settled(self) -> Settled:
        settled = Settled()
        for (subdir, name), passed in self._touched.items():
            gone = self._gone.get((subdir, name), {})
            settled.passed.setdefault(subdir, {})[name] = (
                await self._without(passed, (subdir, name), gone) if gone else passed
            )
            is_last = settled.passed[subdir][name].digest is None
            settled.broken += [Broken(subdir, filename, spec, is_last) for filename, spec in gone.items()]
        new = [one for some in settled.passed.values() for one in some.values() if one.body is not None]
        if self._does_save:
            await save_shards(self._ground.connection, {one.digest: one.body for one in new if one.digest and one.body})
        settled.broken.sort(key=lambda one: (one.subdir, one.filename))
        return settled

    async def _without(self, passed: Passed, place: Place, gone: Mapping[str, str]) -> Passed:
        left = decode_fragments(unpack_shard(await self._body(place))).encode_without(gone)
        note = Note({**passed.note.held, BROKEN: len(gone)}, passed.note.valid_until)
        return replace(passed, digest=left and left[0], body=left and left[1], note=note)


def _lacks(held: Mapping[str, int]) -> bool:
    """Whether a rule, and not just an exemption, did something."""
    return any(not rule.startswith(f"{EXEMPTION}/") for rule in held)


def _by_subdir(places: Iterable[Place]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for subdir, name in places:
        found.setdefault(subdir, set()).add(name)
    return found

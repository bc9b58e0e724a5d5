"""What a promotion would do, worked out before anybody decides."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.approvals.candidates import NOARCH, Candidates, Reader, head_of
from headgate.approvals.closure import Chosen, close_over
from headgate.approvals.wants import Want, parse_wants
from headgate.channels.model import Channel
from headgate.conda.names import KNOWN_SUBDIRS, Subdir
from headgate.conda.records import Record, from_wire
from headgate.conda.specs import age_key, matches, parse_spec
from headgate.db import tables
from headgate.db.engine import Database, chunks
from headgate.intake.hosted import require_hosted
from headgate.kernel.errors import Conflict, Invalid, NotFound

_SCAN = 1_000
_USUAL = Subdir("linux-64")


class ItemState(StrEnum):
    """How a file stands in the target."""

    NEW = "new"
    PRESENT = "present"
    """The target lists it already."""
    CONFLICT = "conflict"
    """The target has, or had, that name with other bytes; it cannot pass."""
    UNVERIFIABLE = "unverifiable"
    """Its record has no sha256, so its bytes could not be verified; it cannot pass."""


@dataclass(frozen=True, slots=True)
class Item:
    """One file of a plan. `record` is in JSON form; `is_asked` tells what was asked for from what that needs."""

    subdir: Subdir
    filename: str
    state: ItemState
    is_asked: bool
    record: Record

    @property
    def size_bytes(self) -> int:
        """As its record says; 0 when it does not."""
        return int(self.record.get("size") or 0)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants promoted: texts of wants, from and into which channel, for which platforms.

    Without `platforms`, all that the source has. `has_closure`: with what it needs. `machine`: virtual packages.
    """

    texts: Sequence[str]
    source: Channel
    target: Channel
    platforms: Sequence[Subdir] = ()
    has_closure: bool = True
    machine: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What would pass; `digest` changes with every fact that a decision could rest on."""

    wish: Wish
    platforms: Sequence[Subdir]
    items: Sequence[Item]

    @property
    def new(self) -> list[Item]:
        """What the target would get."""
        return [item for item in self.items if item.state is ItemState.NEW]

    @property
    def hindrances(self) -> list[str]:
        """A sentence for each file that keeps the plan from being carried out."""
        said = {
            ItemState.CONFLICT: "has or had other bytes under that name",
            ItemState.UNVERIFIABLE: "could not be verified, because its record has no sha256",
        }
        target = self.wish.target.name
        return [f"{one.subdir}/{one.filename}: {target} {said[one.state]}." for one in self.items if one.state in said]

    @property
    def digest(self) -> str:
        """SHA-256 over files, records and states, as hexadecimal digits."""
        facts = [(str(item.subdir), item.filename, item.state, item.record) for item in self.items]
        return hashlib.sha256(msgspec.json.encode(facts, order="deterministic")).hexdigest()


class Planner:
    """Makes plans; changes nothing."""

    def __init__(self, database: Database, reader: Reader) -> None:
        self._database = database
        self.reader = reader

    async def plan(self, wish: Wish) -> Plan:
        """Work out what would pass.

        Raises Conflict `kind-unfit` when the target is not hosted, `closure-unsolvable` with the solver's words; NotFound
        `want-unknown` for what the source does not publish; Invalid as `parse_wants` does, and `promotion-circular`.
        """
        require_hosted(wish.target)
        if wish.source.id == wish.target.id:
            raise Invalid("promotion-circular", f"Source and target are both {wish.target.name}.")
        wants = parse_wants(wish.texts)
        platforms = wish.platforms or _platforms_of(wish.source)
        found: dict[tuple[Subdir, str], Item] = {}
        for platform in platforms:
            for item in await self._for_platform(wish, wants, platform):
                found.setdefault((item.subdir, item.filename), item)
        _refuse_unknown(wish, wants, found.values())
        return Plan(wish, platforms, [found[key] for key in sorted(found)])

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

    async def _for_platform(self, wish: Wish, wants: Sequence[Want], platform: Subdir) -> list[Item]:
        digests = [want for want in wants if want.sha256 is not None]
        named = [want for want in wants if want.sha256 is None and want.subdir in {None, platform, NOARCH}]
        named += await self._by_digest(wish.source, platform, digests)
        if not named:
            return []
        names = {want.name for want in named}
        channels = (wish.target, wish.source)
        if wish.has_closure:
            target, source = await self.reader.reachable(channels, platform, names)
            known = [want for want in named if any(source.records(want.name)) or any(target.records(want.name))]
            specs = [want.spec for want in known]
            chosen = await close_over(specs, platform, target, source, wish.machine) if specs else []
        else:
            target, source = await self.reader.of_names(channels, platform, names)
            chosen = _newest_of(named, source, target)
        async with self._database.read() as connection:
            held = await _held(connection, wish.target, chosen)
        return [_item(one, target, source, held, names) for one in chosen]

    async def _by_digest(self, channel: Channel, platform: Subdir, wants: Sequence[Want]) -> list[Want]:
        """Wants of a digest as wants of the file that has it; a digest alone is found by looking through everything."""
        found: list[Want] = []
        wanted = {bytes.fromhex(want.sha256): want for want in wants if want.sha256 is not None}
        for subdir in dict.fromkeys((platform, NOARCH)) if wanted else ():
            names = sorted(await self.reader.names(channel, subdir))
            for some in chunks(names, _SCAN):
                for shard in (await self.reader.read(channel, subdir, some)).values():
                    for filename, record in shard.records():
                        if record.get("sha256") in wanted:
                            found += parse_wants([f"{subdir}/{filename}"])
        return found


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


def _platforms_of(channel: Channel) -> list[Subdir]:
    """The platforms that a channel has anything for; a channel of nothing but noarch is tried on the usual one."""
    found = [state.name for state in channel.subdirs.values() if state.name in KNOWN_SUBDIRS and state.name != NOARCH]
    return sorted(found) or [_USUAL]


def _refuse_unknown(wish: Wish, wants: Iterable[Want], items: Collection[Item]) -> None:
    for want in wants:
        spec = parse_spec(want.spec) if want.spec else None
        digest = want.sha256
        if not any(
            item.record.get("sha256") == digest if spec is None else matches(spec, item.record) for item in items
        ):
            raise NotFound("want-unknown", f"Channel {wish.source.name} publishes nothing that is {want.text}.")


def _newest_of(wants: Iterable[Want], source: Candidates, target: Candidates) -> list[Chosen]:
    """Every build of the newest version that satisfies each want."""
    chosen: set[Chosen] = set()
    for want in wants:
        spec = parse_spec(want.spec)
        fitting = [one for one in source.records(want.name) if matches(spec, one[2])]
        newest = max((age_key(record)[:2] for _, _, record in fitting), default=None)
        chosen |= {
            Chosen(subdir, filename, target.find(subdir, filename) is None)
            for subdir, filename, record in fitting
            if age_key(record)[:2] == newest and want.subdir in {None, subdir}
        }
    return sorted(chosen)


async def _held(
    connection: AsyncConnection, channel: Channel, chosen: Iterable[Chosen]
) -> Mapping[tuple[str, str], str]:
    """The sha256 of files that the channel has, or had, under the names of the chosen ones."""
    by_subdir: defaultdict[str, list[str]] = defaultdict(list)
    for one in chosen:
        by_subdir[one.subdir].append(one.filename)
    held: dict[tuple[str, str], str] = {}
    columns = tables.artifact.c
    for subdir, filenames in by_subdir.items():
        state = channel.subdirs.get(subdir)
        for some in chunks(filenames) if state is not None else ():
            statement = select(columns.filename, columns.sha256)
            rows = await connection.execute(
                statement.where(columns.subdir_id == state.id, columns.filename.in_(some)) if state else statement
            )
            held |= {(subdir, row.filename): row.sha256 for row in rows}
    return held


def _item(
    chosen: Chosen, target: Candidates, source: Candidates, held: Mapping[tuple[str, str], str], asked: Collection[str]
) -> Item:
    wire = (source if chosen.is_new else target).find(chosen.subdir, chosen.filename)
    if wire is None:
        raise Conflict("promotion-outdated", f"{chosen.filename} changed while the plan was made. Try again.")
    record = from_wire(wire)
    state = ItemState.NEW if chosen.is_new else ItemState.PRESENT
    if chosen.is_new and "sha256" not in record:
        state = ItemState.UNVERIFIABLE
    elif chosen.is_new and held.get((chosen.subdir, chosen.filename), record["sha256"]) != record["sha256"]:
        state = ItemState.CONFLICT
    return Item(Subdir(chosen.subdir), chosen.filename, state, record.get("name") in asked, record)

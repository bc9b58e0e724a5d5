"""What waits for somebody besides requests: each kind with its number and its next few, and where one acts on it.

cooldown     files that a minimum age holds back, and that are judged again soon
exemption    exemptions that end soon
approval     approvals until a date that end soon
malware      packages of which advisories of malware hold something back
broken       packages of which something is hidden, since nothing satisfies what it depends on

What ends is found by the index of its moment. Of what the gate holds back, one look through its notes counts for all who
ask, beside the pages, and again when a channel has changed.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import urlencode

from sqlalchemy import String, cast, func, or_, select

from headgate.channels.consistency import BROKEN
from headgate.channels.model import Channel
from headgate.channels.policies import PolicyBook
from headgate.db import tables
from headgate.db.engine import Database
from headgate.db.tables_gate import gate_name
from headgate.kernel import clock
from headgate.policy.exemptions import Exemption
from headgate.policy.sitting import BUILT_IN

_SOON = timedelta(days=14)
_MOST = 200
_COOLDOWN = "minimum-age"
_THERE = ("active", "yanked")


class WaitingKind(StrEnum):
    """What waits."""

    REQUEST = "request"
    COOLDOWN = "cooldown"
    EXEMPTION = "exemption"
    APPROVAL = "approval"
    MALWARE = "malware"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing that waits: until when (of a request: since when), and the page on which one acts."""

    kind: WaitingKind
    title: str
    sentence: str
    path: str
    channel: str | None = None
    at: datetime | None = None


@dataclass(slots=True)
class Waits:
    """Everything of one kind: a few of it, how many there are, and whether there are more than were counted."""

    rows: list[Waiting] = field(default_factory=list)
    number: int = 0
    is_more: bool = False


@dataclass(frozen=True, slots=True)
class _Held:
    """How many files of which names malware advisories hold back, or are hidden, by the id of the subdir."""

    malware: Mapping[int, Counter[str]]
    broken: Mapping[int, Counter[str]]


class WaitingRoom:
    """Answers for the channels that it is asked about."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: _Held | None = None
        self._key: tuple[tuple[int, int], ...] = ()
        self._task: asyncio.Task[None] | None = None

    async def cooldowns(self, channels: Sequence[Channel], book: PolicyBook) -> Waits:
        """Names of which a minimum age holds files back and that are judged again soon; the next one first."""
        places = _places(channels)
        rules = {
            f"{policy.name}/{entry.label}"
            for policy in book.policies.values()
            for entry in policy.rules
            if entry.rule.kind == _COOLDOWN
        }
        if not places or not rules:
            return Waits()
        columns, now = gate_name.c, clock.now()
        statement = (
            select(columns.subdir_id, columns.name, columns.valid_until, columns.held)
            .where(columns.subdir_id.in_(places), columns.valid_until > now, columns.valid_until < now + _SOON)
            .order_by(columns.valid_until)
            .limit(_MOST + 1)
        )
        async with self._database.read() as connection:
            found = (await connection.execute(statement)).all()
        waits = Waits(is_more=len(found) > _MOST)
        for row in found[:_MOST]:
            held = sum(number for rule, number in row.held.items() if rule in rules)
            if held:
                channel, subdir = places[row.subdir_id]
                said = f"{channel}/{subdir}: {_files(held)} too new; judged again then."
                path = f"/packages/{channel}/{row.name}"
                waits.rows.append(Waiting(WaitingKind.COOLDOWN, row.name, said, path, channel, row.valid_until))
        waits.number = len(waits.rows)
        return waits

    async def endings(self, channels: Sequence[Channel]) -> Waits:
        """Approvals until a date that end soon; one line for what ends together."""
        places, artifacts, now = _places(channels), tables.artifact.c, clock.now()
        together = (artifacts.subdir_id, artifacts.origin, artifacts.ends_at)
        statement = (
            select(*together, func.count().label("number"), func.min(artifacts.filename).label("filename"))
            # Found by when they end: a planner that went by subdir would read every file of a channel.
            .where((artifacts.subdir_id + 0).in_(places))
            .where(artifacts.ends_at < now + _SOON, artifacts.status.in_(_THERE))
            .group_by(*together)
            .order_by(artifacts.ends_at)
            .limit(_MOST + 1)
        )
        async with self._database.read() as connection:
            found = (await connection.execute(statement)).all()
        waits = Waits(is_more=len(found) > _MOST)
        for row in found[:_MOST]:
            channel, subdir = places[row.subdir_id]
            title = row.filename if row.number == 1 else f"{row.filename} and {row.number - 1} more"
            want = urlencode({"want": f"{subdir}/{row.filename}", "target": channel}, safe="/")
            said = f"{channel}/{subdir}: leaves then ({row.origin}), unless it is approved anew."
            waits.rows.append(Waiting(WaitingKind.APPROVAL, title, said, f"/requests/new?{want}", channel, row.ends_at))
        waits.number = len(waits.rows)
        return waits

    async def held(self, channels: Sequence[Channel], everything: Collection[Channel]) -> tuple[Waits, Waits]:
        """What malware advisories hold back, and what is hidden as broken, as of the last look at all channels.

        Only the first look is waited for.
        """
        key = tuple(sorted((one.id, one.revision) for one in everything))
        if key != self._key and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._look(key))
        if self._held is None:
            await self.settle()
        places, held = _places(channels), self._held
        if held is None:
            return Waits(), Waits()
        return (
            _of_names(WaitingKind.MALWARE, held.malware, places, "an advisory calls it malicious", "built-in"),
            _of_names(WaitingKind.BROKEN, held.broken, places, "nothing satisfies what it needs", "unsatisfiable"),
        )

    async def settle(self) -> None:
        """Wait for the look that is under way."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def close(self) -> None:
        """Leave the look that is under way."""
        if self._task is not None:
            self._task.cancel()
            await self.settle()

    async def _look(self, key: tuple[tuple[int, int], ...]) -> None:
        said, found = cast(gate_name.c.held, String), _Held(defaultdict(Counter), defaultdict(Counter))
        malware = f"{BUILT_IN}/"
        statement = select(gate_name.c.subdir_id, gate_name.c.name, gate_name.c.held).where(
            or_(said.contains(f'"{malware}', autoescape=True), said.contains(f'"{BROKEN}"', autoescape=True))
        )
        async with self._database.read() as connection:
            for row in await connection.execute(statement):
                for rule, number in row.held.items():
                    if rule.startswith(malware):
                        found.malware[row.subdir_id][row.name] += number
                    elif rule == BROKEN and number:
                        found.broken[row.subdir_id][row.name] += number
        self._held, self._key = found, key


def exemptions_ending(exemptions: Sequence[Exemption]) -> Waits:
    """Those that end soon; the next one first."""
    now = clock.now()
    ending = [(one.expires_at, one) for one in exemptions if one.expires_at and now < one.expires_at < now + _SOON]
    rows = [
        Waiting(
            WaitingKind.EXEMPTION, one.target, f"{one.channel or 'all channels'}, for {one.owner}: {one.reason}",
            f"/exemptions?{urlencode({'q': one.target})}", one.channel, at,
        )
        for at, one in sorted(ending, key=lambda pair: (pair[0], pair[1].id))
    ]  # fmt: skip
    return Waits(rows[:_MOST], len(rows), len(rows) > _MOST)


def _places(channels: Sequence[Channel]) -> dict[int, tuple[str, str]]:
    return {state.id: (str(one.name), str(name)) for one in channels for name, state in one.subdirs.items()}


def _of_names(
    kind: WaitingKind, counts: Mapping[int, Counter[str]], places: Mapping[int, tuple[str, str]], why: str, rule: str
) -> Waits:
    """One line per channel and name, most files first."""
    sums: Counter[tuple[str, str]] = Counter()
    for number, names in counts.items():
        if number in places:
            for name, files in names.items():
                sums[places[number][0], name] += files
    rows = []
    for (channel, name), files in sums.most_common(_MOST):
        path = f"/packages/{channel}/{name}"
        if kind is WaitingKind.BROKEN:
            path = f"/search?{urlencode({'q': f'{name} channel:{channel} blocked:{rule}'})}"
        rows.append(Waiting(kind, name, f"{channel}: {_files(files)}, since {why}.", path, channel))
    return Waits(rows, len(sums), len(sums) > _MOST)


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"

"""The cards in a web worker's memory: loaded at the first search, then followed revision by revision.

Names are looked for in one long text per channel, which takes a fraction of a millisecond for 30,000 of them.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any

from sqlalchemy import select

from headgate.channels.model import Channel
from headgate.db.engine import Database
from headgate.db.tables_search import search_card, search_subdir

_SHORT = 2


@dataclass(frozen=True, slots=True)
class Card:
    """What search knows of a name in a subdir."""

    files: int
    version: str
    newest_at: datetime | None
    licences: str
    """One a line."""
    summary: str
    depends: str
    """The names that its newest files need, each between line ends."""


@dataclass(slots=True)
class _Subdir:
    revision: int = 0
    cards: dict[str, Card] = field(default_factory=dict)


class Shelf:
    """All names of one channel."""

    def __init__(self, subdirs: Mapping[str, Mapping[str, Card]]) -> None:
        self.subdirs = subdirs
        self.names: Sequence[str] = sorted(set().union(*subdirs.values()))
        self._text = "\n".join(("", *self.names, ""))
        self._dependents: dict[str, list[str]] | None = None
        self._licensed: dict[str, dict[str, list[str]]] | None = None
        self._summaries = "\n".join(("", *self._summarised(), ""))

    def _summarised(self) -> Iterator[str]:
        for name in self.names:
            said = next((cards[name].summary for cards in self.subdirs.values() if name in cards), "")
            if said:
                yield f"{name}\t{said.lower()}"

    def has(self, name: str) -> bool:
        """Whether the channel has the name."""
        place = bisect_left(self.names, name)
        return place < len(self.names) and self.names[place] == name

    def cards(self, name: str) -> dict[str, Card]:
        """Subdir -> card."""
        return {subdir: cards[name] for subdir, cards in self.subdirs.items() if name in cards}

    def dependents(self, name: str) -> Sequence[str]:
        """Names whose newest files need the name, in their order; the first question of all makes the index."""
        if self._dependents is None:
            found: dict[str, set[str]] = {}
            for cards in self.subdirs.values():
                for own, card in cards.items():
                    for needed in card.depends.split("\n"):
                        found.setdefault(needed, set()).add(own)
            self._dependents = {needed: sorted(names) for needed, names in found.items() if needed}
        return self._dependents.get(name, ())

    def licensed(self, subdir: str, wanted: str) -> Iterable[str]:
        """Names whose licences in a subdir hold the text, which is in lower case: there are few different ones."""
        if self._licensed is None:
            self._licensed = {}
            for own, cards in self.subdirs.items():
                groups = self._licensed.setdefault(own, {})
                for name, card in cards.items():
                    groups.setdefault(card.licences.lower(), []).append(name)
        found = self._licensed[subdir]
        return chain.from_iterable(found[licences] for licences in found if wanted in licences)

    def find(self, word: str) -> dict[str, int]:
        """Names with the word -> how well it fits: 0 is it, 1 begins with it, 2 holds it, 3 says it in its summary."""
        found = dict.fromkeys(self._beginning(word), 1)
        if found and word in found:
            found[word] = 0
        if len(word) > _SHORT:
            for name in _lines(self._text, word):
                found.setdefault(name, 2)
            for line in _lines(self._summaries, word):
                found.setdefault(line.partition("\t")[0], 3)
        return found

    def _beginning(self, word: str) -> Iterable[str]:
        first = bisect_left(self.names, word)
        return self.names[first : bisect_left(self.names, word + "\U0010ffff")]


def _lines(text: str, word: str) -> Iterator[str]:
    place = text.find(word)
    while place >= 0:
        end = text.find("\n", place)
        yield text[text.rfind("\n", 0, place) + 1 : end]
        place = text.find(word, end)


class Shelves:
    """A shelf per channel."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._subdirs: dict[int, _Subdir] = {}
        self._made: dict[int, tuple[tuple[tuple[int, int], ...], Shelf]] = {}
        self._loading = asyncio.Lock()

    async def of(self, channels: Sequence[Channel]) -> dict[int, Shelf]:
        """Channel id -> its shelf, as far as cards are made."""
        wanted = {state.id: state.revision for one in channels for state in one.subdirs.values()}
        if any(self._revision(number) < revision for number, revision in wanted.items()):
            async with self._loading:
                await self._load([number for number, last in wanted.items() if self._revision(number) < last])
        return {one.id: self._shelf(one) for one in channels}

    def _revision(self, subdir: int) -> int:
        known = self._subdirs.get(subdir)
        return 0 if known is None else known.revision

    def _shelf(self, channel: Channel) -> Shelf:
        key = tuple((state.id, self._revision(state.id)) for state in channel.subdirs.values())
        made = self._made.get(channel.id)
        if made is None or made[0] != key:
            cards = {name: self._subdirs[state.id].cards for name, state in channel.subdirs.items()
                     if state.id in self._subdirs}  # fmt: skip
            made = self._made[channel.id] = (key, Shelf(cards))
        return made[1]

    async def _load(self, behind: Sequence[int]) -> None:
        columns = search_card.c
        statement = select(
            columns.name,
            columns.files,
            columns.version,
            columns.newest_at,
            columns.licences,
            columns.summary,
            columns.depends,
        )
        async with self._database.read() as connection:
            newest = {
                row.subdir_id: row.revision
                for row in await connection.execute(select(search_subdir).where(search_subdir.c.subdir_id.in_(behind)))
            }
            for number, revision in newest.items():
                old = self._subdirs.get(number) or _Subdir()
                if revision <= old.revision:
                    continue
                chosen = statement.where(columns.subdir_id == number, columns.revision > old.revision)
                rows = (await connection.execute(chosen)).all()
                self._subdirs[number] = _Subdir(revision, await asyncio.to_thread(_followed, old.cards, rows))


def _followed(old: Mapping[str, Card], rows: Iterable[Any]) -> dict[str, Card]:
    cards = dict(old)
    kept: dict[str, str] = {}
    for name, files, version, newest_at, licences, summary, depends in rows:
        if files:
            cards[name] = Card(files, version, newest_at, kept.setdefault(licences, licences), summary, depends)
        else:
            cards.pop(name, None)
    return cards

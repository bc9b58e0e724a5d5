"""Search over the channels that somebody may read: names, summaries, files, digests, advisories; and what policy hides."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import chain, islice

from sqlalchemy import ColumnElement, func, select

from headgate.advisories.assessing import Brief, Knowledge
from headgate.advisories.book import AdvisoryBook
from headgate.channels.maps import Maps
from headgate.channels.model import Channel
from headgate.channels.search_cards import HEAD_BYTES
from headgate.channels.search_found import Found, FoundAdvisory, FoundFile, FoundPackage, Hidden, Place
from headgate.channels.search_query import Query
from headgate.channels.search_shelves import Card, Shelf, Shelves
from headgate.channels.shards import ShardCache
from headgate.conda.records import Record
from headgate.conda.shards import decode_stored
from headgate.db.engine import Database
from headgate.db.tables_gate import gate_name
from headgate.db.tables_search import search_card
from headgate.kernel import clock

MOST = 50
Held = dict[tuple[int, str], dict[str, int]]
"""(channel, name) -> policy/rule -> how many files are held back."""
_MOST_FILES = 20
_MOST_CANDIDATES = 40


class SearchService:
    """Searches."""

    def __init__(self, database: Database, maps: Maps, shards: ShardCache, book: AdvisoryBook) -> None:
        self._database = database
        self._maps = maps
        self._shards = shards
        self._book = book
        self._shelves = Shelves(database)
        self._touched: tuple[Knowledge | None, dict[str, frozenset[str]]] = (None, {})

    async def search(self, query: Query, readable: Sequence[Channel], *, start: int = 0, most: int = MOST) -> Found:
        """What fits the query, of the channels that may be read; the packages from number `start` on."""
        if query.is_empty:
            return Found()
        channels = [one for one in readable if query.channel is None or fnmatchcase(one.name, query.channel)]
        shelves = await self._shelves.of(channels)
        held = await self._held(query, channels)
        fits = {one.id: self._fitting(query, one, shelves[one.id], held) for one in channels}
        best: dict[str, int] = {}
        for names in fits.values():
            if not best:
                best = dict(names)
            else:
                best |= {name: min(fit, best.get(name, fit)) for name, fit in names.items()}
        ordered = sorted(best, key=lambda name: (best[name], len(name), name)) if query.words else sorted(best)
        shown = ordered[start : start + most]
        held |= await self._held_of(channels, shown)
        packages = [
            _package(name, best[name], [(one, _kept(query, shelves[one.id].cards(name))) for one in channels
                                        if name in fits[one.id]], held)
            for name in shown
        ]  # fmt: skip
        return Found(
            packages=packages,
            files=await self._files(query, channels, shelves) if start == 0 else (),
            advisories=self._advisories(query, shelves.values()),
            hidden=_hidden(channels, held, query, set(shown)),
            total=len(ordered),
        )

    async def suggest(self, text: str, readable: Sequence[Channel], most: int = 8) -> list[tuple[str, str]]:
        """(name, channel) of the names that fit best, for whoever is typing."""
        found = await self.search(Query(text=text, words=(text.lower(),)), readable, most=most)
        return [(one.name, one.places[0].channel) for one in found.packages]

    async def list_channels(self, readable: Sequence[Channel], name: str) -> list[Channel]:
        """Those of the channels that have the name."""
        shelves = await self._shelves.of(readable)
        return [one for one in readable if shelves[one.id].has(name)]

    async def list_dependents(self, channel: Channel, name: str, most: int = 100) -> list[str]:
        """Names in the channel whose newest files depend on the name."""
        return list((await self._shelves.of([channel]))[channel.id].dependents(name)[:most])

    def _fitting(self, query: Query, channel: Channel, shelf: Shelf, held: Held) -> dict[str, int]:
        """Name -> how well it fits, of the names of one channel for which all words and terms hold."""
        found: dict[str, int] | None = None
        for word in query.words:
            fits = shelf.find(word)
            found = (
                fits if found is None else {name: max(fit, fits[name]) for name, fit in found.items() if name in fits}
            )
        left: list[Collection[str]] = [] if found is None else [found.keys()]
        if query.terms or query.advisory:
            left += self._left_by_terms(query, channel, shelf, held, None if found is None else found.keys())
        if not left:
            return {}
        names = left[0] if len(left) == 1 else set(left[0]).intersection(*left[1:])
        if found is None:  # in the order of the shelf, which sorts them for nothing
            return dict.fromkeys(filter(names.__contains__, shelf.names), 2)
        return {name: found[name] for name in names}

    def _left_by_terms(
        self, query: Query, channel: Channel, shelf: Shelf, held: Held, among: Collection[str] | None
    ) -> list[Collection[str]]:
        """For each kind of term, the names that it leaves."""
        left: list[Collection[str]] = []
        touched = self._touching(query, shelf)
        if touched is not None:
            left.append(touched)
        if query.blocked is not None:
            left.append(_blocked(query.blocked, channel, shelf, held))
        if query.licence is not None or query.subdir is not None or _ages(query):
            subdirs = [one for one in shelf.subdirs if query.subdir is None or fnmatchcase(one, query.subdir)]
            left.append(set(chain.from_iterable(_names_in(query, shelf, one, among) for one in subdirs)))
        return left or [shelf.names if among is None else among]

    def _touching(self, query: Query, shelf: Shelf) -> set[str] | None:
        """The names that the advisories asked for touch; None when none are asked for."""
        if query.advisory is None and query.least_score is None and query.most_score is None:
            return None
        knowledge = self._book.knowledge
        wanted = knowledge.canonical.get(query.advisory or "", query.advisory)
        found = set()
        for name, ids in self._touched_names(shelf).items():
            if wanted is not None and wanted not in ids:
                continue
            scores = [brief.cvss for one in ids if (brief := knowledge.briefs.get(one)) and brief.cvss is not None]
            if _scores(query, scores):
                found.add(name)
        return found

    def _touched_names(self, shelf: Shelf) -> dict[str, frozenset[str]]:
        knowledge = self._book.knowledge
        if self._touched[0] is not knowledge:
            self._touched = (knowledge, {})
        known = self._touched[1]
        for name in shelf.names:
            if name not in known:
                known[name] = knowledge.touching(name)
        return {name: known[name] for name in shelf.names if known[name]}

    def _advisories(self, query: Query, shelves: Iterable[Shelf]) -> list[FoundAdvisory]:
        knowledge = self._book.knowledge
        brief: Brief | None = knowledge.briefs.get(knowledge.canonical.get(query.advisory or "", ""))
        if brief is None:
            return []
        names = sorted({name for one in shelves for name, ids in self._touched_names(one).items() if brief.id in ids})
        return [
            FoundAdvisory(
                brief.id, brief.aliases, brief.cvss, brief.severity, brief.is_known_exploited, tuple(names[:MOST])
            )
        ]

    async def _files(self, query: Query, channels: Sequence[Channel], shelves: Mapping[int, Shelf]) -> list[FoundFile]:
        """Files whose digest begins as asked, or whose name begins with a word."""
        found: list[FoundFile] = []
        if query.sha256 is not None:
            wanted = query.sha256
            for channel, subdir, name in await self._with_head(channels, bytes.fromhex(wanted[: 2 * HEAD_BYTES])):
                for filename, record in (await self._records(channel, subdir, name)).items():
                    digest = _hex(record)
                    if digest.startswith(wanted):
                        found.append(FoundFile(channel.name, subdir, filename, digest))
        for word in query.words:
            for channel in channels:
                for name in _heads(word, shelves[channel.id]):
                    for subdir in shelves[channel.id].cards(name):
                        records = await self._records(channel, subdir, name)
                        found += [
                            FoundFile(channel.name, subdir, filename, _hex(record))
                            for filename, record in records.items()
                            if filename.lower().startswith(word)
                        ]
        return sorted(found, key=lambda one: (one.filename, one.channel, one.subdir))[:_MOST_FILES]

    async def _records(self, channel: Channel, subdir: str, name: str) -> dict[str, Record]:
        state = channel.subdirs.get(subdir)
        digest = None if state is None else (await self._maps.get(state)).digests.get(name)
        body = None if digest is None else await self._shards.find(digest)
        return {} if body is None else dict(decode_stored(body).records())

    async def _with_head(self, channels: Sequence[Channel], head: bytes) -> list[tuple[Channel, str, str]]:
        places = {state.id: (one, name) for one in channels for name, state in one.subdirs.items()}
        columns = search_card.c
        if self._database.is_sqlite:
            has: ColumnElement[int] = func.instr(columns.heads, head)
        else:
            has = func.strpos(func.encode(columns.heads, "hex"), head.hex())
        statement = select(columns.subdir_id, columns.name).where(columns.subdir_id.in_(places), has > 0)
        async with self._database.read() as connection:
            rows = (await connection.execute(statement.limit(_MOST_CANDIDATES))).all()
        return [(*places[row.subdir_id], row.name) for row in rows]

    async def _held(self, query: Query, channels: Sequence[Channel]) -> Held:
        """(channel, name) -> rule -> files held back: of every name where that is asked for, else of the words."""
        if query.blocked is not None:
            return await self._read_held(channels, None)
        return await self._read_held(channels, query.words) if query.words else {}

    async def _held_of(self, channels: Sequence[Channel], names: Sequence[str]) -> Held:
        return await self._read_held(channels, names) if names else {}

    async def _read_held(self, channels: Sequence[Channel], names: Sequence[str] | None) -> Held:
        owners = {state.id: one.id for one in channels for state in one.subdirs.values()}
        statement = select(gate_name.c.subdir_id, gate_name.c.name, gate_name.c.held)
        statement = statement.where(gate_name.c.subdir_id.in_(owners))
        if names is not None:
            statement = statement.where(gate_name.c.name.in_(names))
        found: Held = {}
        async with self._database.read() as connection:
            for row in await connection.execute(statement):
                sums = found.setdefault((owners[row.subdir_id], row.name), {})
                for rule, count in row.held.items():
                    sums[rule] = sums.get(rule, 0) + count
        return {key: sums for key, sums in found.items() if sums}


def _scores(query: Query, scores: Sequence[float]) -> bool:
    if query.least_score is None and query.most_score is None:
        return True
    least = -1.0 if query.least_score is None else query.least_score
    most = 11.0 if query.most_score is None else query.most_score
    return any(least < score < most for score in scores)


def _kept(query: Query, cards: Mapping[str, Card]) -> dict[str, Card]:
    """The cards of a name that the terms leave."""
    looks = _looks(query)
    return {
        subdir: card
        for subdir, card in cards.items()
        if (query.subdir is None or fnmatchcase(subdir, query.subdir)) and all(look(card) for look in looks)
    }


def _names_in(query: Query, shelf: Shelf, subdir: str, among: Collection[str] | None) -> Iterable[str]:
    """The names of a subdir whose cards fit; licences first, for these are looked up."""
    cards, looks = shelf.subdirs[subdir], _ages(query)
    names: Iterable[str] = cards if among is None else [name for name in among if name in cards]
    if query.licence is not None:
        licensed = shelf.licensed(subdir, query.licence)
        names = licensed if among is None else set(names).intersection(licensed)
    return names if not looks else [name for name in names if all(look(cards[name]) for look in looks)]


def _looks(query: Query) -> list[Callable[[Card], bool]]:
    """What each term asks of a card."""
    wanted = query.licence
    return [*_ages(query), *([] if wanted is None else [lambda card: wanted in card.licences.lower()])]


def _ages(query: Query) -> list[Callable[[Card], bool]]:
    """What the terms ask of a card's age."""
    now = clock.now()
    looks: list[Callable[[Card], bool]] = []
    if query.younger is not None:
        since = now - query.younger
        looks.append(lambda card: card.newest_at is not None and card.newest_at > since)
    if query.older is not None:
        until = now - query.older
        looks.append(lambda card: card.newest_at is not None and card.newest_at < until)
    return looks


def _blocked(wanted: str, channel: Channel, shelf: Shelf, held: Held) -> set[str]:
    own = {name: rules for (number, name), rules in held.items() if number == channel.id and shelf.has(name)}
    if wanted == "no":
        return set(shelf.names) - own.keys()
    return {name for name, rules in own.items() if wanted == "yes" or wanted in {rule.lower() for rule in rules}}


def _package(
    name: str,
    fit: int,
    found: Sequence[tuple[Channel, Mapping[str, Card]]],
    held: Held,
) -> FoundPackage:
    places = [replace(_place(channel.name, cards), held=held.get((channel.id, name), {})) for channel, cards in found]
    summary = next((card.summary for _, cards in found for card in cards.values() if card.summary), "")
    return FoundPackage(name, fit, summary, tuple(places))


def _place(channel: str, cards: Mapping[str, Card]) -> Place:
    newest = max(cards.values(), key=lambda card: (card.newest_at is not None, card.newest_at))
    return Place(
        channel=channel,
        version=newest.version,
        files=sum(card.files for card in cards.values()),
        newest_at=newest.newest_at,
        licences=tuple(sorted({one for card in cards.values() for one in card.licences.split("\n") if one})),
        subdirs=tuple(sorted(cards)),
    )


def _hidden(
    channels: Sequence[Channel],
    held: Held,
    query: Query,
    shown: set[str],
) -> list[Hidden]:
    """The words themselves where nothing of them is shown, and what of the names shown is held back."""
    names = {one.id: one.name for one in channels}
    wanted = shown | set(query.words)
    found = (
        Hidden(names[channel], name, sums)
        for (channel, name), sums in sorted(held.items())
        if name in wanted or query.blocked is not None
    )
    return list(islice(found, MOST))


def _heads(word: str, shelf: Shelf) -> list[str]:
    """The names that a word begins with when it is the beginning of a file name: `demo` of `demo-1.0`."""
    places = [place for place, sign in enumerate(word) if sign == "-" and word[place + 1 : place + 2].isdigit()]
    return [word[:place] for place in places if shelf.has(word[:place])]


def _hex(record: Record) -> str:
    digest = record.get("sha256")
    return digest.hex() if isinstance(digest, bytes) else ""

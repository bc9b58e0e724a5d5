"""Picking part of a channel: what match specs name with all they may depend on, or exactly what a lock file names.

The closure is wide: of every dependency, each record that satisfies it is taken, in each of the subdirs. So whatever a
solver would have chosen from the channel, for whichever platform, it finds in the bundle.
"""

from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headgate.airgap.manifest import Selection
from headgate.conda.names import ArtifactName, Subdir
from headgate.conda.records import Record, from_wire
from headgate.conda.shards import Shard
from headgate.conda.specs import matches, parse_spec
from headgate.kernel.errors import Invalid, NotFound
from headgate.policy.verdicts import Verdict

Maps = Mapping[str, Mapping[str, bytes]]
"""subdir -> name -> digest"""


@dataclass(frozen=True, slots=True)
class Offer:
    """What there is of a name in a subdir, and what keeps some of its files from being taken."""

    shard: Shard
    held: Mapping[str, Verdict] = field(default_factory=dict)

    def why_not(self, filename: str) -> str:
        """The sentence of what holds a file back; empty when nothing does."""
        reasons = self.held[filename].reasons if filename in self.held else ()
        return next((one.sentence for one in reasons if not one.outcome.is_passing), "")


Read = Callable[[str, str], Awaitable[Offer]]
"""What there is of a name in a subdir; only asked for names of the maps."""
Picked = Mapping[tuple[str, str], Shard]

_MOST_SAID = 20
_NOTHING = Offer(Shard())


def narrow(maps: Maps, selection: Selection) -> Maps:
    """The subdirs that the selection names. Raises NotFound `subdir-unknown`."""
    unknown = sorted(set(selection.subdirs) - maps.keys())
    if unknown:
        raise NotFound("subdir-unknown", f"The channel has no {', '.join(unknown)}.")
    return {subdir: maps[subdir] for subdir in selection.subdirs} if selection.subdirs else maps


async def pick(maps: Maps, selection: Selection, read: Read) -> Picked:
    """The shards, each with the wanted records only. Raises Invalid `selection-unmet`, with a reason per miss."""
    picker = _Picker(maps, read)
    for place, sha256 in sorted(selection.files.items()):
        await picker.take_file(place, sha256)
    for spec in selection.specs:
        await picker.take_spec(spec)
    if picker.unmet:
        some = picker.unmet[:_MOST_SAID]
        more = f" And {len(picker.unmet) - len(some)} more." if len(picker.unmet) > len(some) else ""
        raise Invalid(
            "selection-unmet", f"The channel does not have all that was selected. {' '.join(some)}{more}", some
        )
    return {key: _trimmed((await picker.offer(*key)).shard, names) for key, names in picker.wanted.items()}


class _Picker:
    def __init__(self, maps: Maps, read: Read) -> None:
        self._maps = maps
        self._read = read
        self._offers: dict[tuple[str, str], Offer] = {}
        self._seen: set[str] = set()
        self.wanted: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.unmet: list[str] = []

    async def offer(self, subdir: str, name: str) -> Offer:
        """Read once."""
        key = (subdir, name)
        if key not in self._offers:
            self._offers[key] = await self._read(subdir, name)
        return self._offers[key]

    async def take_file(self, place: str, sha256: str) -> None:
        """Take one file by its place, `subdir/filename`."""
        subdir, _, filename = place.rpartition("/")
        artifact = ArtifactName.parse(filename)
        has_name = artifact.name in self._maps.get(Subdir.parse(subdir), {})
        offer = await self.offer(subdir, artifact.name) if has_name else _NOTHING
        record = offer.shard.find(filename)
        if record is None:
            self.unmet.append(f"There is no {place}.")
        elif filename in offer.held:
            self.unmet.append(f"{place} is held back: {offer.why_not(filename)}")
        elif sha256 and from_wire(record).get("sha256") != sha256:
            self.unmet.append(f"{place} has other bytes than those wanted.")
        else:
            self.wanted[subdir, artifact.name].add(filename)

    async def take_spec(self, text: str) -> None:
        """Take what satisfies a spec, and whatever that may depend on."""
        found = await self._take(text)
        if not found:
            self.unmet.append(await self._unsatisfied(text))
        waiting = deque(_dependencies(found))
        while waiting:
            dependency = waiting.popleft()
            if dependency not in self._seen:
                self._seen.add(dependency)
                waiting.extend(_dependencies(await self._take(dependency)))

    async def _take(self, text: str) -> list[Record]:
        """Take the records that satisfy a spec: every one of its name when the spec cannot be read."""
        name, taken = _name_of(text), []
        for subdir, names in self._maps.items():
            if name not in names:
                continue
            offer = await self.offer(subdir, name)
            for filename, record in offer.shard.records():
                if filename not in offer.held and _satisfies(text, record):
                    self.wanted[subdir, name].add(filename)
                    taken.append(record)
        return taken

    async def _unsatisfied(self, text: str) -> str:
        """Why nothing was taken for a spec: there is nothing, or what there is was held back."""
        name = _name_of(text)
        for subdir, names in self._maps.items():
            offer = await self.offer(subdir, name) if name in names else _NOTHING
            for filename, record in offer.shard.records():
                if filename in offer.held and _satisfies(text, record):
                    return (
                        f"All that satisfies {text!r} is held back, as {subdir}/{filename}: {offer.why_not(filename)}"
                    )
        return f"Nothing satisfies {text!r}."


def _dependencies(records: Iterable[Record]) -> Iterator[str]:
    for record in records:
        yield from record.get("depends", ())


def _name_of(text: str) -> str:
    try:
        name: Any = parse_spec(text).name
    except Invalid:
        name = None
    return getattr(name, "normalized", None) or text.split(" ", 1)[0].lower()


def _satisfies(text: str, record: Record) -> bool:
    try:
        return matches(parse_spec(text), record)
    except Invalid:
        return True


def _trimmed(shard: Shard, filenames: set[str]) -> Shard:
    return Shard(
        packages={name: record for name, record in shard.packages.items() if name in filenames},
        conda={name: record for name, record in shard.conda.items() if name in filenames},
        v3={
            group: {stem: record for stem, record in records.items() if f"{stem}.{group}" in filenames}
            for group, records in shard.v3.items()
        },
        removed=[],
    )


def parse_selection(
    subdirs: Sequence[str],
    specs: Sequence[str],
    files: Mapping[str, str],
    *,
    has_advisories: bool = False,
    policy: str = "",
) -> Selection:
    """A selection whose every part can be read. Raises Invalid `subdir-invalid`, `match-spec-invalid` and others."""
    for subdir in subdirs:
        Subdir.parse(subdir)
    for spec in specs:
        parse_spec(spec)
    for place in files:
        subdir, _, filename = place.rpartition("/")
        Subdir.parse(subdir)
        ArtifactName.parse(filename)
    return Selection(
        subdirs=tuple(sorted(set(subdirs))),
        specs=tuple(sorted(set(specs))),
        files=dict(files),
        has_advisories=has_advisories,
        policy=policy,
    )

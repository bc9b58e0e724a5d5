"""A repodata document, read for the fingerprints of its names; records are taken out for names that are asked for. Pure.

With the outline of an earlier document, what is as it was is compared and not parsed. An outline saves work and decides
nothing: the same is read with any, and with none.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise
from typing import Any, Final

import msgspec

from headgate.conda.names import package_of
from headgate.conda.outlines import STYLES, Outline, Shortened, Style, digest_run, find_runs, key_of, shorten
from headgate.conda.repodata import Fragments, RawMap, Repodata, Run, split_repodata
from headgate.kernel.errors import Invalid

_PACKAGES: Final = "packages"
_CONDA: Final = "packages.conda"
_NOTHING: Final = Fragments({}, {}, {}, [])
# As seen.
_RECORD_BYTES: Final = 500
# Of a document of which less is found again, the rest is not worth a copy beside it: 1.0 GB instead of 0.5, and twice the time.
_LEAST_FOUND: Final = 0.5


class Reading:
    """What a document says; it keeps the document.

    `info`, `extras` and `skipped` as in `Repodata`. `fingerprints` has 32 bytes per package name which change when any of
    its records does. `outline` is for reading the next document; None of one that is written unevenly.
    """

    def __init__(self, document: bytes, repodata: Repodata, runs: "_Runs | None") -> None:
        self.info: dict[str, Any] = repodata.info
        self.extras = repodata.extras
        self.skipped = repodata.skipped if runs is None else runs.skipped
        self.outline = None if runs is None else runs.outline
        self.fingerprints = _fingerprints(repodata, runs)
        self._document = memoryview(document)
        self._left = {} if runs is None else runs.left
        self._names = repodata.names

    def records(self, name: str) -> int:
        """How many records a name has, about."""
        fragments = self._names.get(name, _NOTHING)
        left = sum(end - at for _, at, end in self._left.get(name, ())) // _RECORD_BYTES
        return left + len(fragments.packages) + len(fragments.conda) + sum(map(len, fragments.v3.values()))

    def fragments(self, name: str) -> Fragments:
        """The records of a name. Raises KeyError when there are none, or none any more."""
        places = self._left.get(name)
        if places is None:
            return self._names[name]
        maps: dict[str, RawMap] = {_PACKAGES: {}, _CONDA: {}}
        for where, at, end in places:
            maps[where] |= _members(self._document[at:end])
        changed = self._names.get(name, _NOTHING)
        packages, conda = maps[_PACKAGES] | changed.packages, maps[_CONDA] | changed.conda
        return Fragments(packages, conda, changed.v3, changed.removed)

    def forget(self, name: str) -> None:
        """Let a name go."""
        self._names.pop(name, None)
        self._left.pop(name, None)

    def close(self) -> None:
        """Let the document go, and all names."""
        self._document, self._names, self._left = memoryview(b""), {}, {}


def read_document(document: bytes, before: Outline | None = None) -> Reading:
    """Read a document, by the outline of an earlier one if there is any.

    Raises Invalid `repodata-invalid` when it is not JSON, is cut short, or its maps are not maps.
    """
    if before is not None and (reading := _read_shortened(document, before)) is not None:
        return reading
    repodata = split_repodata(document)
    for style in STYLES:
        try:
            runs = _gather(Shortened(document, {}), repodata, Outline(style), ())
            return Reading(document, repodata, runs)
        except _UnevenError:
            continue
    return Reading(document, repodata, None)


def _read_shortened(document: bytes, before: Outline) -> Reading | None:
    """None when the document has to be read as a whole; then what is wrong with it, if anything, is told of that."""
    places = find_runs(document, before)
    found = sum(length for place, length in zip(places, before.lengths, strict=True) if place >= 0)
    if found < _LEAST_FOUND * len(document):
        return None
    try:
        short = shorten(document, before, places)
        for torn in _find_torn(split_repodata(short.text), short.marks, before):
            places[torn] = -1
        short = shorten(document, before, places)
        repodata = split_repodata(short.text)
        return Reading(document, repodata, _gather(short, repodata, before, places))
    except (Invalid, _UnevenError):
        return None


def _find_torn(repodata: Repodata, marks: Mapping[str, range], before: Outline) -> Iterator[int]:
    """Marked runs beside other members of their package, with which they are one run now."""

    def package(one: str | int) -> str:
        return one if isinstance(one, str) else package_of(before.firsts[one])

    keys = iter(repodata.skipped)
    for runs in (repodata.packages, repodata.conda):
        for pair in pairwise(_sequence(runs, keys, marks)):
            if package(pair[0]) == package(pair[1]) != "":
                yield from (one for one in pair if isinstance(one, int))


def _sequence(runs: Sequence[Run], keys: Iterator[str], marks: Mapping[str, range]) -> Iterator[str | int]:
    """The packages of a map in their order, and the first and last run of each mark; `keys`: those that name no package."""
    for run in runs:
        if run.package:
            yield run.package
            continue
        for key in islice(keys, run.members):
            yield from sorted({marks[key][0], marks[key][-1]}) if key in marks else ("",)


class _UnevenError(Exception):
    """Text is not where it would be if the document were written in one style."""


class _Runs:
    """The runs of a document, gathered in their order: its outline, and by name what they come to and which were left."""

    def __init__(self, style: Style) -> None:
        self.outline = Outline(style)
        self.digests: defaultdict[str, bytes] = defaultdict(bytes)
        self.left: defaultdict[str, list[tuple[str, int, int]]] = defaultdict(list)
        self.skipped: list[str] = []

    def add(self, package: str, where: str, first: str, length: int, digest: bytes) -> None:
        """One more run."""
        self.outline.extend((first,), (length,), (digest,))
        self.digests[package] += where.encode() + digest

    def add_marked(self, where: str, before: Outline, old: range, places: Sequence[int]) -> None:
        """Runs of an earlier outline."""
        label, some = where.encode(), slice(old.start, old.stop)
        runs = before.firsts[some], before.lengths[some], before.digests[some]
        self.outline.extend(*runs)
        for first, length, digest, at in zip(*runs, places[some], strict=True):
            package = package_of(first)
            self.digests[package] += label + digest
            self.left[package].append((where, at, at + length))


def _gather(short: Shortened, repodata: Repodata, before: Outline, places: Sequence[int]) -> _Runs:
    """Go through the text that `repodata` was made of. Raises _UnevenError when not all marks came through it, too."""
    runs, view, read = _Runs(before.style), memoryview(short.text), 0
    marks, keys = list[str](), iter(repodata.skipped)
    for where, some in ((_PACKAGES, repodata.packages), (_CONDA, repodata.conda)):
        for run, at, end in _place(short.text, some, before.style, read):
            read = end
            if run.package:
                runs.add(run.package, where, run.first, end - at, digest_run(view[at:end]))
                continue
            for key in islice(keys, run.members):
                if key in short.marks:
                    marks.append(key)
                    runs.add_marked(where, before, short.marks[key], places)
                else:
                    runs.skipped.append(key)
    if sorted(marks) != sorted(short.marks):
        raise _UnevenError
    runs.skipped.extend(keys)
    return runs


def _place(text: bytes, runs: Sequence[Run], style: Style, start: int) -> Iterator[tuple[Run, int, int]]:
    """Each run of a map, and from where to where its text goes. Raises _UnevenError."""
    if not runs:
        return
    around, between = len(key_of("", style)), len(style.comma)
    at = text.find(key_of(runs[0].first), start)
    for run in runs:
        end = at + run.size + run.members * around + (run.members - 1) * between
        if at < 0 or not text.startswith(key_of(run.first, style), at):
            raise _UnevenError
        yield run, at, end
        at = end + between
    if text[end - len(run.last) : end] != bytes(run.last) or not text[end : end + 64].lstrip().startswith(b"}"):
        raise _UnevenError


def _members(text: memoryview) -> RawMap:
    try:
        return msgspec.json.decode(b"{" + text + b"}", type=RawMap)
    except (ValueError, RecursionError) as error:
        raise Invalid("repodata-invalid", f"The records of a package are not JSON: {error}.") from error


def _fingerprints(repodata: Repodata, runs: _Runs | None) -> dict[str, bytes]:
    if runs is None:
        return {name: fragments.fingerprint() for name, fragments in repodata.names.items()}
    found = {name: hashlib.sha256(digests).digest() for name, digests in runs.digests.items()}
    for name, fragments in repodata.names.items():
        if fragments.v3 or fragments.removed:
            rest = Fragments({}, {}, fragments.v3, fragments.removed)
            found[name] = hashlib.sha256(runs.digests[name] + rest.fingerprint()).digest()
    return found

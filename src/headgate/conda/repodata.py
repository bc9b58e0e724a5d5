"""repodata.json: split into raw fragments per package name, and rendered again from shards.

Neither way holds the document as Python objects. `split_repodata` keeps views into the bytes it was given;
`render_repodata` streams, spooling to disk the maps that must come after `packages`.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import msgspec

from headgate.conda.names import is_package_name
from headgate.conda.records import Record, become_wire, from_wire
from headgate.conda.shards import Shard, check_filenames
from headgate.conda.streams import MapSpool, encode, encode_members, gather, join_members
from headgate.kernel.errors import Invalid

RawMap = dict[str, msgspec.Raw]


class Signer(Protocol):
    """Gives records the signatures of conda content trust."""

    def sign(self, shard: Shard) -> tuple[Shard, Mapping[str, Any]]:
        """The records as they are to be written, and by file name the signatures of those that have any."""

    def finish(self) -> None:
        """There are no more."""


class _Named(msgspec.Struct):
    name: str


class _Usual(msgspec.Struct, rename={"conda": "packages.conda"}, forbid_unknown_fields=True):
    """A document without any key but these."""

    info: dict[str, Any] = {}
    packages: RawMap = {}
    conda: RawMap = {}
    v3: dict[str, RawMap] = {}
    removed: list[str] = []
    repodata_version: Any = 1
    signatures: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_OWN_KEYS = ("info", "packages", "packages.conda", "v3", "removed", "repodata_version")
_record_decoder = msgspec.json.Decoder(Record)
_name_decoder = msgspec.json.Decoder(_Named)
_usual_decoder = msgspec.json.Decoder(_Usual)


class Fragments(msgspec.Struct):
    """The raw JSON records of one package name, keyed by file name (`v3`: by group, then stem)."""

    packages: RawMap
    conda: RawMap
    v3: dict[str, RawMap]
    removed: list[str]

    def fingerprint(self) -> bytes:
        """32 bytes that change when any record does, and not with the order of file names."""
        digest = hashlib.sha256()
        for label, records in (("tar", self.packages), ("zip", self.conda), *sorted(self.v3.items())):
            filenames = sorted(records)
            digest.update("\n".join(["", label, *filenames, ""]).encode())
            digest.update(b"\n".join([records[filename] for filename in filenames]))
        digest.update("\n".join(["", *sorted(self.removed)]).encode())
        return digest.digest()

    def decode(self) -> Shard:
        """The same as a shard in wire form. Raises Invalid `repodata-invalid` or `record-digest-invalid`."""
        shard = Shard(
            packages=_decode_records(self.packages),
            conda=_decode_records(self.conda),
            v3={group: _decode_records(records) for group, records in self.v3.items()},
            removed=list(self.removed),
        )
        check_filenames(shard)
        return shard


class Run(NamedTuple):
    """Members of a map that follow each other and name one package; "" when they name none.

    `first`: a file name; `last`: a record. `size`: the bytes of their file names and records, without what stands around them.
    """

    package: str
    first: str
    members: int
    size: int
    last: msgspec.Raw


class Repodata(msgspec.Struct):
    """A document taken apart: `info`, fragments by package name, unknown top-level keys as raw JSON.

    `skipped` holds keys that name no package (CEP 26) and were left out; `packages` and `conda` the runs of both maps.
    """

    info: dict[str, Any]
    names: dict[str, Fragments]
    extras: RawMap
    skipped: list[str]
    packages: list[Run]
    conda: list[Run]


def _decode_records(records: RawMap) -> dict[str, Record]:
    try:
        return {filename: become_wire(_record_decoder.decode(raw)) for filename, raw in records.items()}
    except (ValueError, RecursionError) as error:
        some = next(iter(records))
        raise Invalid("repodata-invalid", f"A record beside {some!r} is not a JSON object: {error}.") from error


def split_repodata(document: bytes | memoryview) -> Repodata:
    """Take a document apart by package name, decoding no record; the fragments are views into `document`.

    Raises Invalid `repodata-invalid` when it is not JSON, is cut short, or its maps are not maps.
    """
    try:
        found, extras = _read(document)
    except (ValueError, RecursionError) as error:
        what = f"This is not a repodata document ({_opening(document)}): {error}."
        raise Invalid("repodata-invalid", what) from error
    grouping = _Grouping()
    packages = grouping.add_files(found.packages, attrgetter("packages"))
    conda = grouping.add_files(found.conda, attrgetter("conda"))
    for group, records in found.v3.items():
        grouping.add_v3(group, records)
    grouping.add_removed(found.removed)
    return Repodata(found.info, grouping.names, extras, grouping.skipped, packages, conda)


def _read(document: bytes | memoryview) -> tuple[_Usual, RawMap]:
    """The members of a document, and what else it has: in one pass, unless there are keys that hardly any has."""
    try:
        found = _usual_decoder.decode(document)
    except msgspec.ValidationError:
        top = msgspec.json.decode(document, type=RawMap)
        found = _Usual(
            info=_part(top, "info", dict[str, Any]),
            packages=_part(top, "packages", RawMap),
            conda=_part(top, "packages.conda", RawMap),
            v3=_part(top, "v3", dict[str, RawMap]),
            removed=_part(top, "removed", list[str]),
        )
        return found, {key: raw for key, raw in top.items() if key not in _OWN_KEYS}
    return found, {} if found.signatures is msgspec.UNSET else {"signatures": found.signatures}


def _part(top: RawMap, key: str, kind: Any) -> Any:
    return msgspec.json.decode(top[key], type=kind) if key in top else kind()


def _opening(document: bytes | memoryview) -> str:
    head = bytes(document[:40]).lstrip()
    if not head:
        return "it is empty"
    return "it is an HTML page" if head.startswith(b"<") else f"it begins with {head[:20]!r}"


class _Grouping:
    """Fragments by package name, filled map by map; keys that name no package are set aside."""

    def __init__(self) -> None:
        self.names: dict[str, Fragments] = {}
        self.skipped: list[str] = []

    def _of(self, name: str) -> Fragments | None:
        found = self.names.get(name)
        if found is None and is_package_name(name):
            found = self.names[name] = Fragments(packages={}, conda={}, v3={}, removed=[])
        return found

    def add_files(self, records: RawMap, map_of: Callable[[Fragments], RawMap]) -> list[Run]:
        """File one map; its runs. Documents are sorted, so the name is looked up only where it changes."""
        nameless: RawMap = {}
        runs: list[Run] = []
        last, first, target, package = None, "", nameless, ""
        members, size, raw = 0, 0, msgspec.Raw()
        for filename, record in records.items():
            try:
                name, _, _ = filename.rsplit("-", 2)
            except ValueError:
                name = ""
            if name != last:
                runs.append(Run(package, first, members, size, raw))
                fragments = self._of(name)
                package, target = ("", nameless) if fragments is None else (name, map_of(fragments))
                last, first, members, size = name, filename, 0, 0
            target[filename] = raw = record
            members += 1
            size += len(filename) + len(raw)
        self.skipped.extend(nameless)
        return [*runs, Run(package, first, members, size, raw)][1:]

    def add_v3(self, group: str, records: RawMap) -> None:
        """File one group. A wheel's stem has dashes of its own, so the name comes from the record."""
        for stem, raw in records.items():
            try:
                fragments = self._of(_name_decoder.decode(raw).name)
            except (ValueError, RecursionError):
                fragments = None
            if fragments is None:
                self.skipped.append(f"{stem}.{group}")
            else:
                fragments.v3.setdefault(group, {})[stem] = raw

    def add_removed(self, filenames: list[str]) -> None:
        """File the withdrawn files."""
        for filename in filenames:
            parts = filename.rsplit("-", 2)
            fragments = self._of(parts[0]) if len(parts) == 3 else None
            if fragments is None:
                self.skipped.append(filename)
            else:
                fragments.removed.append(filename)


def render_repodata(
    info: Mapping[str, Any],
    shards: Iterable[Shard],
    removed: Iterable[str] = (),
    extras: Mapping[str, msgspec.Raw | bytes] | None = None,
    signer: Signer | None = None,
) -> Iterator[bytes]:
    """The JSON document in pieces of at least 256 KiB (but the last), from shards in the order of their names.

    `removed` adds to what the shards withdraw; `extras` are further top-level keys as raw JSON. `run_exports` is left
    out (CEP 21: it belongs to shards and run_exports.json). `signer` adds `signatures` (conda content trust). Deterministic;
    `repodata_version` is 1.
    """
    with ExitStack() as stack:
        yield from gather(_Document(stack, removed, signer).stream(info, shards, extras or {}))


class _Document:
    """The maps of one document in the making: `packages` goes straight out, the others wait in spools."""

    def __init__(self, stack: ExitStack, removed: Iterable[str], signer: Signer | None) -> None:
        self._signer = signer
        self._signatures = MapSpool(stack)
        self._stack = stack
        self._removed = set(removed)
        self._conda = MapSpool(stack)
        self._v3: dict[str, MapSpool] = {}

    def stream(
        self, info: Mapping[str, Any], shards: Iterable[Shard], extras: Mapping[str, msgspec.Raw | bytes]
    ) -> Iterator[bytes]:
        yield b'{"info":' + encode(dict(info)) + b',"packages":{'
        yield from join_members(self._take(shards))
        yield b'},"packages.conda":{'
        yield from self._conda.iter_pieces()
        yield b'},"removed":' + encode(sorted(self._removed)) + b',"repodata_version":1'
        for key in sorted(extras):
            yield b"," + encode(key) + b":" + bytes(extras[key])
        if self._signer is not None:
            self._signer.finish()
            yield b',"signatures":{'
            yield from self._signatures.iter_pieces()
            yield b"}"
        yield from self._stream_v3()
        yield b"}"

    def _take(self, shards: Iterable[Shard]) -> Iterator[bytes]:
        """The members of `packages` of each shard; what else it holds is set aside."""
        for given in shards:
            shard = given
            if self._signer is not None:
                shard, signatures = self._signer.sign(given)
                self._signatures.add(encode_members(dict(signatures)))
            self._conda.add(_render_records(shard.conda))
            for group, records in shard.v3.items():
                self._spool_of(group).add(_render_records(records))
            self._removed.update(shard.removed)
            yield _render_records(shard.packages)

    def _spool_of(self, group: str) -> MapSpool:
        if group not in self._v3:
            self._v3[group] = MapSpool(self._stack)
        return self._v3[group]

    def _stream_v3(self) -> Iterator[bytes]:
        opening = b',"v3":{'
        for group in sorted(self._v3):
            yield opening + encode(group) + b":{"
            yield from self._v3[group].iter_pieces()
            yield b"}"
            opening = b","
        if self._v3:
            yield b"}"


def _render_records(records: Mapping[str, Record]) -> bytes:
    plain = {filename: from_wire(record) for filename, record in records.items()}
    for record in plain.values():
        record.pop("run_exports", None)
    return encode_members(plain)

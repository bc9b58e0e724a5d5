"""Files of advisories, whatever their form: told by what is in them, read one item at a time, within limits.

    .zip                 a JSON document per member: osv.dev's `all.zip`, or a `cve.zip` of our own making
    .gz                  one of the following, compressed
    JSON                 OSV (one record, or a list), NVD 2.0, CISA KEV, OpenVEX, CycloneDX, our curations, name mapping
    CSV                  EPSS scores

What a file names is never used as a path. A member that cannot be read is left out and told; a file of which more than
a hundredth cannot be read is refused.
"""

import gzip
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from headgate.advisories.curated import MARK, parse_curated
from headgate.advisories.nvd import parse_nvd
from headgate.advisories.osv import parse_osv
from headgate.advisories.statements import Item, Mapped, pack
from headgate.advisories.threats import parse_epss, parse_kev
from headgate.advisories.vex import is_openvex, parse_cyclonedx, parse_openvex
from headgate.conda.names import is_package_name
from headgate.kernel.errors import HeadgateError, Invalid

_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError)


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """How much a file of advisories may hold."""

    max_document_bytes: int = 512 << 20
    max_unpacked_bytes: int = 16 << 30
    max_members: int = 1_000_000
    max_ratio: int = 200


@dataclass(frozen=True, slots=True)
class Read:
    """One item, and the digest of what it was made from; `item` is None when that digest was known already."""

    digest: bytes
    item: Item | None


@dataclass(slots=True)
class FeedReader:
    """Reads one file. `known` are digests whose items need not be read again; `problems` says what was left out."""

    limits: ReadLimits = field(default_factory=ReadLimits)
    known: Collection[bytes] = frozenset()
    problems: list[str] = field(default_factory=list)
    documents: int = 0
    is_archive: bool = False

    def read(self, path: Path) -> Iterator[Read]:
        """The items of a file. Raises Invalid `feed-invalid`."""
        try:
            with path.open("rb") as file:
                head = file.read(4)
                file.seek(0)
                if head.startswith(b"PK"):
                    yield from self._zip(file)
                else:
                    yield from self._plain(_inflated(file) if head.startswith(b"\x1f\x8b") else file)
        except _UNREADABLE as error:
            raise Invalid("feed-invalid", f"The file cannot be read: {str(error) or type(error).__name__}.") from error
        if len(self.problems) > max(10, self.documents // 100) or (
            self.problems and self.documents == len(self.problems)
        ):
            raise Invalid(
                "feed-invalid",
                f"{len(self.problems)} of {self.documents} documents cannot be read. {self.problems[0]}",
                self.problems[:20],
            )

    def _zip(self, file: BinaryIO) -> Iterator[Read]:
        self.is_archive = True
        with zipfile.ZipFile(file) as archive:
            members = [one for one in archive.infolist() if one.filename.endswith((".json", ".csv"))]
            self._check(members)
            for member in members:
                yield from self._member(archive, member)

    def _check(self, members: Collection[zipfile.ZipInfo]) -> None:
        limits = self.limits
        if not members:
            raise Invalid("feed-invalid", "The archive holds no JSON document.")
        if len(members) > limits.max_members or sum(one.file_size for one in members) > limits.max_unpacked_bytes:
            raise Invalid("feed-invalid", "The archive holds more than is accepted: too many members, or too large.")
        for one in members:
            if one.filename.startswith(("/", "\\")) or ".." in one.filename.replace("\\", "/").split("/"):
                raise Invalid(
                    "feed-invalid", f"The archive names {one.filename[:200]!r}, a path that leaves its folder."
                )
            if one.flag_bits & 1:
                raise Invalid("feed-invalid", "The archive is encrypted.")
            if one.file_size > 1 << 20 and one.file_size > limits.max_ratio * max(one.compress_size, 1):
                raise Invalid("feed-invalid", f"{one.filename[:200]!r} would unpack to {one.file_size} bytes: a bomb.")

    def _member(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[Read]:
        try:
            with archive.open(member) as file:
                found = list(self._plain(file)) if member.file_size < 1 << 20 else self._plain(file)
                yield from found
        except (Invalid, *_UNREADABLE) as error:
            said = error.message if isinstance(error, HeadgateError) else str(error)
            self.problems.append(f"{member.filename[:200]}: {said}")

    def _plain(self, file: Any) -> Iterator[Read]:
        """The items of one document."""
        self.documents += 1
        head = file.read(4096)
        if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in {b"{", b"["}:
            yield from self._json(head + self._rest(file, len(head)))
        elif head.startswith(b"#model_version") or head.lower().startswith(b"cve,"):
            text = io.StringIO((head + self._rest(file, len(head))).decode())
            yield from (Read(b"", one) for one in parse_epss(text))
        else:
            raise Invalid("feed-invalid", "This is neither JSON nor EPSS scores.")

    def _rest(self, file: Any, had: int) -> bytes:
        rest: bytes = file.read(self.limits.max_document_bytes)
        if had + len(rest) > self.limits.max_document_bytes:
            raise Invalid("feed-invalid", f"A document is larger than {self.limits.max_document_bytes} bytes.")
        return rest

    def _json(self, data: bytes) -> Iterator[Read]:
        digest = hashlib.sha256(data).digest()[:16]
        if digest in self.known:
            yield Read(digest, None)
            return
        try:
            members = msgspec.json.decode(data, type=dict[str, msgspec.Raw] | list[msgspec.Raw])
        except (msgspec.DecodeError, RecursionError) as error:
            raise Invalid("feed-invalid", f"The document is not JSON: {error}.") from error
        if isinstance(members, list):
            for one in members:
                yield Read(hashlib.sha256(one).digest()[:16], parse_osv(bytes(one)))
        elif bytes(members.get("vulnerabilities", b"")).startswith(b"[") and "bomFormat" not in members:
            yield from self._catalogue(members)
        elif bytes(members.get("id", b"")).startswith(b'"') and members.keys() & {"affected", "modified"}:
            yield Read(digest, parse_osv(data))
        elif (names := _mapping(data)) is not None:
            yield from (Read(b"", one) for one in names)
        else:
            yield from _packed(_small(json.loads(data)))

    def _catalogue(self, members: dict[str, msgspec.Raw]) -> Iterator[Read]:
        """KEV or NVD, whose files are large: one entry at a time."""
        parse = parse_kev if "catalogVersion" in members else parse_nvd
        entries = msgspec.json.decode(members["vulnerabilities"], type=list[msgspec.Raw])
        for entry in entries:
            digest = hashlib.sha256(entry).digest()[:16]
            if digest in self.known:
                yield Read(digest, None)
                continue
            yield from (Read(digest, one) for one in parse({"vulnerabilities": [json.loads(bytes(entry))]}))


def _small(document: dict[str, Any]) -> Iterable[Item]:
    if is_openvex(document):
        return parse_openvex(document)
    if document.get("bomFormat") == "CycloneDX":
        return parse_cyclonedx(document)
    if MARK in document:
        return parse_curated(document)
    raise Invalid(
        "feed-invalid",
        "The document is none that is known: OSV, NVD 2.0, KEV, OpenVEX, CycloneDX, "
        "curations of ours, or a name mapping.",
    )


def _mapping(data: bytes) -> list[Mapped] | None:
    """A name mapping: an object whose every value is a PyPI name, a list of them, or null."""
    try:
        names = msgspec.json.decode(data, type=dict[str, str | list[str] | None])
    except msgspec.DecodeError:
        return None
    known = ((name, [given] if isinstance(given, str) else given or ()) for name, given in names.items())
    return [Mapped(name, tuple(given)) for name, given in known if is_package_name(name)] or None


def _packed(items: Iterable[Item]) -> Iterator[Read]:
    return (Read(hashlib.sha256(pack(one)).digest()[:16], one) for one in items)


def _inflated(file: BinaryIO) -> Any:
    return gzip.GzipFile(fileobj=file)

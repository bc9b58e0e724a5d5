"""What a package archive says of itself, read from a stranger's bytes without unpacking them (CEP 34, 35)."""

import re
import tarfile
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import msgspec

from headgate.conda.archive_members import ArchiveLimits, walk_archive
from headgate.conda.names import ArtifactName
from headgate.conda.records import Record
from headgate.kernel.errors import Invalid

__all__ = ["ArchiveInfo", "ArchiveLimits", "is_install_script", "read_archive", "to_record"]

_INFO_FILES = {f"info/{stem}.json" for stem in ("index", "about", "run_exports", "paths")}
_SCRIPT = re.compile(
    r"(?:bin/\.[^/]+-(?:post-link|pre-link|pre-unlink)\.sh"
    r"|Scripts/\.[^/]+-(?:post-link|pre-link|pre-unlink)\.bat"
    r"|etc/conda/(?:de)?activate\.d/.+)"
)
# What a server says of a file; a package that says it of itself could dress up as older, checked or elsewhere.
_SERVER_KEYS = frozenset(
    {
        "md5",
        "sha256",
        "size",
        "fn",
        "url",
        "channel",
        "indexed_timestamp",
        "run_exports",
        "revoked",
        "legacy_bz2_md5",
        "legacy_bz2_size",
        "attestations_sha256",
    }
)


@dataclass(slots=True)
class ArchiveInfo:
    """The `info/` files of one package (JSON objects, `{}` when absent) and what its members give away."""

    index: dict[str, Any]
    about: dict[str, Any] = field(default_factory=dict)
    run_exports: dict[str, Any] = field(default_factory=dict)
    paths_count: int = 0
    has_paths: bool = False
    has_text_prefix: bool = False
    has_binary_prefix: bool = False
    install_scripts: list[str] = field(default_factory=list)

    @property
    def has_install_scripts(self) -> bool:
        """Whether it brings scripts that run at install, removal or activation."""
        return bool(self.install_scripts)


class _Index(msgspec.Struct):
    """The keys of index.json that must be right for a record to be of use."""

    name: str
    version: str
    build: str
    build_number: int
    depends: list[str] = []
    constrains: list[str] = []
    subdir: str | None = None


class _Path(msgspec.Struct):
    file_mode: str | None = None
    prefix_placeholder: str | None = None


class _Paths(msgspec.Struct):
    paths: list[_Path] = []


def read_archive(file: BinaryIO, name: ArtifactName, limits: ArchiveLimits | None = None) -> ArchiveInfo:
    """Walk the whole archive within `limits` and return what it says. `file` must be seekable.

    Raises Invalid with a code `artifact-...` and a sentence: for what cannot be read, could do harm when unpacked, or
    is not the package that its file name says.
    """
    seen = _Seen(name, limits or ArchiveLimits())
    walk_archive(file, name, seen.limits, seen.visit)
    found = seen.info_files
    info = ArchiveInfo(index=_read_index(found.get("info/index.json"), name), install_scripts=sorted(seen.scripts))
    info.about = _read_object(found, "info/about.json", name)
    info.run_exports = _read_object(found, "info/run_exports.json", name)
    if "info/paths.json" in found:
        _describe_paths(info, found["info/paths.json"], name)
    return info


def is_install_script(path: str) -> bool:
    """Whether a member runs when the package is installed, removed or activated."""
    return _SCRIPT.fullmatch(path) is not None


@dataclass(slots=True)
class _Seen:
    """What was worth keeping of the members so far."""

    name: ArtifactName
    limits: ArchiveLimits
    info_files: dict[str, bytes] = field(default_factory=dict)
    scripts: list[str] = field(default_factory=list)

    def visit(self, path: str, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        if path in _INFO_FILES:
            self.info_files[path] = self._read(path, tar, member)
        elif is_install_script(path):
            self.scripts.append(path)

    def _read(self, path: str, tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
        if path in self.info_files:
            raise Invalid("artifact-duplicate-member", f"{self.name}: {path} is in it twice.")
        if member.size + sum(map(len, self.info_files.values())) > self.limits.max_info_bytes:
            raise Invalid("artifact-info-too-large", f"{self.name}: with {path}, its info is larger than is allowed.")
        content = tar.extractfile(member) if member.isreg() else None
        if content is None:
            raise Invalid("artifact-info-invalid", f"{self.name}: {path} is not a plain file.")
        return content.read()


def _read_index(document: bytes | None, name: ArtifactName) -> dict[str, Any]:
    if document is None:
        raise Invalid("artifact-index-missing", f"{name}: it holds no info/index.json, so it is no conda package.")
    index: dict[str, Any] = _decode(document, dict[str, Any], "info/index.json", name)
    known = _decode(document, _Index, "info/index.json", name)
    said = f"{known.name}-{known.version}-{known.build}"
    if (known.name, known.version, known.build) != (name.name, name.version, name.build):
        raise Invalid(
            "artifact-name-mismatch", f"{name}: its info/index.json says it is {said!r:.211}; rename or rebuild it."
        )
    return index


def _read_object(found: dict[str, bytes], path: str, name: ArtifactName) -> dict[str, Any]:
    """A JSON object; an old run_exports.json may be a list, which means `weak`."""
    value: dict[str, Any] | list[str] = _decode(found.get(path, b"{}"), dict[str, Any] | list[str], path, name)
    return {"weak": value} if isinstance(value, list) else value


def _describe_paths(info: ArchiveInfo, document: bytes, name: ArtifactName) -> None:
    paths = _decode(document, _Paths, "info/paths.json", name).paths
    modes = {path.file_mode for path in paths if path.prefix_placeholder}
    info.has_paths, info.paths_count = True, len(paths)
    info.has_text_prefix, info.has_binary_prefix = "text" in modes, "binary" in modes


def _decode(document: bytes, kind: Any, path: str, name: ArtifactName) -> Any:
    try:
        return msgspec.json.decode(document, type=kind)
    except (ValueError, RecursionError) as error:
        raise Invalid("artifact-info-invalid", f"{name}: {path} is not what it should be: {error}.") from error


def to_record(info: ArchiveInfo, *, size: int, md5: str, sha256: str) -> Record:
    """The record of a file in JSON form: index.json as it came, digests (hexadecimal) and size (bytes) as given.

    Keys that only a server may set are dropped from index.json; `run_exports` appears when the package has any.
    """
    record = {key: value for key, value in info.index.items() if key not in _SERVER_KEYS}
    record |= {"md5": md5, "sha256": sha256, "size": size}
    if info.run_exports:
        record["run_exports"] = info.run_exports
    return record

"""What people want to see of a package file: its members, its own words, and the scripts that run at install."""

import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import msgspec

from headgate.conda.archive_members import ArchiveLimits, walk_archive
from headgate.conda.archives import is_install_script
from headgate.conda.names import ArtifactName

_MOST_MEMBERS = 2_000
_SCRIPT_BYTES = 64 << 10
_TOLD = {"info/about.json", "info/run_exports.json", "info/index.json"}


@dataclass(frozen=True, slots=True)
class Member:
    """One file in an archive."""

    path: str
    size_bytes: int


@dataclass(slots=True)
class Insides:
    """The members (at most 2,000 of `count`), the texts of install scripts, and the JSON files of `info/`."""

    members: list[Member] = field(default_factory=list)
    count: int = 0
    unpacked_bytes: int = 0
    scripts: dict[str, str] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def run_exports(self) -> Mapping[str, Any]:
        """What it asks of those built with it."""
        said = self.told.get("info/run_exports.json")
        return said if isinstance(said, dict) else {"weak": said} if said else {}


def look_inside(file: BinaryIO, name: ArtifactName, limits: ArchiveLimits) -> Insides:
    """Walk an archive. Raises Invalid `artifact-...` for one that cannot be read."""
    insides = Insides()

    def visit(path: str, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        if member.isdir():
            return
        insides.count += 1
        insides.unpacked_bytes += member.size
        if len(insides.members) < _MOST_MEMBERS:
            insides.members.append(Member(path, member.size))
        is_script = is_install_script(path)
        if not (is_script or path in _TOLD) or not member.isreg() or member.size > 16 * _SCRIPT_BYTES:
            return
        content = tar.extractfile(member)
        data = b"" if content is None else content.read()
        if is_script:
            insides.scripts[path] = data[:_SCRIPT_BYTES].decode("utf-8", errors="replace")
        else:
            insides.told[path] = _json(data)

    walk_archive(file, name, limits, visit)
    insides.members.sort(key=lambda one: one.path)
    return insides


def _json(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (ValueError, RecursionError):
        return None

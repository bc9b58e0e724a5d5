"""Zips of advisories: recognised by what is in them, and kept by digest for whoever reads advisories."""

import hashlib
import os
import re
import zipfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import BinaryIO

from headgate.http.zips import check_member, reading_member
from headgate.storage.local import create_part, disk_errors, move_durably
from headgate.storage.paths import DataFolder

# Keys that documents of OSV, NVD 2.0 and 1.1, CVE List V5, CSAF, OpenVEX, KEV or a curated feed begin with.
_TELLING = re.compile(
    rb'"(?:affected|aliases|schema_version|CVE_Items|CVE_data_meta|cve|cves|cve_id|cveID|cveMetadata|vulnerabilities|'
    rb'advisory_id|advisories|document|statements)"\s*:'
)
_LOOKED_AT = 20
_HEAD_BYTES = 64 << 10


def is_advisories(archive: zipfile.ZipFile) -> bool:
    """Whether the first JSON documents of a zip speak of vulnerabilities. Raises Invalid `zip-invalid`."""
    found = [one for one in archive.infolist() if one.filename.lower().endswith((".json", ".jsonl"))]
    for info in found[:_LOOKED_AT]:
        check_member(Path(archive.filename or "zip"), info)
        with reading_member(archive, info) as file:
            if _TELLING.search(file.read(_HEAD_BYTES)):
                return True
    return False


def keep_advisories(path: Path, folder: DataFolder) -> str:
    """Leave a copy of the zip for whoever reads advisories; its sha256. Raises Unavailable `storage-full`."""
    arriving = ArrivingAdvisories(folder)
    try:
        with path.open("rb") as source:
            arriving.lay_aside(iter(partial(source.read, 1 << 20), b""))
        return arriving.hand_on()
    finally:
        arriving.drop()


class ArrivingAdvisories:
    """A zip on its way to `<folder>/advisories/<sha256>.zip`: laid aside, then handed on or dropped.

    Of a process that is killed meanwhile nothing stays.
    """

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._aside: tuple[Path, BinaryIO] | None = None
        self._sha256 = ""

    @property
    def has_any(self) -> bool:
        """Whether one came, whole."""
        return bool(self._sha256)

    def lay_aside(self, pieces: Iterable[bytes]) -> None:
        """Take it as it comes. Raises Unavailable `storage-full`, and what the pieces raise."""
        digest = hashlib.sha256()
        with disk_errors():
            self._aside = _, file = create_part(self._folder.scratch)
            for piece in pieces:
                digest.update(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        self._sha256 = digest.hexdigest()

    def hand_on(self) -> str:
        """Let what came be read; its sha256. Twice the same does no harm."""
        assert self._aside is not None
        with disk_errors():
            move_durably(self._aside[0], self._folder.advisories / f"{self._sha256}.zip")
        return self._sha256

    def drop(self) -> None:
        """Clear away what was not handed on."""
        if self._aside is not None:
            path, file = self._aside
            file.close()
            path.unlink(missing_ok=True)

"""Zips of advisories: recognised by what is in them, and kept by digest for whoever reads advisories."""

import hashlib
import os
import re
import secrets
import shutil
import zipfile
from pathlib import Path

from headgate.http.zips import check_member, reading_member
from headgate.storage.local import disk_errors, move_durably

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


def keep_advisories(path: Path, folder: Path) -> str:
    """Copy the zip to `<folder>/<sha256>.zip`; its sha256. Raises Unavailable `storage-full`."""
    part = folder / f"{secrets.token_hex(12)}.part"
    try:
        with disk_errors():
            with path.open("rb") as source, part.open("xb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
                target.flush()
                os.fsync(target.fileno())
            with part.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            move_durably(part, folder / f"{sha256}.zip")
    finally:
        part.unlink(missing_ok=True)
    return sha256

"""What travels along with a channel, each under a name in the manifest and before all shards.

content-trust.json   whom signatures are to be believed from: see `papers`
advisories.zip       all that is known of advisories, where it was asked for: see `advisories/archive`
"""

import hashlib
import shutil
from pathlib import Path
from typing import IO

from headgate.advisories.archive import write_archive
from headgate.airgap.container import member, member_head, padding
from headgate.airgap.manifest import ADVISORIES_SECTION, Section
from headgate.airgap.papers import TRUST_SECTION, CarriedTrust
from headgate.db.engine import Database


async def write_sections(
    database: Database, folder: Path, file: IO[bytes], trust: CarriedTrust | None, *, has_advisories: bool
) -> dict[str, Section]:
    """Write them as members, in the order of their names."""
    found: dict[str, Section] = {}
    if has_advisories:
        archive = folder / ADVISORIES_SECTION
        await write_archive(database, archive)
        found[ADVISORIES_SECTION] = _copy(archive, file)
        archive.unlink()
    if trust is not None:
        told = trust.encode()
        file.write(member(f"sections/{TRUST_SECTION}", told))
        found[TRUST_SECTION] = Section(hashlib.sha256(told).hexdigest(), len(told))
    return found


def _copy(path: Path, file: IO[bytes]) -> Section:
    size = path.stat().st_size
    file.write(member_head(f"sections/{path.name}", size))
    with path.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
        source.seek(0)
        shutil.copyfileobj(source, file, 1 << 20)
    file.write(padding(size))
    return Section(digest, size)

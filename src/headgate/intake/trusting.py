"""Whom the records of a mirror are believed from: roots, one leading to the next, and the key manager they name.

    root that was given, or the newest that is kept -> 2.root.json, 3.root.json … until there is none -> key_mgr.json

What was learned is kept: a root never goes back, whatever an upstream shows next.
"""

import hashlib
from dataclasses import dataclass
from typing import Protocol

import msgspec
from sqlalchemy import delete

from headgate.channels.metadata import read_trust
from headgate.channels.model import Source
from headgate.channels.trusts import Check, TrustSettings
from headgate.conda.content_trust import (
    KEY_MGR,
    ROOT,
    Metadata,
    Trust,
    advance_root,
    check_current,
    check_key_manager,
    parse_root,
)
from headgate.db import tables_signatures
from headgate.db.engine import Database, insert
from headgate.kernel import clock
from headgate.kernel.errors import HeadgateError, Invalid

# More than anybody will ever make; an upstream that always has one more is lying.
_MOST_ROOTS = 1_024


class MetadataReader(Protocol):
    """Reads metadata of an upstream."""

    async def read_metadata(self, name: str, elsewhere: str) -> bytes | None:
        """As `UpstreamReader.read_metadata`."""


@dataclass(frozen=True, slots=True)
class Belief:
    """Whom records are believed from (None: from nobody, and why); `key` changes when that does."""

    trust: Trust | None
    failure: str
    key: str | None


async def learn_trust(database: Database, source: Source, reader: MetadataReader) -> Belief:
    """Follow the roots of a mirror's upstream. Raises Invalid `content-trust-…` where signatures are required."""
    settings = source.settings.signatures
    if not settings.is_signed:
        return Belief(None, "", _key(settings, None, ""))
    try:
        trust = await _follow(database, source, settings, reader)
        return Belief(trust, "", _key(settings, trust, ""))
    except HeadgateError as error:
        if settings.content_trust is Check.REQUIRE:
            raise
        return Belief(None, error.message, _key(settings, None, error.message))


async def _follow(database: Database, source: Source, settings: TrustSettings, reader: MetadataReader) -> Trust:
    async with database.read() as connection:
        kept = await read_trust(connection, source.id)
    given = parse_root(settings.root.encode())
    root = _newest(given, kept.get(ROOT, {}))
    learned = {ROOT: {root.version: root.body}} if root is given else {}
    for _ in range(_MOST_ROOTS):
        body = await reader.read_metadata(f"{root.version + 1}.root.json", settings.metadata_url)
        if body is None:
            break
        root = advance_root(root, body)
        learned.setdefault(ROOT, {})[root.version] = body
    body = await reader.read_metadata("key_mgr.json", settings.metadata_url)
    if body is None:
        raise Invalid("content-trust-invalid", "The upstream has no key_mgr.json; is metadata_url right?")
    manager = check_key_manager(root, body)
    _check_manager_version(manager, kept.get(KEY_MGR, {}))
    if not settings.accept_expired:
        check_current(root, clock.now())
        check_current(manager, clock.now())
    learned[KEY_MGR] = {manager.version: body}
    await _keep(database, source.id, given, kept, learned)
    return Trust(root, manager)


def _newest(given: Metadata, kept: dict[int, bytes]) -> Metadata:
    """The newest root that the given one leads to through those that are kept."""
    root = given
    if kept.get(given.version) == given.body:
        while (body := kept.get(root.version + 1)) is not None:
            root = advance_root(root, body)
    return root


def _check_manager_version(manager: Metadata, kept: dict[int, bytes]) -> None:
    newest = max(kept, default=0)
    if manager.version < newest:
        raise Invalid(
            "content-trust-invalid",
            f"The upstream shows version {manager.version} of its key_mgr, and has shown {newest} before.",
        )


async def _keep(
    database: Database,
    source_id: int,
    given: Metadata,
    kept: dict[str, dict[int, bytes]],
    learned: dict[str, dict[int, bytes]],
) -> None:
    is_new_chain = kept.get(ROOT, {}).get(given.version) != given.body
    if not is_new_chain and all(
        kept.get(kind, {}).get(version) == body for kind, some in learned.items() for version, body in some.items()
    ):
        return
    table = tables_signatures.source_trust
    async with database.write() as connection:
        if is_new_chain:
            await connection.execute(delete(table).where(table.c.source_id == source_id))
        for kind, some in learned.items():
            for version, body in some.items():
                row = insert(connection, table).values(
                    source_id=source_id, kind=kind, version=version, body=body, created_at=clock.now()
                )
                changed = {"body": row.excluded.body}
                await connection.execute(
                    row.on_conflict_do_update(index_elements=["source_id", "kind", "version"], set_=changed)
                )


def _key(settings: TrustSettings, trust: Trust | None, failure: str) -> str | None:
    """None for what every mirror does unless told otherwise, so that nothing is read anew for it."""
    if settings == TrustSettings():
        return None
    parts = [msgspec.json.encode(settings, order="sorted"), failure.encode()]
    parts += [] if trust is None else [trust.root.body, trust.key_manager.body]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()

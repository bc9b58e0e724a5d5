"""Signatures of upstreams, passed on: with a record that is, but for what we add to it, the one that was signed.

The record is then written as it was signed, without our `indexed_timestamp`; shards, which nobody verifies, keep it.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy import exists, select

from headgate.channels.catalog import read_channels
from headgate.channels.model import Channel
from headgate.channels.proofs import SignatureEntry, places_behind, read_signatures_from, record_digest
from headgate.conda.records import Record
from headgate.conda.repodata import Signer
from headgate.conda.shards import Shard
from headgate.db import tables, tables_signatures
from headgate.db.engine import Database
from headgate.policy.proofs import ProofState

_AHEAD = 1_000
_STAMP = "indexed_timestamp"
_NO_NAME_IS_LATER = "\uffff"

Wait = Callable[[Any], Any]
"""Runs a query on the loop and gives what comes of it; called from another thread."""


def open_signer(wait: Wait, database: Database, channel: Channel, subdir: str) -> Signer | None:
    """What passes upstreams' signatures on; None when there are none behind this subdir of the channel."""
    places = wait(_places(database, channel, subdir))
    if not places:
        return None
    return _Passer(wait, database, places, subdir)


async def _places(database: Database, channel: Channel, subdir: str) -> set[int]:
    """The mirrors behind the channel that have signatures in this subdir."""
    signatures, subdirs = tables_signatures.source_signature.c, tables.source_subdir.c
    async with database.read() as connection:
        channels = {one.id: one for one in await read_channels(connection)}
        behind = {one for source in channel.sources for one in places_behind(channels, source)}
        if not behind:
            return set()
        rows = await connection.execute(
            select(subdirs.source_id).where(
                subdirs.source_id.in_(sorted(behind)),
                subdirs.name == subdir,
                exists(select(signatures.name).where(signatures.source_subdir_id == subdirs.id)),
            )
        )
        return set(rows.scalars())


class _Passer:
    """Signatures are read in the order of names, many at a time; in whatever order they are asked for."""

    def __init__(self, wait: Wait, database: Database, places: Collection[int], subdir: str) -> None:
        self._wait = wait
        self._database = database
        self._places = places
        self._subdir = subdir
        self._window: dict[str, dict[str, list[SignatureEntry]]] = {}
        self._first, self._last = "", ""

    def sign(self, shard: Shard) -> tuple[Shard, Mapping[str, Any]]:
        """The records, those that were signed as they were signed, and their signatures."""
        signatures: dict[str, Any] = {}
        stampless = set()
        for filename, record in shard.records():
            one = _matching(self._entries(str(record.get("name"))).get(filename, ()), record)
            if one is not None:
                signatures[filename] = one.signatures
                if not one.has_stamp:
                    stampless.add(filename)
        return (_without_stamps(shard, stampless) if stampless else shard), signatures

    def finish(self) -> None:
        """Nothing is left to do."""

    def _entries(self, name: str) -> dict[str, list[SignatureEntry]]:
        if not self._first <= name <= self._last:
            self._window, self._last = self._wait(self._read(name))
            self._first = name
        return self._window.get(name, {})

    async def _read(self, first: str) -> tuple[dict[str, dict[str, list[SignatureEntry]]], str]:
        """The good signatures of the names from `first` on, by name and file, and up to which name these are all."""
        async with self._database.read() as connection:
            rows = await read_signatures_from(connection, self._places, self._subdir, first, _AHEAD)
        found: dict[str, dict[str, list[SignatureEntry]]] = {}
        for name, entries in rows:
            for one in entries:
                if one.state is ProofState.VERIFIED:
                    found.setdefault(name, {}).setdefault(one.filename, []).append(one)
        # The last name may have more rows than were read; a full window ends before it.
        if len(rows) < _AHEAD:
            return found, _NO_NAME_IS_LATER
        return found, max((name for name, _ in rows if name != rows[-1][0]), default=rows[-1][0])


def _matching(entries: Collection[SignatureEntry], record: Record) -> SignatureEntry | None:
    if not entries:
        return None
    digest = record_digest(record)
    return next((one for one in entries if one.digest == digest), None)


def _without_stamps(shard: Shard, filenames: Collection[str]) -> Shard:
    def plain(filename: str, record: Record) -> Record:
        if filename not in filenames:
            return record
        return {key: value for key, value in record.items() if key != _STAMP}

    return Shard(
        packages={filename: plain(filename, record) for filename, record in shard.packages.items()},
        conda={filename: plain(filename, record) for filename, record in shard.conda.items()},
        v3={
            group: {stem: plain(f"{stem}.{group}", record) for stem, record in records.items()}
            for group, records in shard.v3.items()
        },
        removed=shard.removed,
    )

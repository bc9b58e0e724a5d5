"""The chain that turns a located artifact into verified bytes: one wrapper, one concern.

    WithPolicy( FromStore( FromUpstream( flights: single-flight, verification ) ) )

The policy is asked first, so that bytes already here are held back as surely as bytes that are not.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import quote

import msgspec
from sqlalchemy import select

from headgate.audit.events import Action, record
from headgate.channels.catalog import require_channel
from headgate.channels.gatekeeper import Gatekeeper, refuse
from headgate.channels.model import Source, SourceKind
from headgate.channels.modes import Mode
from headgate.channels.routes import Routes
from headgate.channels.shards import read_shards
from headgate.channels.sources import read_offers
from headgate.conda.names import Sha256
from headgate.conda.shards import decode_stored
from headgate.db import tables
from headgate.db.engine import Database, insert
from headgate.delivery.flights import Address, Flight, Flights
from headgate.delivery.located import Located
from headgate.http.client import Answer
from headgate.intake.hosted import remember_blob
from headgate.kernel import clock
from headgate.kernel.errors import Unavailable
from headgate.policy.verdicts import Outcome
from headgate.storage.local import BlobStore


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A verified file on disk."""

    path: str
    size_bytes: int


class ArtifactSource(Protocol):
    """Somewhere an artifact's bytes come from."""

    async def open(self, wanted: Located) -> StoredFile | Flight:
        """The bytes, here or on their way. Raises Refused or Unavailable."""


class WithPolicy:
    """Asks the gate before anything else: that of the channel, and those of the virtual channels on the way."""

    def __init__(self, gatekeeper: Gatekeeper, behind: ArtifactSource) -> None:
        self._gatekeeper = gatekeeper
        self._behind = behind

    async def open(self, wanted: Located) -> StoredFile | Flight:
        """The bytes of what passes. Raises Refused `policy-blocked` or `policy-held`."""
        await self.check(wanted)
        return await self.open_checked(wanted)

    async def open_checked(self, wanted: Located) -> StoredFile | Flight:
        """The same for who has just called `check`: it is the greatest part of the work on a file that is here."""
        return await self._behind.open(wanted)

    async def check(self, wanted: Located) -> Outcome:
        """How it passes. Raises Refused `policy-blocked` or `policy-held` with the reasons."""
        await self._gatekeeper.refresh()
        outcome = Outcome.ALLOW
        for channel, subdir in (*wanted.shown_by, (wanted.channel, wanted.subdir)):
            if self._gatekeeper.gate_of(channel) is not None:
                verdict = await self._gatekeeper.verdict(channel, subdir, wanted.artifact, wanted.record)
                refuse(channel, wanted.artifact, subdir.name, verdict)
                outcome = max(outcome, verdict.outcome, key=lambda one: one.rank)
        return outcome


class FromStore:
    """Serves what is kept; asks behind for the rest."""

    def __init__(self, store: BlobStore, behind: ArtifactSource) -> None:
        self._store = store
        self._behind = behind

    async def open(self, wanted: Located) -> StoredFile | Flight:
        """The kept file, else what the source behind brings."""
        found = self._store.measure(wanted.sha256)
        return await self._behind.open(wanted) if found is None else StoredFile(*found)


class FromUpstream:
    """Fetches from the upstreams of a mirror, in their order."""

    def __init__(self, database: Database, flights: Flights, routes: Routes) -> None:
        self._database = database
        self._flights = flights
        self._routes = routes

    async def open(self, wanted: Located) -> StoredFile | Flight:
        """The flight that brings it. Raises Unavailable `artifact-missing` when no upstream could."""
        return self._flights.join(wanted, await self.addresses(wanted))

    async def elsewhere(self, wanted: Located) -> str | None:
        """Where a client may be sent for it, by a mirror that redirects; None when it has to be delivered.

        That is so when the bytes are here, and when the way to the mirror is one that only we can go: `Outgoing.locate`.
        """
        if not any(_is_redirecting(source) for source in wanted.channel.sources) or self._flights.has(wanted.sha256):
            return None
        source = await self._bringing(wanted)
        if source is None or not _is_redirecting(source):
            return None
        found = await self.addresses(replace(wanted, channel=replace(wanted.channel, sources=(source,))))
        return await found[0].outgoing.locate(found[0].url)

    async def _bringing(self, wanted: Located) -> Source | None:
        """The first mirror that lists these bytes under this name."""
        name = wanted.artifact.name
        async with self._database.read() as connection:
            for source in wanted.channel.sources:
                digest = (await read_offers(connection, source, wanted.subdir.name, [name])).get(name)
                if digest is None:
                    continue
                listed = decode_stored((await read_shards(connection, [digest]))[digest])
                record = listed.find(wanted.artifact.filename)
                if record is not None and record.get("sha256") == bytes.fromhex(wanted.sha256):
                    return source
        return None

    async def range(self, wanted: Located, start: int, end: int) -> AsyncIterator[bytes] | None:
        """Bytes `start` to `end` (excluded) as the first upstream sends them, or None when it does not.

        Unlike everything else these are not verified: the client asked for a part, and a part has no digest.
        """
        headers = {"Range": f"bytes={start}-{end - 1}"}
        first = (await self.addresses(wanted))[0]
        async with contextlib.AsyncExitStack() as stack:
            try:
                answer = await stack.enter_async_context(
                    first.outgoing.open(first.url, headers=headers, told_by=first.told_by)
                )
            except Unavailable:
                return None  # the flight tries the others as well, and says why when none has it
            said = f"bytes {start}-{end - 1}/{wanted.size_bytes}"
            if answer.status != 206 or answer.headers.get("content-range") != said:
                return None
            return _pieces(answer, stack.pop_all())

    async def addresses(self, wanted: Located) -> list[Address]:
        """Where the file may be had, the best first. Raises Unavailable `artifact-missing`."""
        columns = tables.source_subdir.c
        sources = {one.id: one for one in wanted.channel.sources if one.kind is SourceKind.UPSTREAM}
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(columns.source_id, columns.base_url).where(
                    columns.source_id.in_(sources), columns.name == wanted.subdir.name, columns.base_url.is_not(None)
                )
            )
            bases = {row.source_id: row.base_url for row in rows}
        if not bases:
            raise Unavailable(
                "artifact-missing", f"The bytes of {wanted.artifact} are not here, and no upstream has them."
            )
        name = quote(wanted.artifact.filename, safe="!+~")
        routes = [(self._routes.of(source), bases[number]) for number, source in sources.items() if number in bases]
        return [
            Address(route.find_base(base, root) + name, root, route.outgoing)
            for route, base in routes
            for root in route.roots(wanted.subdir.name)
        ]


def _is_redirecting(source: Source) -> bool:
    return source.settings.fetch.mode is Mode.REDIRECT


async def _pieces(answer: Answer, stack: contextlib.AsyncExitStack) -> AsyncIterator[bytes]:
    async with stack:
        async for piece in answer.chunks():
            yield piece


class Landing:
    """Writes down that a fetched artifact is now kept."""

    def __init__(self, database: Database, store: BlobStore) -> None:
        self._database = database
        self._store = store

    async def __call__(self, wanted: Located, size_bytes: int) -> None:
        """Remember the blob and the artifact, in one transaction. Raises NotFound `channel-unknown`."""
        values = {
            "package": wanted.artifact.name,
            "status": "active",
            "origin": "upstream",
            "sha256": Sha256(wanted.sha256),
            "size_bytes": size_bytes,
            "record": msgspec.json.encode(wanted.record),
            "created_at": clock.now(),
            "created_by": "headgate",
        }
        place = f"{wanted.subdir.name}/{wanted.artifact}"
        async with self._database.write() as connection:
            await require_channel(connection, wanted.channel)
            await remember_blob(connection, self._store, wanted.sha256, size_bytes)
            statement = insert(connection, tables.artifact).values(
                subdir_id=wanted.subdir.id, filename=wanted.artifact.filename, **values
            )
            await connection.execute(
                statement.on_conflict_do_update(index_elements=["subdir_id", "filename"], set_=values)
            )
            await record(
                connection, Action.ARTIFACT_CACHE, "headgate",
                channel=wanted.channel.name, subject=place, sha256=wanted.sha256,
            )  # fmt: skip

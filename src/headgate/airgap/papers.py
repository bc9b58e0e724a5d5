"""Papers: what vouches for a package, as bundles carry it. Found here on the near side; looked at in `vouching`.

attestations      a sidecar each, byte for byte; the record of a file names it
signatures        of the records of one name in one subdir: file -> key -> signature, as upstream said them
roots, manager    whom the signatures are to be believed from: a section of the bundle
"""

import asyncio
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.channels.catalog import read_channels
from headgate.channels.metadata import read_trust
from headgate.channels.model import Channel
from headgate.channels.proofs import SignatureEntry, find_sidecar, places_behind, read_signatures
from headgate.conda.attestations import claimed_sidecar
from headgate.conda.content_trust import KEY_MGR, ROOT
from headgate.conda.names import ArtifactName, Subdir
from headgate.conda.shards import Shard, decode_stored, unpack_shard
from headgate.db.engine import Database
from headgate.delivery.sidecars import Sidecars
from headgate.kernel.errors import HeadgateError, Invalid

TRUST_SECTION = "content-trust.json"
MAX_PAPER_BYTES = 64 << 20
_FETCHES_AT_ONCE = 8
_CLAIM = b"attestations_sha256"


class CarriedTrust(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Roots in their order, the first one as it was given, and the newest key manager."""

    roots: list[bytes]
    key_manager: bytes
    accept_expired: bool = False

    def encode(self) -> bytes:
        """The section."""
        return msgspec.json.encode(self, order="deterministic")


def decode_trust(data: bytes) -> CarriedTrust:
    """Read the section. Raises Invalid `bundle-invalid`."""
    try:
        return msgspec.json.decode(data, type=CarriedTrust)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Invalid("bundle-invalid", f"The bundle's {TRUST_SECTION} makes no sense: {error}.") from error


def encode_signatures(signatures: Mapping[str, Any]) -> bytes:
    """The paper of some records' signatures; the same ones give the same bytes."""
    return msgspec.json.encode(signatures, order="deterministic")


def decode_signatures(data: bytes) -> dict[str, dict[str, dict[str, Any]]]:
    """Read it. Raises Invalid `bundle-invalid`."""
    try:
        return msgspec.json.decode(data, type=dict[str, dict[str, dict[str, Any]]])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Invalid("bundle-invalid", f"The bundle has signatures that make no sense: {error}.") from error


def claims_of(shard: Shard) -> dict[str, list[tuple[ArtifactName, str]]]:
    """Sidecar -> the files, each with its sha256, whose records name it."""
    found: dict[str, list[tuple[ArtifactName, str]]] = {}
    for filename, record in shard.records():
        sidecar, sha256 = claimed_sidecar(record), record.get("sha256")
        if sidecar is None or not isinstance(sha256, bytes):
            continue
        try:
            found.setdefault(sidecar, []).append((ArtifactName.parse(filename), sha256.hex()))
        except Invalid:
            continue
    return found


@dataclass(frozen=True, slots=True)
class Papers:
    """Of one name: the sidecars that its records name, each with a file that it is of; and the signatures."""

    sidecars: Mapping[str, ArtifactName] = field(default_factory=dict)
    signatures: bytes | None = None

    @property
    def signatures_digest(self) -> str | None:
        """What the manifest calls the signatures by."""
        return None if self.signatures is None else hashlib.sha256(self.signatures).hexdigest()


class PaperFinder:
    """Finds the papers of a channel; what is not kept yet is asked of upstream. `missing` says what could not be had."""

    def __init__(self, database: Database, sidecars: Sidecars, channel: Channel) -> None:
        self._database = database
        self._sidecars = sidecars
        self._channel = channel
        self._place: int | None = None
        self.trust: CarriedTrust | None = None
        self.missing: list[str] = []

    async def open(self) -> None:
        """Find whose signatures the channel passes on: those of one upstream, or nobody's."""
        async with self._database.read() as connection:
            self._place, self.trust = await _find_trust(connection, self._channel)

    async def find(self, subdir: str, bodies: Mapping[str, bytes]) -> dict[str, Papers]:
        """Of names with these shards; a name without any is left out."""
        signatures: dict[str, list[SignatureEntry]] = {}
        if self._place is not None:
            async with self._database.read() as connection:
                rows = await read_signatures(connection, [self._place], subdir, bodies)
            signatures = {name: rows[name][self._place][0] for name in rows}
        return await asyncio.to_thread(_found, bodies, signatures)

    async def read(self, subdir: str, papers: Papers, wanted: Collection[str]) -> dict[str, bytes]:
        """The bytes of some of a name's papers; those that cannot be had are said, and left out."""
        turns = asyncio.Semaphore(_FETCHES_AT_ONCE)

        async def one(digest: str) -> tuple[str, bytes | None]:
            if digest == papers.signatures_digest:
                return digest, papers.signatures
            async with turns:
                return digest, await self._sidecar(subdir, papers.sidecars[digest], digest)

        found = await asyncio.gather(*(one(digest) for digest in sorted(wanted)))
        return {digest: body for digest, body in found if body is not None}

    async def _sidecar(self, subdir: str, artifact: ArtifactName, digest: str) -> bytes | None:
        async with self._database.read() as connection:
            body = await find_sidecar(connection, digest)
        if body is not None:
            return body
        try:
            found, body = await self._sidecars.find(self._channel, Subdir(subdir), artifact, None)
        except HeadgateError as error:
            self.missing.append(f"{subdir}/{artifact}: {error.message}")
            return None
        return body if found == digest else None


def _found(bodies: Mapping[str, bytes], signatures: Mapping[str, list[SignatureEntry]]) -> dict[str, Papers]:
    found: dict[str, Papers] = {}
    for name, body in bodies.items():
        is_attested, entries = _CLAIM in unpack_shard(body), signatures.get(name, ())
        if not (is_attested or entries):
            continue
        shard = decode_stored(body)
        listed = {filename for filename, _ in shard.records()}
        said = {one.filename: one.signatures for one in entries if one.filename in listed}
        sidecars = {sidecar: files[0][0] for sidecar, files in claims_of(shard).items()}
        if said or sidecars:
            found[name] = Papers(sidecars, encode_signatures(said) if said else None)
    return found


async def _find_trust(connection: AsyncConnection, channel: Channel) -> tuple[int | None, CarriedTrust | None]:
    """The one upstream behind the channel of whose people something was learned, and what; as clients are told."""
    channels = {one.id: one for one in await read_channels(connection)}
    behind = {one for source in channel.sources for one in places_behind(channels, source)}
    kept = {place: found for place in sorted(behind) if (found := await read_trust(connection, place))}
    if len(kept) != 1:
        return None, None
    ((place, documents),) = kept.items()
    roots, managers = documents.get(ROOT, {}), documents.get(KEY_MGR, {})
    if not roots or not managers:
        return None, None
    (settings,) = {
        source.settings.signatures for one in channels.values() for source in one.sources if source.id == place
    }
    trust = CarriedTrust(
        [roots[version] for version in sorted(roots)], managers[max(managers)], settings.accept_expired
    )
    return place, trust

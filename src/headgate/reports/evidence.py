"""Evidence packs: what happened in a period, in one zip that can be checked without the server.

events.jsonl     audit events in their order, each with its hash
downloads.csv    who downloaded what on which day
proof.json       what following the chain came to, and the hash before the first event of the pack
manifest.json    the period, and the sha256 and size of each of these
manifest.sig     `<public key> <signature>` of manifest.json: ed25519, hexadecimal
"""

import asyncio
import hashlib
import json
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from headgate.audit.chain import START, ChainCheck, Event
from headgate.audit.sheets import iter_csv
from headgate.audit.signing import Signer, is_signed
from headgate.audit.trail import AuditTrail, Proof, Wanted
from headgate.kernel import clock
from headgate.kernel.errors import Invalid, NotFound
from headgate.reports.downloads import By, DownloadReports, Period

_BY = (By.DAY, By.CHANNEL, By.USER, By.CLIENT, By.FILE)
_EVENTS, _DOWNLOADS, _PROOF = "events.jsonl", "downloads.csv", "proof.json"
_MANIFEST, _SIGNATURE = "manifest.json", "manifest.sig"
_MOST_BYTES = 64 << 20
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class PackProof:
    """What a look at a pack came to."""

    manifest: dict[str, Any]
    public_key: str
    events: int
    complaints: tuple[str, ...]


class EvidencePacks:
    """Writes packs."""

    def __init__(self, trail: AuditTrail, downloads: DownloadReports, signer: Signer) -> None:
        self._trail = trail
        self._downloads = downloads
        self._signer = signer

    async def write(self, file: IO[bytes], actor: str, since: datetime | None, until: datetime | None) -> None:
        """Write a pack of a period into an open file."""
        proof = await self._trail.verify()
        digests: dict[str, dict[str, Any]] = {}
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as pack:
            first = await _write(pack, _EVENTS, self._events(since, until), digests)
            report = self._downloads.downloads(_BY, Period(since=since, until=until))
            await _write(pack, _DOWNLOADS, iter_csv(report.columns, report.rows), digests)
            before = await self._before(first)
            await _write(pack, _PROOF, _one(_encoded(_shown(proof, before))), digests)
            manifest = _encoded({
                "headgate": "evidence pack 1",
                "made_at": clock.now().isoformat(timespec="seconds"),
                "made_by": actor,
                "since": None if since is None else since.isoformat(),
                "until": None if until is None else until.isoformat(),
                "public_key": self._signer.public_key,
                "files": digests,
            })  # fmt: skip
            pack.writestr(_MANIFEST, manifest)
            pack.writestr(_SIGNATURE, f"{self._signer.public_key} {self._signer.sign(manifest)}\n")

    async def _events(self, since: datetime | None, until: datetime | None) -> AsyncIterator[bytes]:
        # Of two events at once, the one with the greater number may be the older: a chain is cut by numbers.
        first, last = await self._trail.bounds(Wanted(since=since, until=until))
        async for event in self._trail.iter_events(after=first - 1):
            if event.number > last:
                return
            yield json.dumps(event.as_json(), ensure_ascii=True).encode() + b"\n"

    async def _before(self, head: bytes) -> bytes:
        """The hash before the first event of the pack."""
        number = int(json.loads(head.splitlines()[0])["number"]) if head else 1
        try:
            return (await self._trail.get_event(number - 1)).hash
        except NotFound:
            checkpoint = (await self._trail.verify()).checkpoint
            return checkpoint.hash if checkpoint is not None and checkpoint.number == number - 1 else START


def verify_pack(path: Path) -> PackProof:
    """Check a pack against itself: its signature, its files, and the chain of its events. Raises Invalid `pack-invalid`.

    Whose key it is has to be known from elsewhere: `headgate audit verify` on the server prints it.
    """
    try:
        with zipfile.ZipFile(path) as pack:
            if sum(one.file_size for one in pack.infolist()) > _MOST_BYTES * 64:
                raise Invalid("pack-invalid", f"{path} unpacks to more than a pack can hold.")
            manifest_bytes = _read(pack, _MANIFEST)
            public_key, _, signature = _read(pack, _SIGNATURE).decode().strip().partition(" ")
            manifest = json.loads(manifest_bytes)
            complaints = (
                [] if is_signed(manifest_bytes, signature, public_key) else ["The manifest is not what was signed."]
            )
            for name, said in sorted(manifest["files"].items()):
                if _digest(pack, name) != said["sha256"]:
                    complaints.append(f"{name} is not what was packed.")
            events, broken = _check_events(pack)
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise Invalid("pack-invalid", f"{path} is not an evidence pack: {error}.") from error
    return PackProof(manifest, public_key, events, (*complaints, *broken))


def _check_events(pack: zipfile.ZipFile) -> tuple[int, list[str]]:
    proof = json.loads(_read(pack, _PROOF))
    check: ChainCheck | None = None
    with pack.open(_EVENTS) as lines:
        for line in lines:
            event = _event(json.loads(line))
            check = check or ChainCheck(event.number - 1, bytes.fromhex(proof["hash_before"]))
            check.take(event)
    return (0, []) if check is None else (check.checked, check.complaints)


def _event(said: dict[str, Any]) -> Event:
    event = Event(
        said["number"], datetime.fromisoformat(said["at"]), said["action"], said["actor"], said["channel"],
        said["subject"], said["detail"],
    )  # fmt: skip
    return replace(event, hash=bytes.fromhex(said["hash"]))


def _digest(pack: zipfile.ZipFile, name: str) -> str:
    digest = hashlib.sha256()
    with pack.open(name) as member:
        while piece := member.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _read(pack: zipfile.ZipFile, name: str) -> bytes:
    with pack.open(name) as member:
        return member.read(_MOST_BYTES)


async def _write(
    pack: zipfile.ZipFile, name: str, pieces: AsyncIterator[bytes], digests: dict[str, dict[str, Any]]
) -> bytes:
    """Write a member and note what it is; its first piece."""
    digest, size, first = hashlib.sha256(), 0, b""
    with pack.open(name, "w", force_zip64=True) as member:
        async for piece in pieces:
            first = first or piece
            digest.update(piece)
            size += len(piece)
            await asyncio.to_thread(member.write, piece)
    digests[name] = {"sha256": digest.hexdigest(), "bytes": size}
    return first


def _shown(proof: Proof, before: bytes) -> dict[str, Any]:
    return {
        "is_whole": proof.is_whole,
        "checked": proof.checked,
        "first": proof.first,
        "last": proof.last,
        "head": proof.head,
        "complaints": list(proof.complaints),
        "checkpoint": None if proof.checkpoint is None else proof.checkpoint.as_json(),
        "hash_before": before.hex(),
    }


def _encoded(value: Any) -> bytes:
    return json.dumps(value, indent=2, sort_keys=True).encode() + b"\n"


async def _one(piece: bytes) -> AsyncIterator[bytes]:
    yield piece

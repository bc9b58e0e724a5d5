"""Reads one upstream subdir: tries its index files from the best to the oldest, and trusts none of them.

repodata_shards.msgpack.zst -> repodata.json.zst -> repodata.json -> repodata.json.bz2
      404, 410, 403, 501: the next one          anything else that is not 200 or 304: an error
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, Self
from urllib.parse import quote, urljoin

import structlog

from headgate.conda.content_trust import MAX_METADATA_BYTES
from headgate.conda.names import Subdir
from headgate.conda.outlines import Outline
from headgate.conda.reading import Reading, read_document
from headgate.conda.shards import MAX_INDEX_BYTES, decode_index
from headgate.http.client import Answer, Outgoing, mask_url
from headgate.intake.attesting import fetch_sidecar
from headgate.intake.budget import MemoryBudget
from headgate.intake.listings import (
    DocumentListing,
    Form,
    ShardedListing,
    UpstreamListing,
    UpstreamState,
    naming,
)
from headgate.intake.run_exports import RunExports, group_run_exports, mix_fingerprint
from headgate.intake.unpacking import UnpackLimits, scratch_file, unpack, write_all
from headgate.kernel.errors import Invalid, Refused, Unavailable
from headgate.kernel.threads import finish_in_thread

__all__ = [
    "DocumentListing",
    "Missing",
    "ShardedListing",
    "Unchanged",
    "UpstreamDocument",
    "UpstreamListing",
    "UpstreamReader",
    "UpstreamState",
]

_FILES: Final[Mapping[Form, str]] = {
    "shards": "repodata_shards.msgpack.zst",
    "zst": "repodata.json.zst",
    "json": "repodata.json",
    "bz2": "repodata.json.bz2",
}
_RUN_EXPORTS = ("run_exports.json.zst", "run_exports.json")
# Seen: repodata unpacks to six times its size, and its views take half as much again.
_BYTES_IN_MEMORY: Final[Mapping[Form, int]] = {"shards": 1, "zst": 9, "bz2": 12, "json": 2}
_ABSENT = frozenset({404, 410})
# Some servers say 403 or 501 of files they do not have; that does not prove that the subdir is gone.
_NOT_HERE = _ABSENT | {403, 501}
_BASES = ("base_url", "shards_base_url")
_DOWNLOAD_BYTES: Final = 1 << 20
# A smaller document is read sooner than compared.
_LARGE_BYTES: Final = 1 << 20

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The upstream says that nothing changed since the state it was asked about."""


@dataclass(frozen=True, slots=True)
class Missing:
    """The upstream has no such subdir: every index file is absent."""


@dataclass(frozen=True, slots=True)
class UpstreamDocument:
    """A document of an upstream as it is now; `url` is masked."""

    url: str
    etag: str | None
    body: bytes


class UpstreamReader:
    """Fetches the listing of `<base_url>/<subdir>/`.

    `base_url` is the configured channel URL (http, https or file, credentials included); `scratch` a folder for what
    is downloaded, where nothing is left behind. `max_document_bytes` bounds a repodata document, packed and unpacked;
    `concurrency` the shards downloaded at once; `budget`, shared by readers, the documents in memory at once.
    """

    def __init__(
        self,
        outgoing: Outgoing,
        base_url: str,
        subdir: Subdir,
        scratch: Path,
        *,
        max_document_bytes: int = 4 << 30,
        concurrency: int = 16,
        budget: MemoryBudget | None = None,
    ) -> None:
        self._forms = tuple(_FILES)
        self._base_url = base_url.rstrip("/")
        self._outgoing = outgoing
        self._budget = budget or MemoryBudget(max_document_bytes)
        self.root = f"{base_url.rstrip('/')}/{subdir}/"
        self._scratch = scratch
        self._limits = UnpackLimits(max_document_bytes)
        self._concurrency = concurrency

    def of_documents(self) -> Self:
        """The same without shards: signatures (conda content trust) are in documents alone."""
        self._forms = tuple(form for form in _FILES if form != "shards")
        return self

    async def fetch(
        self, previous: UpstreamState | None, outline: bytes | None = None
    ) -> ShardedListing | DocumentListing | Unchanged | Missing:
        """The subdir's listing as it is now; `outline`: of an earlier one.

        Asks conditionally for the file `previous` came from. Raises Unavailable or Invalid, and nothing else, with a
        sentence that names the masked URL.
        """
        statuses = []
        try:
            for form in self._forms:
                found = await self._fetch_form(form, previous, outline)
                if not isinstance(found, int):
                    return found
                statuses.append(found)
        except Refused as error:
            raise Invalid(error.code, error.message, error.reasons) from error
        if _prove_absence(statuses):
            return Missing()
        raise Unavailable(
            "upstream-status",
            f"{mask_url(self.root)} gives no index file, with statuses {', '.join(map(str, statuses))}; "
            "its credentials may be wrong, or the subdir may not exist there.",
        )

    async def read_metadata(self, name: str, elsewhere: str) -> bytes | None:
        """A file of conda content trust, at the channel's root or `elsewhere`; None when it is not there.

        Raises Unavailable, Invalid.
        """
        async with self._outgoing.open(f"{elsewhere.rstrip('/') or self._base_url}/{name}") as answer:
            if answer.status in _NOT_HERE:
                return None
            if answer.status != 200:
                raise Unavailable("upstream-status", f"{answer.url} answered {answer.status}.")
            return await answer.read(MAX_METADATA_BYTES)

    async def read_channeldata(self, etag: str | None) -> UpstreamDocument | Unchanged | Missing:
        """The channel's channeldata.json, unless it is the one of this ETag. Raises Unavailable, Invalid, Refused."""
        url = f"{self._base_url}/channeldata.json"
        async with self._outgoing.open(url, headers={"If-None-Match": etag} if etag else {}) as answer:
            if answer.status == 304 and etag:
                return Unchanged()
            if answer.status in _NOT_HERE:
                return Missing()
            if answer.status != 200:
                raise Unavailable("upstream-status", f"{answer.url} answered {answer.status}.")
            packed = await asyncio.to_thread(scratch_file, self._scratch)
            with packed:
                await self._download(answer, packed)
                with naming(url):
                    body = await finish_in_thread(unpack, packed, self._scratch, self._limits)
            return UpstreamDocument(answer.url, answer.headers.get("ETag"), body)

    async def read_sidecar(self, base_url: str, filename: str, digest: str) -> bytes:
        """The attestations that a record names. Raises Unavailable."""
        return await fetch_sidecar(self._outgoing, base_url + quote(filename, safe="!+~"), digest, self.root)

    async def _fetch_form(
        self, form: Form, previous: UpstreamState | None, outline: bytes | None
    ) -> ShardedListing | DocumentListing | Unchanged | int:
        """The listing read from one file, or the status that says it is not there."""
        url = self.root + _FILES[form]
        conditions = _conditions(previous) if previous is not None and previous.form == form else {}
        async with self._outgoing.open(url, headers=conditions) as answer:
            log.debug("upstream-index", url=answer.url, status=answer.status)
            if answer.status == 304 and conditions:
                return Unchanged()
            if answer.status in _NOT_HERE:
                return answer.status
            if answer.status != 200:
                raise Unavailable("upstream-status", f"{answer.url} answered {answer.status} instead of an index.")
            if form == "shards":
                return await self._read_index(url, answer)
            return await self._read_document(form, url, answer, outline)

    async def _read_index(self, url: str, answer: Answer) -> ShardedListing:
        data = await answer.read(MAX_INDEX_BYTES)
        with naming(url):
            index = await asyncio.to_thread(decode_index, data)
        return ShardedListing(
            self._outgoing,
            url,
            _state("shards", answer, index.info),
            base_url=await resolve_base(self._outgoing, url, index.info, "base_url"),
            shards_url=await resolve_base(self._outgoing, url, index.info, "shards_base_url"),
            shards=index.shards,
            concurrency=self._concurrency,
        )

    async def _read_document(self, form: Form, url: str, answer: Answer, before: bytes | None) -> DocumentListing:
        with await asyncio.to_thread(scratch_file, self._scratch) as packed:
            run_exports, _ = await asyncio.gather(self._read_run_exports(), self._download(answer, packed))
            held_bytes = await self._budget.take(packed.tell() * _BYTES_IN_MEMORY[form])
            try:
                with naming(url):
                    reading, outline = await finish_in_thread(self._read, packed, run_exports, before)
                base_url = await resolve_base(self._outgoing, url, reading.info, "base_url")
            except BaseException:
                await self._budget.give_back(held_bytes)
                raise
        if reading.skipped:
            log.warning("nameless-records-skipped", url=mask_url(url), files=reading.skipped[:10])
        return DocumentListing(
            url,
            _state(form, answer, reading.info),
            base_url=base_url,
            reading=reading,
            outline=outline,
            run_exports=run_exports,
            on_close=partial(self._budget.give_back, held_bytes),
        )

    async def _read_run_exports(self) -> RunExports:
        """What run_exports.json says beside a monolithic document; nothing when the upstream has none."""
        for name in _RUN_EXPORTS:
            url = self.root + name
            async with self._outgoing.open(url) as answer:
                if answer.status in _NOT_HERE:
                    continue
                if answer.status != 200:
                    raise Unavailable("upstream-status", f"{answer.url} answered {answer.status}.")
                with await asyncio.to_thread(scratch_file, self._scratch) as packed:
                    await self._download(answer, packed)
                    with naming(url):
                        return await finish_in_thread(self._group_run_exports, packed)
        return {}

    def _group_run_exports(self, packed: IO[bytes]) -> RunExports:
        return group_run_exports(unpack(packed, self._scratch, self._limits))

    async def _download(self, answer: Answer, target: IO[bytes]) -> None:
        received = 0
        async for piece in answer.chunks(_DOWNLOAD_BYTES):
            received += len(piece)
            answer.check_size(received, self._limits.max_bytes)
            await finish_in_thread(write_all, target, piece)

    def _read(self, packed: IO[bytes], run_exports: RunExports, before: bytes | None) -> tuple[Reading, bytes | None]:
        """What a downloaded document says, and its outline if another should be read by it."""
        document = unpack(packed, self._scratch, self._limits)
        reading = read_document(document, None if before is None else Outline.unpack(before))
        told = reading.fingerprints
        told.update({name: mix_fingerprint(told[name], run_exports[name]) for name in run_exports.keys() & told.keys()})
        outline = reading.outline if len(document) >= _LARGE_BYTES else None
        return reading, None if outline is None else outline.pack()


async def resolve_base(outgoing: Outgoing, url: str, info: Mapping[str, Any], key: str) -> str:
    """An absolute URL ending in a slash, from a `base_url` relative to the file that says it (CEP 15, CEP 16)."""
    base = info.get(key) or ""
    if not isinstance(base, str):
        raise Invalid("upstream-garbled", f"{mask_url(url)}: its {key} is not text.")
    try:
        joined = urljoin(url, base or ".")
    except ValueError:
        raise Invalid("upstream-garbled", f"{mask_url(url)}: its {key} is not an address.") from None
    vetted = await outgoing.vet(joined, told_by=url)
    return vetted if vetted.endswith("/") else f"{vetted}/"


def _prove_absence(statuses: Sequence[int]) -> bool:
    """Whether every document is absent; of shards, which are optional, "not implemented" says the same."""
    if len(statuses) < len(_FILES):
        return _ABSENT.issuperset(statuses)
    shards, *documents = statuses
    return shards in _ABSENT | {501} and _ABSENT.issuperset(documents)


def _conditions(previous: UpstreamState) -> dict[str, str]:
    known = {"If-None-Match": previous.etag, "If-Modified-Since": previous.last_modified}
    return {name: value for name, value in known.items() if value}


def _state(form: Form, answer: Answer, info: Mapping[str, Any]) -> UpstreamState:
    kept = {key: value for key, value in info.items() if key not in _BASES}
    return UpstreamState(
        form=form, etag=answer.headers.get("ETag"), last_modified=answer.headers.get("Last-Modified"), info=kept
    )

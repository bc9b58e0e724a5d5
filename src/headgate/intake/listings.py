"""What one upstream subdir holds, whichever of its index files said so."""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from functools import partial
from typing import Any, Final, Literal, Protocol

import msgspec
import structlog

from headgate.conda.packing import Packer
from headgate.conda.reading import Reading
from headgate.conda.shards import MAX_SHARD_BYTES, Shard, decode_shard
from headgate.http.client import Outgoing, mask_url
from headgate.intake.run_exports import RunExports, add_run_exports
from headgate.kernel.errors import HeadgateError, Invalid, Unavailable

Form = Literal["shards", "zst", "json", "bz2"]

# One batch is decoded in one thread call; its records are what lives at once, and what is packed lives by the name alone.
BATCH_RECORDS: Final = 5000
PACKED_RECORDS: Final = 20_000
BATCH_SHARDS: Final = 64
BATCH_BYTES: Final = 4 << 20

log = structlog.get_logger(__name__)


class UpstreamState(msgspec.Struct):
    """What to remember of a listing so that the next fetch can be conditional."""

    form: Form
    etag: str | None
    last_modified: str | None
    info: dict[str, Any]


class UpstreamListing(Protocol):
    """The packages of one upstream subdir.

    `info` is the upstream's own, without `base_url` and `shards_base_url`. `base_url` is absolute, ends in a slash, and
    may hold the upstream's credentials: mask it when shown. `fingerprints` has 32 bytes per package name which change
    when any of its records does; they compare only between listings of one form. `extras` holds the other top-level
    keys of a monolithic document as raw JSON, `outline` what helps to read the next one, packed.
    """

    state: UpstreamState
    info: dict[str, Any]
    base_url: str
    fingerprints: dict[str, bytes]
    extras: dict[str, msgspec.Raw]
    outline: bytes | None

    def iter_shards(self, names: Sequence[str]) -> AsyncIterator[tuple[str, Shard]]:
        """(name, shard in wire form) for names of `fingerprints`, in their order; each name may be asked for once.

        A name whose records cannot be read is left out, and logged.

        Raises Unavailable or Invalid naming the upstream, KeyError for a name that is not (or no longer) there.
        """
        ...

    def iter_packed(self, names: Sequence[str], packer: Packer) -> AsyncIterator[dict[str, tuple[bytes, bytes]]]:
        """Batches of (digest, body) by name, packed as they are to be stored: of some of the names, perhaps of none.

        The others are still to be had from `iter_shards`.
        """
        ...

    async def close(self) -> None:
        """Frees the memory; the listing is of no use afterwards."""
        ...


class ShardedListing:
    """A listing by shard index: shards are downloaded when asked for, and must have the digest the index gives."""

    def __init__(
        self,
        outgoing: Outgoing,
        url: str,
        state: UpstreamState,
        *,
        base_url: str,
        shards_url: str,
        shards: dict[str, bytes],
        concurrency: int,
    ) -> None:
        self.state = state
        self.info = state.info
        self.base_url = base_url
        self.fingerprints = shards
        self.extras: dict[str, msgspec.Raw] = {}
        self.outline: bytes | None = None
        self._outgoing = outgoing
        self._url = url
        self._shards_url = shards_url
        self._concurrency = concurrency

    async def iter_shards(self, names: Sequence[str]) -> AsyncIterator[tuple[str, Shard]]:
        """As `UpstreamListing.iter_shards`.

        Raises Unavailable `upstream-shard-mismatch` when a shard is not the one the index names.
        """
        async with aclosing(self._batches(names)) as batches:
            async for batch in batches:
                for item in await asyncio.to_thread(self._decode, batch):
                    yield item

    async def iter_packed(
        self, _names: Sequence[str], _packer: Packer
    ) -> AsyncIterator[dict[str, tuple[bytes, bytes]]]:
        """As `UpstreamListing.iter_packed`: none, for a shard is decoded as a whole."""
        nothing: tuple[dict[str, tuple[bytes, bytes]], ...] = ()
        for batch in nothing:
            yield batch

    async def close(self) -> None:
        """As `UpstreamListing.close`."""
        self.fingerprints = {}

    async def _batches(self, names: Iterable[str]) -> AsyncGenerator[list[tuple[str, bytes]], None]:
        batch: list[tuple[str, bytes]] = []
        weight = 0
        async with aclosing(self._downloads(names)) as downloads:
            async for name, data in downloads:
                batch.append((name, data))
                weight += len(data)
                if len(batch) >= BATCH_SHARDS or weight >= BATCH_BYTES:
                    yield batch
                    batch, weight = [], 0
        if batch:
            yield batch

    async def _downloads(self, names: Iterable[str]) -> AsyncGenerator[tuple[str, bytes], None]:
        """Downloads in the order of the names, `concurrency` of them under way at any time."""
        under_way: deque[asyncio.Task[tuple[str, bytes]]] = deque()
        try:
            for name in names:
                if len(under_way) >= self._concurrency:
                    yield await under_way.popleft()
                under_way.append(asyncio.create_task(self._download(name, self.fingerprints[name])))
            while under_way:
                yield await under_way.popleft()
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _download(self, name: str, digest: bytes) -> tuple[str, bytes]:
        url = f"{self._shards_url}{digest.hex()}.msgpack.zst"
        async with self._outgoing.open(url, told_by=self._url) as answer:
            if answer.status != 200:
                raise Unavailable(
                    "upstream-status", f"{answer.url} answered {answer.status} for the shard of {name!r}."
                )
            data = await answer.read(MAX_SHARD_BYTES)
        if hashlib.sha256(data).digest() != digest:
            raise Unavailable(
                "upstream-shard-mismatch",
                f"{answer.url} is not the shard of {name!r} that the index names; the upstream may be changing now.",
            )
        return name, data

    def _decode(self, batch: Iterable[tuple[str, bytes]]) -> list[tuple[str, Shard]]:
        return [
            (name, shard)
            for name, data in batch
            if (shard := _sound(name, partial(decode_shard, data), self._url)) is not None
        ]


class DocumentListing:
    """A listing by monolithic document; it holds the document's bytes until every name was asked for, or `close`."""

    def __init__(
        self,
        url: str,
        state: UpstreamState,
        *,
        base_url: str,
        reading: Reading,
        outline: bytes | None,
        run_exports: RunExports,
        on_close: Callable[[], Awaitable[None]],
    ) -> None:
        self.state = state
        self.info = state.info
        self.base_url = base_url
        self.fingerprints = reading.fingerprints
        # A copy each: a view would keep the document.
        self.extras = {key: raw.copy() for key, raw in reading.extras.items()}
        self.outline = outline
        self._url = url
        self._reading = reading
        self._run_exports = run_exports
        self._on_close = on_close

    async def iter_shards(self, names: Sequence[str]) -> AsyncIterator[tuple[str, Shard]]:
        """As `UpstreamListing.iter_shards`; the fragments of a name are let go once decoded."""
        for batch in self._batches(names, BATCH_RECORDS):
            for item in await asyncio.to_thread(self._decode, batch):
                yield item

    async def iter_packed(self, names: Sequence[str], packer: Packer) -> AsyncIterator[dict[str, tuple[bytes, bytes]]]:
        """As `UpstreamListing.iter_packed`; the fragments of a name are let go once packed."""
        for batch in self._batches(names, PACKED_RECORDS):
            yield await asyncio.to_thread(self._pack, batch, packer)

    async def close(self) -> None:
        """As `UpstreamListing.close`."""
        self.fingerprints, self.extras, self.outline, self._run_exports = {}, {}, None, {}
        self._reading.close()
        await self._on_close()

    def _batches(self, names: Iterable[str], most: int) -> Iterator[list[str]]:
        batch: list[str] = []
        records = 0
        for name in names:
            batch.append(name)
            records += self._reading.records(name)
            if records >= most:
                yield batch
                batch, records = [], 0
        if batch:
            yield batch

    def _decode(self, batch: Iterable[str]) -> list[tuple[str, Shard]]:
        return [
            (name, shard)
            for name in batch
            if (shard := _sound(name, partial(self._decode_one, name), self._url)) is not None
        ]

    def _pack(self, batch: Iterable[str], packer: Packer) -> dict[str, tuple[bytes, bytes]]:
        packed = {}
        for name in batch:
            if name in self._run_exports:
                continue
            with suppress(Invalid):
                if (found := packer.pack(name, self._reading.fragments(name))) is not None:
                    packed[name] = found
                    self._reading.forget(name)
        return packed

    def _decode_one(self, name: str) -> Shard:
        shard = self._reading.fragments(name).decode()
        self._reading.forget(name)
        return add_run_exports(shard, self._run_exports.get(name, {}))


@contextmanager
def naming(url: str) -> Iterator[None]:
    """Puts the masked URL before the sentence of an error that does not know where its bytes came from."""
    try:
        yield
    except HeadgateError as error:
        raise type(error)(error.code, f"{mask_url(url)}: {error.message}", error.reasons) from error
    except RecursionError:
        raise Invalid("upstream-garbled", f"{mask_url(url)}: it is nested too deeply.") from None


def _sound(name: str, decode: Callable[[], Shard], url: str) -> Shard | None:
    """The shard, or None when it cannot be read: a broken record costs its own name and no other."""
    try:
        with naming(url):
            return _own(name, decode(), url)
    except Invalid as error:
        log.warning("package-unreadable", url=mask_url(url), package=name, code=error.code, reason=error.message)
        return None


def _own(name: str, shard: Shard, url: str) -> Shard:
    """The shard without records that belong to another name: policy and priority go by name."""
    foreign = frozenset(shard.find_foreign(name))
    if not foreign:
        return shard
    log.warning("foreign-records-dropped", url=mask_url(url), package=name, files=sorted(foreign)[:10])
    return Shard(
        packages={file: record for file, record in shard.packages.items() if file not in foreign},
        conda={file: record for file, record in shard.conda.items() if file not in foreign},
        v3={
            group: {stem: record for stem, record in records.items() if f"{stem}.{group}" not in foreign}
            for group, records in shard.v3.items()
        },
        removed=[file for file in shard.removed if file not in foreign],
    )

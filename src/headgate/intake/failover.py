"""Reading a mirror that has several URLs: the first that answers."""

from collections.abc import Callable, Sequence

import structlog

from headgate.intake.upstream import (
    Missing,
    Unchanged,
    UpstreamDocument,
    UpstreamListing,
    UpstreamReader,
    UpstreamState,
)
from headgate.kernel.errors import Unavailable

log = structlog.get_logger(__name__)


class MirrorReader:
    """Fetches a subdir's listing from the first of several readers that can; they read the same channel elsewhere.

    `keep` makes, of a base URL and the root that named it, what is written down.
    """

    def __init__(self, readers: Sequence[UpstreamReader], keep: Callable[[str, str], str]) -> None:
        self._readers = readers
        self._keep = keep
        self._answered = readers[0]

    async def fetch(
        self, previous: UpstreamState | None, outline: bytes | None = None
    ) -> UpstreamListing | Unchanged | Missing:
        """As `UpstreamReader.fetch`; what is raised is what the last of them said."""
        *others, last = self._readers
        for reader in others:
            try:
                return await self._ask(reader, previous, outline)
            except Unavailable as error:
                log.warning("upstream_failed_over", code=error.code, reason=error.message)
        return await self._ask(last, previous, outline)

    def keep_base(self, base_url: str) -> str:
        """What is written down of the base URL of the listing that was fetched last."""
        return self._keep(base_url, self._answered.root)

    async def read_metadata(self, name: str, elsewhere: str) -> bytes | None:
        """As `UpstreamReader.read_metadata`, from the first that can."""
        *others, last = self._readers
        for reader in others:
            try:
                return await reader.read_metadata(name, elsewhere)
            except Unavailable as error:
                log.warning("upstream_failed_over", code=error.code, reason=error.message)
        return await last.read_metadata(name, elsewhere)

    async def read_channeldata(self, etag: str | None) -> UpstreamDocument | Unchanged | Missing:
        """As `UpstreamReader.read_channeldata`, from the first that can."""
        *others, last = self._readers
        for reader in others:
            try:
                return await reader.read_channeldata(etag)
            except Unavailable as error:
                log.warning("upstream_failed_over", code=error.code, reason=error.message)
        return await last.read_channeldata(etag)

    async def read_sidecar(self, base_url: str, filename: str, digest: str) -> bytes:
        """As `UpstreamReader.read_sidecar`, from the one whose listing was fetched last."""
        return await self._answered.read_sidecar(base_url, filename, digest)

    async def _ask(
        self, reader: UpstreamReader, previous: UpstreamState | None, outline: bytes | None
    ) -> UpstreamListing | Unchanged | Missing:
        found = await reader.fetch(previous, outline)
        self._answered = reader
        return found

"""What came back from an outgoing request, whether over HTTP or from a file."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing

from multidict import CIMultiDict, CIMultiDictProxy

from headgate.kernel.errors import Unavailable

CHUNK_BYTES = 1 << 18

Pieces = Callable[[int], AsyncGenerator[bytes, None]]


class Answer:
    """Status, headers and body of one answer; the body is read at most once, while its `open` block lasts.

    `headers` is a mapping without regard to case; `url` is the address that answered in the end, masked for showing.
    """

    def __init__(
        self, status: int, headers: Mapping[str, str], url: str, pieces: Pieces, *, body_bytes: int | None
    ) -> None:
        self.status = status
        self.headers: Mapping[str, str] = CIMultiDictProxy(CIMultiDict(headers))
        self.url = url
        self.body_bytes = body_bytes
        """How many bytes the body must have, None when the answer does not say."""
        self._pieces = pieces

    async def chunks(self, size: int = CHUNK_BYTES) -> AsyncIterator[bytes]:
        """The body in pieces of at most `size` bytes.

        Raises Unavailable `upstream-cut` when the connection dies or stalls, or the body is not as long as announced.
        """
        received = 0
        async with aclosing(self._pieces(size)) as pieces:
            async for piece in pieces:
                received += len(piece)
                yield piece
        if self.body_bytes is not None and received != self.body_bytes:
            raise Unavailable(
                "upstream-cut", f"{self.url} sent {received} bytes where it had announced {self.body_bytes}."
            )

    async def read(self, max_bytes: int) -> bytes:
        """The whole body; raises Unavailable `upstream-too-large` as soon as it is known to exceed `max_bytes`."""
        if self.body_bytes is not None:
            self.check_size(self.body_bytes, max_bytes)
        pieces: list[bytes] = []
        received = 0
        async for piece in self.chunks():
            received += len(piece)
            self.check_size(received, max_bytes)
            pieces.append(piece)
        return b"".join(pieces)

    def check_size(self, size: int, max_bytes: int) -> None:
        """Raises Unavailable `upstream-too-large` when `size` is more than `max_bytes`."""
        if size > max_bytes:
            raise Unavailable(
                "upstream-too-large", f"{self.url} sends more than the {max_bytes} bytes that are accepted there."
            )
